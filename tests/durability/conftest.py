"""One real server with a model service behind it that says what a test tells it to, when the test tells it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.durability.client import Chat, opened
from tests.server_process import ServerProcess, server_process
from tests.upstream import Upstream

CONFIG = """
[settings]
"ai:preset" = "fake"

[presets.fake]
provider = "openai-chat"
base_url = "{upstream}"
api_key_env = "FAKE_KEY"
model = "tiny"

[presets.echo]
provider = "echo"
"""

FIGURES: list[str] = []


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture(scope="session")
def start(upstream: Upstream) -> Callable[[Path], ServerProcess]:
    """Start a server over a folder: `with start(folder) as server`."""
    config = CONFIG.format(upstream=upstream.base_url)
    return lambda folder: server_process(folder, config=config, environment={"FAKE_KEY": "not-a-key"})


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shared server stores."""
    return tmp_path_factory.mktemp("palaver")


@pytest.fixture(scope="session")
def server(start: Callable[[Path], ServerProcess], folder: Path) -> Iterator[ServerProcess]:
    """The server of every test that does not kill its own."""
    with start(folder) as running:
        yield running


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def chat(server: ServerProcess, _numbers: Iterator[int]) -> Chat:
    """A conversation that nobody has begun yet."""
    return Chat(server, f"block-{next(_numbers)}")


@pytest.fixture(autouse=True)
def _close_streams(upstream: Upstream) -> Iterator[None]:
    yield
    upstream.forget()
    for stream in opened:
        stream.close()
    opened.clear()


@pytest.fixture(scope="session")
def measured() -> Callable[[str], None]:
    """Note a figure: all are printed when the tests are over."""
    return FIGURES.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("measured")
        for figure in FIGURES:
            terminalreporter.write_line(figure)
