"""What a key of the gateway may not get around: whom it asks, and what is counted as spent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from tests.upstream import Gate, Reply, Upstream, anthropic_frames, chat_answer, chat_chunk, chat_frames

CONFIGURATION = """
[presets.default]
provider = "echo"

[presets.claude]
provider = "anthropic"
base_url = "{url}"
api_key_env = "TEST_KEY"
model = "claude-haiku-4-5"
prices = {{ input = 10, output = 50, cache_write = 12, cache_write_1h = 20, search = 1000 }}

[presets.local]
provider = "openai-chat"
base_url = "{base_url}"
api_key_env = "TEST_KEY"
model = "tiny"
prices = {{ input = 10, output = 50 }}

[presets.mistral]
provider = "llamacpp"
base_url = "{base_url}"
model = "tiny"
prices = {{ input = 10, output = 50 }}

[presets.unpriced]
provider = "llamacpp"
base_url = "{base_url}"
model = "other"

[presets.smart]
provider = "router"
strategy = "best"
candidates = ["local", "mistral"]
classifier = "mistral"

[presets.blind]
provider = "router"
strategy = "best"
candidates = ["local", "mistral"]
classifier = "unpriced"
"""
QUESTION = [{"role": "user", "content": "How is it?"}]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def client(tmp_path: Path, upstream: Upstream) -> Iterator[TestClient]:
    config = tmp_path / "palaver.toml"
    config.write_text(CONFIGURATION.format(url=upstream.url, base_url=upstream.base_url))
    settings = ServerSettings(data=tmp_path / "data", config=config)
    environ = {"TEST_KEY": "ours", "MISTRAL_API_KEY": "ours-at-mistral"}
    app = create_app(settings, lambda: open_deps(settings, environ, port=8000))
    with TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False) as opened:
        yield opened


def make(client: TestClient, **limits: Any) -> str:
    return str(client.post("/api/ai/keys", json={"name": "Editor", **limits}).json()["key"])


def ask(client: TestClient, key: str, model: str, path: str = "/v1/messages", **more: Any):
    headers = {"x-api-key": key, **more.pop("headers", {})}
    body = {"model": model, "max_tokens": 500, "messages": QUESTION, "stream": True, **more}
    return client.post(path, json=body, headers=headers)


def spent(client: TestClient) -> float:
    [listed] = client.get("/api/ai/keys").json()["keys"]
    return float(listed["spentThisMonth"])


def message(*events: Any, **usage: int) -> list[bytes]:
    head = {"id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": []}
    start = {"type": "message_start", "message": {**head, "usage": {"output_tokens": 1, **usage}}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    return anthropic_frames([start, block, *events])


def text(said: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": said}}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("model", ["anthropic/claude-opus-4-5", "claude-opus-4-5"])
def test_a_key_for_a_preset_asks_no_other_model_of_its_service(client, upstream, model, path):
    refused = ask(client, make(client, presets=["claude"]), model, path)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "preset_not_allowed")
    assert upstream.requests == []


def test_a_key_for_a_preset_gets_no_other_model_by_a_header(client, upstream):
    key = make(client, presets=["claude"])
    refused = ask(client, key, "claude", headers={"x-ai-model": "claude-opus-4-5"})
    assert refused.status_code == 403
    assert upstream.requests == []


def test_a_key_for_a_preset_may_name_its_model(client):
    key = make(client, presets=["claude"])
    for model in ("claude", "ai@claude", "claude-haiku-4-5", "anthropic/claude-haiku-4-5"):
        assert ask(client, key, model).status_code == 200


@pytest.mark.parametrize(
    ("path", "more"), [("/v1/messages", {}), ("/v1/chat/completions", {}), ("/v1/embeddings", {"input": "x"})]
)
def test_a_service_without_a_preset_is_not_the_preset_of_the_same_name(client, path, more):
    key = make(client, presets=["mistral"])
    body = {"model": "mistral/mistral-large", **(more or {"max_tokens": 5, "messages": QUESTION})}
    refused = client.post(path, json=body, headers={"x-api-key": key})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "preset_not_allowed")


@pytest.mark.parametrize("name", ["x" * 201, " ", "a\nb", "a\x7fb"])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/embeddings"])
def test_a_name_that_no_model_can_have_is_the_programs_mistake(client, path, name):
    body = {"input": "x"} if path == "/v1/embeddings" else {"max_tokens": 5, "messages": QUESTION}
    refused = client.post(path, json={"model": f"llamacpp/{name}", **body})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")


def test_a_name_that_leads_nowhere_is_told_no_presets(client):
    key = make(client, presets=["claude"])
    refused = ask(client, key, "nobody/m")
    assert refused.status_code == 404
    assert "mistral" not in refused.text


ADVISER = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-4-5"}


@pytest.mark.parametrize("preset", ["claude", "smart"])
@pytest.mark.parametrize("limits", [{"presets": ["claude", "smart"]}, {"spendLimit": 100}])
@pytest.mark.parametrize(
    "said",
    [
        {"tools": [ADVISER]},
        {"fallbacks": [{"model": "claude-opus-4-5"}]},
        {"fallbacks": "default"},
        {"speed": "fast"},
        {"inference_geo": "us"},
    ],
)
def test_a_key_with_limits_asks_no_other_model_by_the_way(client, upstream, preset, limits, said):
    refused = ask(client, make(client, **limits), preset, **said)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "preset_not_allowed")
    assert upstream.requests == []
    assert ask(client, make(client), "claude", **said).status_code == 200


def test_what_a_router_asks_first_is_spent_too(client, upstream):
    key = make(client, spendLimit=100)
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
    opinion = chat_frames([chat_chunk({"content": '{"candidate": "local"}'}, "stop"), {"choices": [], "usage": usage}])
    upstream.reply(opinion, chat_answer("Fine."))
    assert ask(client, key, "smart").status_code == 200
    assert len(upstream.requests) == 2
    assert spent(client) > 10


def test_a_router_whose_first_question_has_no_price_is_not_for_a_key_with_a_limit(client, upstream):
    refused = ask(client, make(client, spendLimit=100), "blind")
    assert refused.status_code == 403
    assert upstream.requests == []


def test_a_relayed_answer_that_is_cut_off_is_paid_for(client, upstream):
    key = make(client, spendLimit=100)
    upstream.reply(Reply([*message(text("x" * 4_000), input_tokens=1_000_000), "cut"]))
    assert "error" in ask(client, key, "claude").text
    assert spent(client) == pytest.approx(10.05, abs=0.01)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_a_translated_answer_that_is_cut_off_is_paid_for(client, upstream, path):
    key = make(client, spendLimit=100)
    upstream.reply(Reply([*chat_frames([chat_chunk({"content": "x" * 4_000})], done=False), "cut"]))
    question = [{"role": "user", "content": "y" * 40_000}]
    assert "error" in ask(client, key, "local", path, messages=question).text
    assert spent(client) == pytest.approx(0.15, abs=0.01)


def test_a_call_that_fails_before_its_first_word_costs_nothing(client, upstream):
    key = make(client, spendLimit=100)
    upstream.reply(Reply(status=400, headers={"content-type": "application/json"}, steps=[b"{}"]))
    assert ask(client, key, "claude").status_code == 400
    assert spent(client) == 0


def test_what_the_cache_keeps_for_an_hour_costs_what_an_hour_costs(client, upstream):
    key = make(client, spendLimit=100)
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 0}}
    stop = {"type": "message_stop"}
    upstream.reply(message(text("x"), end, stop, input_tokens=0, cache_creation_input_tokens=1_000_000))
    control = {"type": "ephemeral", "ttl": "1h"}
    marked = [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": control}]}]
    assert ask(client, key, "claude", messages=marked).status_code == 200
    assert spent(client) == pytest.approx(20)


def test_what_the_service_searches_for_is_paid_for(client, upstream):
    key = make(client, spendLimit=100)
    searched = {"output_tokens": 0, "server_tool_use": {"web_search_requests": 3}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": searched}
    upstream.reply(message(text("x"), end, {"type": "message_stop"}, input_tokens=0))
    assert ask(client, key, "claude").status_code == 200
    assert spent(client) == pytest.approx(3)


def test_calls_that_run_at_once_are_told_to_wait_for_what_is_left(client, upstream):
    """A million tokens of answer may cost 50 dollars."""
    key = make(client, spendLimit=60)
    gate = Gate()
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
    answer = message(text("x"), end, {"type": "message_stop"}, input_tokens=0)
    upstream.reply(Reply([gate, *answer]), Reply(answer))
    with ThreadPoolExecutor() as threads:
        first = threads.submit(ask, client, key, "claude", max_tokens=1_000_000)
        upstream.wait_for_requests(1)
        refused = ask(client, key, "claude", max_tokens=1_000_000)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(refused.headers["retry-after"]) > 0
        gate.open()
        assert first.result().status_code == 200
    assert ask(client, key, "claude", max_tokens=1_000_000).status_code == 200
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("place", ["messages", "system", "tool result"])
def test_a_server_of_ones_own_is_told_no_address(client, upstream, place):
    block = {"type": "image", "source": {"type": "url", "url": "http://127.0.0.1/"}}
    if place == "tool result":
        block = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    said = {"system": [block]} if place == "system" else {"messages": [{"role": "user", "content": [block]}]}
    refused = client.post("/v1/messages", json={"model": "claude", "max_tokens": 5, "messages": QUESTION, **said})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_content")
    assert upstream.requests == []


def test_who_leaves_before_the_end_has_paid(client, upstream):
    key = make(client, spendLimit=100)
    upstream.reply(Reply([*message(text("x" * 4_000), input_tokens=1_000_000), "hold"]))
    body = json.dumps({"model": "claude", "max_tokens": 5, "messages": QUESTION, "stream": True}).encode()
    client.portal.call(leave_in_mid_answer, client, key, body)
    assert spent(client) == pytest.approx(10.05, abs=0.01)


async def leave_in_mid_answer(client: TestClient, key: str, body: bytes) -> None:
    headers = {"host": "127.0.0.1:8000", "x-api-key": key, "content-type": "application/json"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/messages",
        "raw_path": b"/v1/messages",
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": dict(client.app_state),
        "headers": [
            (name.encode(), value.encode()) for name, value in {**headers, "content-length": str(len(body))}.items()
        ],
    }
    left = anyio.Event()
    received = [{"type": "http.request", "body": body}]

    async def receive():
        if received:
            return received.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(sent):
        if b"xxxx" in sent.get("body", b""):
            left.set()

    with anyio.fail_after(10):
        await client.app(scope, receive, send)
