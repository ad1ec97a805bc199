"""A router over HTTP: what a client hears of who answered, what it would choose, and what the pages show of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from tests.test_doctor import doctor
from tests.upstream import PATIENCE, Reply, Upstream, chat_answer, chat_chunk, chat_frames, json_reply

PNG = "data:image/png;base64,iVBORw0KGgo="

CONFIGURATION = """
[settings]
"ai:preset" = "auto"
{settings}

[presets.small]
provider = "openai-chat"
base_url = "{one}"
model = "tiny"
prices = {{ input = 1, output = 2 }}
title = "Small one"

[presets.large]
provider = "openai-chat"
base_url = "{two}"
model = "huge"
system = "Think."
prices = {{ input = 100, output = 200 }}

[presets.blind]
provider = "deepseek"
model = "gone"
base_url = "{two}"

[presets.keyless]
provider = "groq"

[presets.auto]
provider = "router"
title = "Automatic"
strategy = "cheapest"
candidates = ["large", "small"]
tools = ["calculate"]
{router}
{rules}
"""

RULES = """[[presets.auto.rules]]
when = { tag = "hard" }
use = ["large"]

[[presets.auto.rules]]
when = { template = "translate" }
use = ["large"]

[[presets.auto.rules]]
when = { matches = "secret" }
use = ["blind"]
"""


@pytest.fixture
def one() -> Iterator[Upstream]:
    with Upstream(models=("tiny",)) as running:
        yield running


@pytest.fixture
def two() -> Iterator[Upstream]:
    with Upstream(models=("huge",)) as running:
        yield running


class Servers:
    def __init__(self, folder: Path, one: Upstream, two: Upstream) -> None:
        self.folder, self.one, self.two = folder, one, two

    def configuration(self, settings: str = "", router: str = "", rules: str = RULES) -> str:
        return CONFIGURATION.format(
            one=self.one.base_url, two=self.two.base_url, settings=settings, router=router, rules=rules
        )

    @contextmanager
    def running(self, settings: str = "", router: str = "", rules: str = RULES) -> Iterator[TestClient]:
        config = self.folder / "palaver.toml"
        config.write_text(self.configuration(settings, router, rules))
        server = ServerSettings(data=self.folder / "data", config=config)
        app = create_app(server, lambda: open_deps(server, {}, port=8000))
        with TestClient(app, "http://127.0.0.1:8000", follow_redirects=False) as client:
            client.headers = {"user-agent": "test"}
            yield client


@pytest.fixture
def servers(tmp_path: Path, one: Upstream, two: Upstream) -> Servers:
    return Servers(tmp_path, one, two)


@pytest.fixture
def client(servers: Servers) -> Iterator[TestClient]:
    with servers.running() as client:
        yield client


def ask(client, text, *, url="/api/ai/chat/b1", files=(), **body):
    parts = [{"type": "text", "text": text}, *({"type": "file", "mediaType": "image/png", "url": url} for url in files)]
    return client.post(url, json={"message": {"id": f"m {text}", "role": "user", "parts": parts}, **body})


def chunks(response):
    frames = [frame.removeprefix("data: ") for frame in response.text.split("\n\n") if frame.startswith("data: {")]
    return [json.loads(frame) for frame in frames]


def metadata(response):
    """Of `start`, and of `finish`."""
    found = [chunk["messageMetadata"] for chunk in chunks(response) if "messageMetadata" in chunk]
    return found[0], found[-1]


def test_the_stream_tells_who_answered_and_why(client):
    response = ask(client, "hello")
    start, finish = metadata(response)
    routed = {"preset": "small", "model": "tiny", "why": "the cheapest of 2"}
    assert (start["preset"], start["model"], start["routed"]) == ("auto", "tiny", routed)
    assert (finish["model"], finish["routed"]) == ("tiny", routed)
    assert finish["costUsd"] == pytest.approx((9 * 1 + 12 * 2) / 1e6)
    kinds = [chunk["type"] for chunk in chunks(response)]
    assert kinds[:3] == ["start", "start-step", "text-start"]
    assert kinds[-2:] == ["finish-step", "finish"]
    assert not {"answering", "data-answering", "data-status"} & set(kinds)


def test_what_is_stored_tells_it_too_and_the_ledger_knows_who_was_paid(client, one):
    one.reply(*[json_reply(500, {})] * 2)
    _, finish = metadata(ask(client, "hello"))
    answer = client.get("/api/ai/conversations/b1").json()["messages"][-1]
    assert answer["metadata"]["routed"] == finish["routed"]
    assert finish["routed"]["preset"] == "large"
    assert finish["routed"]["skipped"][0]["preset"] == "small"
    usage = client.get("/api/ai/usage").json()
    [row] = usage["byPreset"]
    assert (row["preset"], row["calls"]) == ("large", 1)
    assert row["costUsd"] == pytest.approx((9 * 100 + 12 * 200) / 1e6)


def test_a_key_that_is_refused_is_warned_of(client, one):
    one.reply(json_reply(401, {}))
    _, finish = metadata(ask(client, "hello"))
    [warning] = finish["warnings"]
    assert warning["setting"] == "router"
    assert "refuses the key of preset 'small'" in warning["details"]


def test_where_all_fail_the_answer_is_an_error_status(client, one, two):
    one.otherwise = two.otherwise = lambda _: json_reply(429, {}, {"retry-after": "30"})
    response = ask(client, "hello")
    assert response.status_code == 429
    assert response.headers["retry-after"] == "30"
    assert "None of the candidates of auto could answer" in response.text


def test_a_turn_with_tools_stays_with_who_began_it(client, one, two):
    call = {
        "index": 0,
        "id": "c1",
        "type": "function",
        "function": {"name": "calculate", "arguments": '{"expression":"1+1"}'},
    }
    one.reply(Reply(chat_frames([chat_chunk({"tool_calls": [call]}), chat_chunk({}, "tool_calls")])))
    response = ask(client, "add")
    assert [request.json["model"] for request in one.requests] == ["tiny", "tiny"]
    assert any(chunk["type"] == "tool-output-available" for chunk in chunks(response))
    assert not two.requests
    assert one.requests[0].json["tools"][0]["function"]["name"] == "calculate"


def test_a_failure_in_the_middle_of_a_turn_with_tools_goes_on_elsewhere(client, one):
    call = {
        "index": 0,
        "id": "c1",
        "type": "function",
        "function": {"name": "calculate", "arguments": '{"expression":"1+1"}'},
    }
    one.reply(Reply(chat_frames([chat_chunk({"tool_calls": [call]}), chat_chunk({}, "tool_calls")])))
    one.reply(*[json_reply(500, {})] * 2)
    start, finish = metadata(ask(client, "add"))
    assert (start["model"], finish["model"]) == ("tiny", "huge")
    assert finish["routed"]["why"] == "the next in line after small"
    rows = client.get("/api/ai/usage").json()["byPreset"]
    assert {row["preset"]: row["calls"] for row in rows} == {"small": 1, "large": 1}


def test_after_the_first_word_the_answer_fails_where_it_is(client, one, two):
    one.reply([*chat_answer("half", finish=None), "cut"])
    response = ask(client, "hello")
    assert [chunk["type"] for chunk in chunks(response)][-1] == "error"
    assert not two.requests
    assert client.get("/api/ai/conversations/b1").json()["messages"][-1]["metadata"]["model"] == "tiny"


@pytest.mark.parametrize("named", [{"json": {"options": {"model": "x"}}}, {"headers": {"x-ai-model": "x"}}])
def test_a_model_named_with_a_router_is_refused(client, named):
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
    body = {"message": message, **named.get("json", {})}
    response = client.post("/api/ai/chat/b1", json=body, headers=named.get("headers"))
    assert response.status_code == 400
    assert "The preset auto is a router" in response.text


def test_a_blocks_tag_and_a_template_choose(client):
    client.patch("/api/ai/blocks/b1", json={"ai:tag": "hard"})
    assert metadata(ask(client, "hello"))[1]["routed"]["why"] == "rule 1 (the tag hard): the only one to choose"
    client.put("/api/ai/templates/translate", json={"text": "Translate {{text}}"})
    response = client.post("/api/ai/chat/b2", json={"template": "translate", "variables": {"text": "this"}})
    assert metadata(response)[1]["routed"]["why"] == "rule 2 (the template translate): the only one to choose"


@pytest.mark.parametrize("tag", ["", "x" * 65, 1, ["a"]])
def test_a_tag_is_a_short_text(client, tag):
    response = client.patch("/api/ai/blocks/b1", json={"ai:tag": tag})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "ai:tag")


def test_an_image_that_nobody_of_a_rule_takes_is_an_error_of_the_request(client, two):
    response = ask(client, "secret", files=[PNG])
    assert response.status_code == 400
    assert "blind: It takes no images." in response.text
    assert not two.requests


def test_what_would_be_chosen_now_and_with_which_values(client):
    answer = client.get("/api/ai/resolve/b1").json()
    assert answer["preset"] == {"value": "auto", "layer": "global"}
    assert answer["routed"] == {"preset": "small", "model": "tiny", "why": "the cheapest of 2"}
    assert answer["values"]["model"] == {"value": "tiny", "layer": "candidate"}
    assert answer["values"]["tools"] == {"value": ["calculate"], "layer": "preset"}
    client.patch("/api/ai/blocks/b1", json={"ai:tag": "hard", "ai:temperature": 0.5})
    answer = client.get("/api/ai/resolve/b1").json()
    assert answer["routed"]["preset"] == "large"
    assert answer["values"]["system"] == {"value": "Think.", "layer": "candidate"}
    assert answer["values"]["temperature"] == {"value": 0.5, "layer": "block"}
    assert client.get("/api/ai/resolve/b1?preset=small").json().get("routed") is None


def test_what_would_be_chosen_goes_by_the_conversation(client):
    ask(client, "it is a secret")
    assert client.get("/api/ai/resolve/b1").json()["routed"]["preset"] == "blind"


def test_who_has_no_key_would_not_be_chosen(servers):
    with servers.running(router='[presets.auto2]\nprovider = "router"\ncandidates = ["keyless", "small"]') as client:
        routed = client.get("/api/ai/resolve/b1?preset=auto2").json()["routed"]
    assert (routed["preset"], routed["why"]) == ("small", "the next in line after keyless")
    assert "needs a key for Groq" in routed["skipped"][0]["why"]


def test_the_classifier_has_its_word_in_the_why(servers):
    with servers.running(router='classifier = "small"') as client:
        routed = client.get("/api/ai/resolve/b1").json()["routed"]
    assert routed["why"] == "the cheapest of 2, unless small names another"


def test_the_list_of_presets(client):
    presets = {preset["name"]: preset for preset in client.get("/api/ai/presets").json()["presets"]}
    assert presets["auto"]["model"] == ""
    assert presets["auto"]["candidates"] == ["large", "small", "blind"]
    assert "candidates" not in presets["small"]


def test_a_title_may_come_from_a_router(servers, one):
    with servers.running(settings='"ai:titlepreset" = "auto"') as client:
        ask(client, "hello")
        one.wait_for_requests(2)[1].answered.wait()
        purposes, deadline = {}, time.monotonic() + PATIENCE
        while "title" not in purposes and time.monotonic() < deadline:
            purposes = {row["purpose"]: row["calls"] for row in client.get("/api/ai/usage").json()["byPurpose"]}
        assert purposes == {"chat": 1, "title": 1}
        rows = client.get("/api/ai/usage").json()["byPreset"]
    assert {row["preset"]: row["calls"] for row in rows} == {"small": 2}


def test_one_call_of_the_gateway_is_routed_too(client, one):
    one.reply(*[json_reply(500, {})] * 2)
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    answer = client.post("/v1/chat/completions", json=body).json()
    assert answer["choices"][0]["message"]["content"] == "Hello from upstream."
    assert answer["model"] == "huge"
    [row] = client.get("/api/ai/usage").json()["byPreset"]
    assert row["preset"] == "large"


def test_the_gateway_names_the_model_that_answers_in_either_format(client):
    said = {"messages": [{"role": "user", "content": "hi"}], "model": "auto", "max_tokens": 9}
    assert client.post("/v1/messages", json=said).json()["model"] == "tiny"
    for address in ("/v1/messages", "/v1/chat/completions"):
        stream = client.post(address, json={**said, "stream": True}).text
        assert '"model":"tiny"' in stream
        assert '"auto"' not in stream
        assert "Hello" in stream


# The pages.


def test_a_new_start_knows_who_was_quick_and_forgets_who_failed(servers, one):
    router = 'rules = [{ when = { slower_than = 0.000001 }, use = ["large"] }]'
    with servers.running(router=router, rules="") as client:
        assert metadata(ask(client, "hello"))[1]["routed"]["preset"] == "small"
        one.reply(*[json_reply(500, {})] * 2)
        ask(client, "again", url="/api/ai/chat/b2")
    with servers.running(router=router, rules="") as client:
        routed = metadata(ask(client, "hello", url="/api/ai/chat/b3"))[1]["routed"]
    assert (routed["preset"], routed["why"]) == ("large", "rule 1 (slower than 1e-06 s): the only one to choose")


def test_a_check_is_good_where_one_candidate_is(client):
    answer = client.get("/api/ai/presets/auto/check").json()
    assert answer["ok"]
    assert answer["message"] == "These can answer: large, small. These cannot: blind."
    assert answer["models"] == []


def test_the_settings_page_shows_a_router_for_what_it_is(client):
    page = client.get("/settings").text
    assert "Automatic" in page
    assert "the cheapest of large, small, blind" in " ".join(page.split())


def test_the_welcome_takes_no_router_for_the_demo(client):
    assert "demo" not in client.get("/").text.split('id="transcript"')[-1].split("<form")[0].lower()


def test_files_that_any_candidate_takes_may_be_attached(client):
    page = client.get("/").text
    option = page.split('<option value="auto"')[1].split(">")[0]
    assert "image/png" in option


def test_the_message_says_which_model_answered(client):
    ask(client, "hello")
    page = client.get("/c/b1").text
    assert "tiny" in page


def test_the_settings_of_a_conversation_say_who_would_answer(client):
    page = client.get("/c/b1/settings").text
    assert "Would answer now" in page
    assert "the cheapest of 2" in page
    form = {"preset": "auto", "model": "mine"}
    refused = client.post("/c/b1/settings", data=form, headers={"origin": "http://127.0.0.1:8000"})
    assert refused.status_code == 400
    assert "is a router, which chooses the model itself" in refused.text


def test_the_doctor_is_content_with_a_router_that_has_one_who_can_answer(servers, tmp_path):
    configuration = servers.configuration().replace('provider = "openai-chat"', 'provider = "ollama"')
    (tmp_path / "doctor").mkdir()
    said, complaints = doctor(tmp_path / "doctor", configuration).communicate(timeout=60)
    assert "ok    auto" in said
    assert "These can answer: large, small. These cannot: blind." in said
    assert "Traceback" not in complaints
