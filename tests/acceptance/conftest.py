"""The whole application over a database in a folder, with a scripted model service behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from tests.upstream import Upstream

TOOLS = '''
"""Tools of the tests. What they did stands in ran.txt."""

from pathlib import Path

TOOL_POLICY = {"launch": "ask"}


def _note(what):
    with Path(__file__).with_name("ran.txt").open("a") as file:
        file.write(what + "\\n")


def rain(city: str) -> dict:
    """How much it rains."""
    _note(f"rain {city}")
    return {"city": city, "mm": 7.5}


def wind(city: str) -> str:
    """How strong the wind is."""
    _note(f"wind {city}")
    return f"{city}: 9 m/s"


def launch(city: str) -> str:
    """Launch a weather balloon."""
    _note(f"launch {city}")
    return "It flies."
'''

SETTINGS = """
[tools]
modules = ["./weather.py"]
"""

Palaver = Callable[..., AbstractContextManager[TestClient]]


@contextmanager
def application(folder: Path, presets: str, settings: str = SETTINGS) -> Iterator[TestClient]:
    """The application over what stands in `folder`."""
    config = folder / "palaver.toml"
    config.write_text(settings + presets)
    server = ServerSettings(data=folder / "data", config=config)
    app = create_app(server, lambda: open_deps(server, {"TEST_KEY": "not-a-key"}, port=8000))
    with TestClient(app, "http://127.0.0.1:8000", follow_redirects=False) as client:
        client.headers = {"user-agent": "test"}
        yield client


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def palaver(tmp_path: Path) -> Palaver:
    """Start the application: `with palaver(presets) as client`. Started again, it has the same database."""
    (tmp_path / "weather.py").write_text(TOOLS)
    return partial(application, tmp_path)


@pytest.fixture
def ran(tmp_path: Path) -> Callable[[], list[str]]:
    """What the tools did, in their order."""

    def read() -> list[str]:
        file = tmp_path / "ran.txt"
        return file.read_text().splitlines() if file.exists() else []

    return read
