from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings

CONFIGURATION = """
[presets.default]
provider = "echo"

[tools]
modules = ["./my_tools.py", "./broken.py"]

[tools.client.ask_user]
description = "Ask the user a question"

[mcp.dead]
url = "http://127.0.0.1:1/mcp"
headers = { Authorization = "Bearer sk-test-SECRET-0123456789" }
policy = "auto"
"""


class Failed(logging.Handler):
    """Hears that an MCP server could not be had: on a busy machine that takes longer than a request waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.event = Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "MCP server failed":
            self.event.set()


@pytest.fixture
def failed() -> Iterator[Event]:
    handler, log = Failed(), logging.getLogger("app.tools.mcp_connection")
    log.addHandler(handler)
    yield handler.event
    log.removeHandler(handler)


def test_every_tool_is_shown_with_what_is_wrong_with_others(tmp_path: Path, failed: Event) -> None:
    config = tmp_path / "palaver.toml"
    config.write_text(CONFIGURATION)
    (tmp_path / "my_tools.py").write_text('TOOL_POLICY = {"greet": "ask"}\ndef greet(name: str):\n    """Greet."""\n')
    (tmp_path / "broken.py").write_text("\nimport nothing_of_this_name\n")
    settings = ServerSettings(data=tmp_path / "data", config=config)
    app = create_app(settings, lambda: open_deps(settings, {}, port=8000))
    with TestClient(app, "http://127.0.0.1:8000") as client:
        client.get("/api/ai/tools")
        assert failed.wait(50)
        reply = client.get("/api/ai/tools")
    shown = reply.json()
    tools = {tool["name"]: tool for tool in shown["tools"]}
    assert list(tools) == [
        "current_time",
        "calculate",
        "fetch_page",
        "search_conversations",
        "read_attachment",
        "greet",
        "ask_user",
    ]
    assert tools["greet"] == {
        "name": "greet",
        "description": "Greet.",
        "parameters": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
        "policy": "ask",
        "source": "my_tools.py",
        "runs": "server",
        "dynamic": False,
    }
    assert (tools["ask_user"]["source"], tools["ask_user"]["runs"]) == ("configuration", "client")
    assert shown["problems"] == [
        "broken.py, line 2: ModuleNotFoundError: No module named 'nothing_of_this_name'.",
        "The MCP server dead cannot be used: it cannot be reached; check `url`.",
    ]
    assert shown["mcp"] == [
        {"name": "dead", "state": "failed", "tools": 0, "problem": "it cannot be reached; check `url`"}
    ]
    assert "sk-test-SECRET" not in reply.text
    assert str(tmp_path) not in reply.text
