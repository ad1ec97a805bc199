"""One real server with every kind of model behind it, a React app on another origin, and Chromium."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from e2e.chat_page import Chat
from scripts.machine import find_chromium
from tests.llama import llama_server
from tests.server_process import ROOT, ServerProcess, server_process
from tests.upstream import Upstream

PATIENCE = 30_000
"""Milliseconds after which something that a test waits for will not come; Playwright's own for what a test does."""

REACT = ROOT / "e2e/react"

QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-smooth-scrolling",
)
"""Chromium without anything that goes to the network by itself, or goes on moving after a turn of the wheel."""

CONFIG = """
[settings]
"ai:preset" = "echo"

[presets.echo]
provider = "echo"
title = "Echo"

[presets.parrot]
provider = "echo"
title = "Parrot"

[presets.fake-openai]
provider = "openai-chat"
base_url = "{upstream}/v1"
api_key_env = "FAKE_KEY"
model = "tiny"

[presets.fake-anthropic]
provider = "anthropic"
base_url = "{upstream}"
api_key_env = "FAKE_KEY"
model = "tiny"

[presets.llama]
provider = "llamacpp"
base_url = "{llama}"
model = "tiny"
temperature = 0
max_tokens = 1000

[presets.tools]
provider = "echo"
tools = ["*"]
max_steps = 4

[presets.mcp]
provider = "echo"
tools = ["mcp:demo/add"]

[tools]
modules = ["{root}/e2e/tools_for_tests.py"]

[mcp.demo]
command = "{python}"
args = ["{root}/tests/tools/mcp_server.py"]
policy = "auto"
"""


class StaticFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing: what matters here stands in the server's log."""


@pytest.fixture(scope="session")
def react_app() -> Iterator[str]:
    """The origin of the React page: not the server's, so that CORS is in play."""
    assert (REACT / "dist/sdk7.js").exists(), "The React page is not built. `make test` does it."
    handler = partial(StaticFiles, directory=str(REACT))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """The model service behind the presets `fake-openai` and `fake-anthropic`; a test says what it answers."""
    with Upstream() as running:
        yield running


@pytest.fixture(autouse=True)
def no_reply_left(upstream: Upstream) -> Iterator[None]:
    """What one test queued and did not ask for is not for the next one."""
    yield
    upstream.forget()


@pytest.fixture(scope="session")
def server(react_app: str, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with (
        llama_server() as llama,
        server_process(
            tmp_path_factory.mktemp("palaver"),
            config=CONFIG.format(upstream=upstream.url, llama=llama, root=ROOT, python=sys.executable),
            environment={
                "PALAVER_ALLOWED_ORIGINS": react_app,
                "FAKE_KEY": "not-a-key",
                "UPSTREAM_URL": upstream.url,
            },
        ) as running,
    ):
        while not is_ready(running):
            pass
        yield running


def is_ready(server: ServerProcess) -> bool:
    """Its MCP server has started, which the answer waits for a moment; a turn would go on without."""
    with urlopen(f"{server.url}/api/ai/tools") as answer:
        return all(each["state"] != "connecting" for each in json.load(answer)["mcp"])


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": find_chromium(), "args": list(QUIET)}


@pytest.fixture
def chat(page: Page, server: ServerProcess) -> Iterator[Chat]:
    """The page, watched: whatever a test does, the console stays clean and no request leaves the server."""
    chat = Chat(page, server)
    chat.watch()
    yield chat
    assert chat.complaints == []


def pytest_configure(config: pytest.Config) -> None:
    expect.set_options(timeout=PATIENCE)
    # pytest-base-url, which pytest-playwright brings, defines its fixture in a way that pytest 10 will refuse.
    config.addinivalue_line("filterwarnings", "ignore:Session-scoped fixtures defined as instance methods")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the server said last."""
    report = yield
    running = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(running, ServerProcess):
        report.sections.append(("server log", "".join(running.log[-40:])))
    return report
