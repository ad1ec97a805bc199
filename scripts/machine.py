"""What the tests need of the machine besides Python and Node.

Each need is looked for, installed where that is possible, or else asked for: a missing piece never skips a test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

PLAYWRIGHT = (sys.executable, "-m", "playwright")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True)
class Need:
    name: str
    package: str
    """Debian's and Ubuntu's package that brings it."""
    present: Callable[[], bool]
    command: tuple[str, ...] = ()
    """Another way to install it, tried first."""


def succeeds(*command: str) -> bool:
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def find_chromium() -> str | None:
    """The program that CHROMIUM_PATH names; without it Playwright's own browser, else the system's."""
    if named := os.environ.get("CHROMIUM_PATH"):
        return shutil.which(named) or sys.exit(f"CHROMIUM_PATH names no program: {named}")
    show_own = "from playwright.sync_api import sync_playwright as s\nwith s() as p: print(p.chromium.executable_path)"
    own = subprocess.run([sys.executable, "-c", show_own], capture_output=True, text=True, check=False).stdout.strip()
    return next(filter(None, map(shutil.which, (own, *CHROMIUM_NAMES))), None)


NEEDS = (
    Need("curl (for the README's commands)", "curl", lambda: shutil.which("curl") is not None),
    Need("libatomic (for Playwright)", "libatomic1", lambda: succeeds(*PLAYWRIGHT, "--version")),
    Need("libgomp (for llama.cpp)", "libgomp1", lambda: succeeds(sys.executable, "-c", "import xllamacpp")),
    Need("Chromium", "chromium", lambda: find_chromium() is not None, (*PLAYWRIGHT, "install", "chromium")),
)


def install(need: Need) -> None:
    """Try what may work on this machine; whether it did, `present` tells."""
    print(f"Installing {need.name}", flush=True)
    if need.command and succeeds(*need.command):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        apt_get = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y"
        subprocess.call(f"{apt_get} update && {apt_get} install {need.package} >/dev/null", shell=True)


def prepare() -> None:
    """See to all of it, and name the browser in CHROMIUM_PATH for the tests.

    Raises:
        SystemExit: something is missing; the message says how to install it.
    """
    for need in NEEDS:
        if not need.present():
            install(need)
        if not need.present():
            sys.exit(f"The tests need {need.name}. Install it, on Debian and Ubuntu: apt-get install {need.package}")
    os.environ["CHROMIUM_PATH"] = find_chromium() or ""
