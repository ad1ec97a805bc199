"""What a start costs, by counting: times and memory depend on the machine, modules and files do not."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

from tests.server_process import ROOT

MOST_MODULES = 700
"""An idle server has about 25 KB for each in memory."""
MOST_INSTALLED_BYTES = 130_000_000

HEAVY = (
    *("anthropic", "openai", "httpx2", "mcp", "websockets", "opentelemetry"),
    *("trafilatura", "lxml", "pypdf", "jsonschema", "simpleeval", "tzdata"),
    *("markdown_it", "mdit_py_plugins", "pygments", "nh3", "math_core"),
)
"""Packages that are imported when somebody needs them, and only then."""

START = """
import asyncio, sys
from contextlib import nullcontext
from pathlib import Path
import app.__main__, app.commands, app.server
from app.main import create_app, open_deps
from app.settings.server import ServerSettings

async def start(folder):
    settings = ServerSettings(data=folder)
    async with open_deps(settings, {}, port=8000) as deps:
        create_app(settings, lambda: nullcontext(deps))
        print(*sys.modules)

asyncio.run(start(Path(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """All that a server has imported when it is ready."""
    command = [sys.executable, "-c", START, str(tmp_path_factory.mktemp("data"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


@pytest.mark.parametrize("package", HEAVY)
def test_what_is_not_needed_yet_is_not_imported(modules: list[str], package: str) -> None:
    assert package not in modules


def test_a_start_imports_a_bounded_number_of_modules(modules: list[str]) -> None:
    assert len(modules) <= MOST_MODULES, "import what is not needed at once where it is used"


def test_what_is_installed_has_a_bounded_size() -> None:
    sizes = {found.metadata["name"]: size_of(found) for found in map(installed, locked()) if found is not None}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:8]
    assert sum(sizes.values()) <= MOST_INSTALLED_BYTES, f"the largest are {largest}"


def locked() -> list[str]:
    """The packages of an installation without extras."""
    return re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


def installed(name: str) -> Distribution | None:
    """None where the lock file names it for another system."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def size_of(found: Distribution) -> int:
    """Of what came with it; the bytecode that Python makes of it is about as much as the sources."""
    files = [Path(str(file.locate())) for file in found.files or () if file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in files if file.is_file())
