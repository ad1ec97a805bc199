"""The settings page, and the question to a service behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from tests.upstream import Upstream

KEY = "sk-secret-0123456789"
HTMX = {"hx-request": "true", "accept": "text/html"}

CONFIGURATION = """
[settings]
"ai:preset" = "mine"

[presets.mine]
provider = "openai-chat"
title = "My model"
base_url = "{url}"
model = "tiny"
tools = ["*", "get_wether"]
tool_policy = {{ calculat = "ask" }}

[presets.keyless]
provider = "anthropic"

[presets.open]
provider = "ollama"
model = "m"

[mcp.files]
command = "no-such-program"
"""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(key=KEY, models=("tiny", "gpt-6.1-terra")) as running:
        yield running


@pytest.fixture
def visitor(tmp_path: Path, upstream: Upstream) -> Iterator[Callable[..., TestClient]]:
    opened: list[TestClient] = []

    def start(configuration: str | None = CONFIGURATION) -> TestClient:
        config = None
        if configuration is not None:
            config = tmp_path / "palaver.toml"
            config.write_text(configuration.format(url=upstream.base_url))
        settings = ServerSettings(data=tmp_path / "data", config=config)
        app = create_app(settings, lambda: open_deps(settings, {"OPENAI_API_KEY": KEY}, port=8000))
        client = TestClient(app, "http://127.0.0.1:8000")
        opened.append(client.__enter__())
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)


def test_the_page_opens_without_asking_anybody(visitor: Callable[..., TestClient], upstream: Upstream) -> None:
    page = visitor().get("/settings").text
    assert upstream.requests == []
    assert page.index("My model") < page.index("keyless")
    assert 'hx-get="/api/ai/presets/mine/check"' in page
    assert "Set, from <code>OPENAI_API_KEY</code>" in page
    assert "Missing: <code>ANTHROPIC_API_KEY</code>" in page
    assert "Needs none" in page
    assert 'hx-get="/settings/tools"' in page


def test_without_a_script_the_services_are_asked_first(visitor: Callable[..., TestClient], upstream: Upstream) -> None:
    page = visitor().get("/settings?check=true").text
    assert len(upstream.requests) == 1
    assert "answers and lists 2 models." in page
    assert "needs a key for Anthropic" in page
    assert 'hx-trigger="load"' not in page
    assert "current_time" in page


def test_a_program_gets_the_check_as_json(visitor: Callable[..., TestClient]) -> None:
    client = visitor()
    well = client.get("/api/ai/presets/mine/check").json()
    assert (well["preset"], well["ok"]) == ("mine", True)
    assert well["models"] == [
        {"id": "tiny", "abilities": []},
        {"id": "gpt-6.1-terra", "abilities": ["thinking"]},
    ]
    ill = client.get("/api/ai/presets/keyless/check").json()
    assert (ill["ok"], ill["models"]) == (False, [])
    assert client.get("/api/ai/presets/nobody/check").status_code == 404


def test_the_page_gets_the_check_as_what_stands_in_the_card(visitor: Callable[..., TestClient]) -> None:
    card = visitor().get("/api/ai/presets/mine/check", headers=HTMX).text
    assert card.lstrip().startswith('<div class="check-result"')
    assert '<datalist id="models-mine"><option value="tiny">' in card


def test_no_key_and_no_folder_leaves_the_server(visitor: Callable[..., TestClient], tmp_path: Path) -> None:
    client = visitor()
    pages = client.get("/settings?check=true").text + client.get("/api/ai/presets/mine/check").text
    assert KEY not in pages
    assert str(tmp_path) not in pages
    assert "<code>palaver.toml</code>" in pages


def test_names_that_lead_nowhere_and_servers_that_fail_are_told(visitor: Callable[..., TestClient]) -> None:
    page = visitor().get("/settings/tools").text.replace("&#39;", "'")
    assert "offers 'get_wether' in its tools, and there is no such tool." in page
    assert "has a tool_policy for 'calculat', and no tool of this server is called so." in page
    assert "The MCP server files cannot be used" in page


def test_without_a_file_the_page_says_how_to_begin_one(visitor: Callable[..., TestClient]) -> None:
    page = visitor(None).get("/settings").text
    assert "No file. The built-in defaults hold." in page
    assert "Write <code>palaver.toml</code> where you start Palaver" in page


def test_a_foreign_page_can_not_make_the_server_ask(visitor: Callable[..., TestClient], upstream: Upstream) -> None:
    answer = visitor().get("/api/ai/presets/mine/check", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert upstream.requests == []


def test_a_new_chat_says_that_its_preset_lacks_a_key(visitor: Callable[..., TestClient]) -> None:
    client = visitor()
    assert "<code>ANTHROPIC_API_KEY</code>" in client.get("/?preset=keyless").text
    assert "cannot answer yet" not in client.get("/?preset=mine").text
