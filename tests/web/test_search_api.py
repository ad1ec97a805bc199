"""The search by meaning over HTTP: with a service of embeddings, while it is away, and how far its index is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from tests.embeddings import embeddings_service
from tests.upstream import Upstream, json_reply

CONFIGURATION = """
[settings]
"ai:embedpreset" = "embed"

[presets.default]
provider = "echo"

[presets.embed]
provider = "ollama"
base_url = "{url}"
model = "nomic"
"""
CONVERSATIONS = "/api/ai/conversations"
INDEX = "/api/ai/search/index"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(otherwise=embeddings_service()) as upstream:
        yield upstream


@pytest.fixture
def client(upstream: Upstream, tmp_path: Path) -> Iterator[TestClient]:
    config = tmp_path / "palaver.toml"
    config.write_text(CONFIGURATION.format(url=upstream.base_url))
    settings = ServerSettings(data=tmp_path / "data", config=config)
    with TestClient(
        create_app(settings, lambda: open_deps(settings, {}, port=8000)), "http://127.0.0.1:8000"
    ) as client:
        client.headers = {"user-agent": "test"}
        yield client


def say(client: TestClient, block_id: str, text: str, **more: Any) -> None:
    message = {"id": f"{block_id}-1", "role": "user", "parts": [{"type": "text", "text": text}]}
    answer = client.post(f"/api/ai/chat/{block_id}", json={"message": message, **more})
    assert answer.status_code == 200


def until_done(client: TestClient, total: int) -> dict[str, Any]:
    while True:
        state = client.get(INDEX).json()
        if state["done"] == state["total"] == total:
            return state


def found(client: TestClient, **query: str) -> dict[str, Any]:
    return client.get(CONVERSATIONS, params=query).json()


def test_a_turn_is_found_by_what_it_means(client: TestClient) -> None:
    say(client, "driving", "say Which automobile is best")
    say(client, "pets", "say A kitten sleeps")
    assert until_done(client, 4) == {"enabled": True, "done": 4, "total": 4, "preset": "embed", "model": "nomic"}
    answer = found(client, q="vehicle")
    assert answer["mode"] == "hybrid"
    [item] = answer["conversations"]
    assert item["id"] == "driving"
    assert "automobile" in item["match"]["snippet"][0][0]
    assert found(client, q="vehicle", mode="text") == {"conversations": [], "mode": "text"}
    assert "driving" in client.get(CONVERSATIONS, params={"q": "vehicle"}, headers={"hx-request": "true"}).text


def test_nothing_of_a_temporary_chat_reaches_the_service(client: TestClient, upstream: Upstream) -> None:
    say(client, "secret", "say my secret automobile", store=False)
    say(client, "open", "say hello")
    until_done(client, 2)
    assert not any(b"secret" in request.body for request in upstream.requests)


def test_words_answer_while_the_service_is_down(client: TestClient, upstream: Upstream) -> None:
    say(client, "driving", "say my automobile")
    until_done(client, 2)
    upstream.otherwise = lambda _: json_reply(401, {})
    answer = found(client, q="automobile")
    assert [item["id"] for item in answer["conversations"]] == ["driving"]
    assert (answer["mode"], "refuses the key" in answer["problem"]) == ("text", True)


def test_a_deleted_conversation_is_found_no_more(client: TestClient) -> None:
    say(client, "driving", "say my automobile")
    until_done(client, 2)
    client.delete(f"{CONVERSATIONS}/driving")
    assert found(client, q="vehicle")["conversations"] == []
    assert client.get(INDEX).json()["total"] == 0


def test_the_index_is_made_anew_on_request(client: TestClient, upstream: Upstream) -> None:
    say(client, "driving", "say my automobile")
    until_done(client, 2)
    sent = len(upstream.requests)
    answer = client.post(INDEX, json={})
    assert (answer.status_code, answer.json()["total"]) == (202, 2)
    until_done(client, 2)
    assert len(upstream.requests) > sent


def test_the_pages_say_how_far_it_is_and_offer_no_chat_with_it(client: TestClient) -> None:
    say(client, "driving", "say my automobile")
    until_done(client, 2)
    page = client.get("/settings").text
    assert "2 of 2 messages have their vectors, made by <code>nomic</code>" in page
    assert 'value="embed"' not in client.get("/").text
    assert 'value="default"' in client.get("/").text


def test_a_mode_that_is_none_is_refused(client: TestClient) -> None:
    answer = client.get(CONVERSATIONS, params={"q": "a", "mode": "fuzzy"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "mode")
