"""The real server in a process of its own, as `palaver serve` starts it, on a free port and in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).parent.parent

ECHO = """
[settings]
"ai:preset" = "echo"

[presets.echo]
provider = "echo"
"""
"""The smallest configuration that depends on nothing of this machine."""

README_ADDRESS = "http://127.0.0.1:8000"
"""Where the README says that the server listens."""

START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class ServerProcess:
    url: str
    log: Sequence[str]
    """The lines that the server has printed so far."""
    kill: Callable[[], None]
    """What a power cut does: no signal that it could answer."""
    end: Callable[[], int]
    """What `systemctl stop` does: tell it to end, wait until it has; answers its exit code."""
    pid: int


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """An environment with nothing in it but what is named here, and a home folder of its own."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", **more}


@contextmanager
def server_process(
    folder: Path, *arguments: str, config: str = ECHO, environment: Mapping[str, str] | None = None
) -> Iterator[ServerProcess]:
    """Start the server and end it. What it stores is in `folder`, also for the next server that gets the same one.

    Args:
        folder: for the configuration file and the data.
        arguments: of `palaver serve`, besides config, data and port.
        config: the text of `palaver.toml`.
        environment: variables that it gets besides `clean_environment`.
    """
    config_file = folder / "palaver.toml"
    config_file.write_text(config)
    command = [sys.executable, "-m", "app", "serve", *arguments, "--config", str(config_file)]
    process = subprocess.Popen(
        [*command, "--data", str(folder / "data"), "--port", "0"],
        cwd=ROOT,
        env=clean_environment(folder, **(environment or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log: list[str] = []
    url: Future[str] = Future()
    reader = Thread(target=_read, args=(process, log, url), daemon=True)
    reader.start()

    def end() -> int:
        process.terminate()
        return process.wait(START_SECONDS)

    try:
        yield ServerProcess(url.result(START_SECONDS), log, process.kill, end, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()


def _read(process: subprocess.Popen[str], log: list[str], url: Future[str]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            log.append(line)
            announced = re.search(r"https?://127\.0\.0\.1:\d+", line)
            if announced and not url.done():
                url.set_result(announced[0])
    if not url.done():
        url.set_exception(RuntimeError("The server ended without saying its address:\n" + "".join(log)))
