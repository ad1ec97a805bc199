"""The official `openai` SDK pointed at Palaver, with a model service of every format behind it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
import pytest
from pydantic import BaseModel

from tests.acceptance.said import Called, Said
from tests.acceptance.services import SERVICES
from tests.server_process import ServerProcess, server_process
from tests.upstream import Gate, Reply, Upstream, chat_answer, json_reply

pytestmark = pytest.mark.anyio

WIRES = ("anthropic", "openai", "openai-chat", "google")
QUESTION = {"role": "user", "content": "How wet is it in Tromsø?"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
RAIN: Any = {
    "type": "function",
    "function": {
        "name": "rain",
        "description": "How much it rains.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
EXTRA = """
[presets.default]
provider = "echo"

[presets.hasty]
provider = "openai-chat"
base_url = "{upstream}/v1"
api_key_env = "TEST_KEY"
model = "m"
[presets.hasty.timeouts]
first_event = 0.2
"""


HOSTILE = [
    b"",
    b"[]",
    b"{",
    b"\xff",
    b'{"messages": [{"role": "user", "content": "\\ud800"}], "model": "default"}',
    *(
        json.dumps({**fields, "model": "default", "messages": fields.get("messages", [QUESTION])}).encode()
        for fields in (
            {"messages": "x"},
            {"messages": [[]]},
            {"messages": [{"role": {}, "content": {}}]},
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 5}}]}]},
            {"messages": [{"role": "assistant", "tool_calls": [[]]}]},
            {"messages": [{"role": "assistant", "reasoning_details": {"a": 1}}]},
            {"messages": [5] * 4_000},
            {"temperature": [1]},
            {"tools": [{"type": "function", "function": []}]},
            {"stream_options": []},
            {"response_format": []},
            {"stop": {"a": 1}},
        )
    ),
]


class Rainfall(BaseModel):
    city: str
    mm: float


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(key="not-a-key") as running:
        yield running


@pytest.fixture(scope="module")
def palaver(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    presets = [SERVICES[wire].preset(upstream) for wire in WIRES]
    config = EXTRA.format(upstream=upstream.url) + "".join(presets)
    folder = tmp_path_factory.mktemp("gateway")
    with server_process(folder, config=config, environment={"TEST_KEY": "not-a-key"}) as running:
        yield running


@pytest.fixture
def client(palaver: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{palaver.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(palaver: ServerProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{palaver.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def play(upstream: Upstream, wire: str, *answers: Said, finish: str | None = None) -> None:
    for said in answers:
        upstream.reply(SERVICES[wire].dialect.frames(said, finish=finish))


def sent(upstream: Upstream, wire: str) -> dict[str, Any]:
    """What the service was sent last, which it would have taken."""
    body: dict[str, Any] = upstream.requests[-1].json
    SERVICES[wire].check(body)
    return body


@pytest.mark.parametrize("wire", WIRES)
def test_a_text_comes_whole(client: openai.OpenAI, upstream: Upstream, wire: str) -> None:
    play(upstream, wire, Said("It is wet. ☔", "Let me think."))
    answer = client.chat.completions.create(model=wire, messages=[QUESTION], max_tokens=500)
    (choice,) = answer.choices
    assert choice.message.content == "It is wet. ☔"
    assert choice.message.model_extra is not None
    assert choice.message.model_extra["reasoning_content"] == "Let me think."
    assert choice.finish_reason == "stop"
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == SERVICES[wire].model
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (100, 20, 120)
    sent(upstream, wire)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_text_comes_as_a_stream(async_client: openai.AsyncOpenAI, upstream: Upstream, wire: str) -> None:
    play(upstream, wire, Said("It is wet. ☔", "Let me think."))
    stream = await async_client.chat.completions.create(
        model=wire, messages=[QUESTION], stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == "It is wet. ☔"
    thoughts = [(delta.model_extra or {}).get("reasoning_content", "") for delta in deltas]
    assert "".join(thoughts) == "Let me think."
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 120
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_quickstart_works_without_any_other_change(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="some-model", messages=[{"role": "user", "content": "say Hello there"}]
    )
    assert answer.choices[0].message.content == "Hello there"
    assert answer.model == "echo"


@pytest.mark.parametrize("wire", WIRES)
def test_the_stream_helper_collects_calls(client: openai.OpenAI, upstream: Upstream, wire: str) -> None:
    calls = (Called(11, "rain", {"city": "Tromsø"}), Called(12, "rain", {"city": "Ålesund"}))
    play(upstream, wire, Said("Let me look.", calls=calls))
    with client.chat.completions.stream(model=wire, messages=[QUESTION], tools=[RAIN]) as stream:
        answer = stream.get_final_completion()
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.content == "Let me look."
    assert message.tool_calls is not None
    assert [json.loads(call.function.arguments) for call in message.tool_calls] == [
        {"city": "Tromsø"},
        {"city": "Ålesund"},
    ]
    assert len({call.id for call in message.tool_calls}) == 2


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_is_parsed_into_a_model(client: openai.OpenAI, upstream: Upstream, wire: str) -> None:
    play(upstream, wire, Said('{"city": "Tromsø", "mm": 7.5}'))
    answer = client.chat.completions.parse(model=wire, messages=[QUESTION], response_format=Rainfall)
    assert answer.choices[0].message.parsed == Rainfall(city="Tromsø", mm=7.5)
    assert '"mm"' in json.dumps(sent(upstream, wire))


def test_arguments_are_parsed_into_a_model(client: openai.OpenAI, upstream: Upstream) -> None:
    play(upstream, "openai-chat", Said(calls=(Called(11, "Rainfall", {"city": "Oslo", "mm": 1.0}),)))
    tool = openai.pydantic_function_tool(Rainfall)
    answer = client.chat.completions.parse(model="openai-chat", messages=[QUESTION], tools=[tool])
    (call,) = answer.choices[0].message.tool_calls or ()
    assert call.function.parsed_arguments == Rainfall(city="Oslo", mm=1.0)


@pytest.mark.parametrize("wire", WIRES)
def test_json_mode(client: openai.OpenAI, upstream: Upstream, wire: str) -> None:
    play(upstream, wire, Said('{"wet": true}'))
    answer = client.chat.completions.create(model=wire, messages=[QUESTION], response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content or "") == {"wet": True}
    assert "JSON" in json.dumps(sent(upstream, wire))


@pytest.mark.parametrize("wire", WIRES)
def test_a_picture_reaches_the_service(client: openai.OpenAI, upstream: Upstream, wire: str) -> None:
    play(upstream, wire, Said("A pixel."))
    content: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    client.chat.completions.create(model=wire, messages=[{"role": "user", "content": content}])
    assert PNG in json.dumps(sent(upstream, wire))


def test_an_address_of_a_picture_is_not_fetched(client: openai.OpenAI, upstream: Upstream) -> None:
    asked = len(upstream.requests)
    content: Any = [{"type": "image_url", "image_url": {"url": f"{upstream.url}/picture.png"}}]
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(model="openai-chat", messages=[{"role": "user", "content": content}])
    assert "not fetched" in refusal.value.message
    assert refusal.value.param == "messages[0].content[0].image_url"
    assert len(upstream.requests) == asked


@pytest.mark.parametrize("wire", WIRES)
def test_the_system_prompt_and_the_limit_reach_the_service(
    client: openai.OpenAI, upstream: Upstream, wire: str
) -> None:
    play(upstream, wire, Said("Yes."), finish=SERVICES[wire].limit)
    answer = client.chat.completions.create(
        model=wire, messages=[{"role": "developer", "content": "Be kind."}, QUESTION], max_completion_tokens=40_000
    )
    assert answer.choices[0].finish_reason == "length"
    body = json.dumps(sent(upstream, wire))
    assert "Be kind." in body
    assert "40000" in body


def test_an_error_has_openais_shape(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(model="default", messages=[QUESTION], n=2)
    error = refusal.value
    assert (error.code, error.param, error.type) == ("invalid_request", "n", "invalid_request_error")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody/nothing", messages=[QUESTION])


@pytest.mark.parametrize("stream", [False, True])
def test_a_limit_stays_one_and_says_when_to_come_back(
    client: openai.OpenAI, upstream: Upstream, *, stream: bool
) -> None:
    upstream.reply(json_reply(429, {"error": {"message": "Slow down."}}, {"retry-after": "77"}))
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(model="openai-chat", messages=[QUESTION], stream=stream)
    assert limited.value.response.headers["retry-after"] == "77"
    assert limited.value.code == "provider_rate_limited"


@pytest.mark.parametrize("stream", [False, True])
def test_a_busy_service_is_asked_again(client: openai.OpenAI, upstream: Upstream, *, stream: bool) -> None:
    upstream.reply(json_reply(503, {"error": {}}, {"retry-after": "1"}), chat_answer("There"))
    answer: Any = client.chat.completions.create(model="openai-chat", messages=[QUESTION], stream=stream)
    said = [chunk.choices[0].delta.content or "" for chunk in answer] if stream else [answer.choices[0].message.content]
    assert "".join(said) == "There"


def test_the_sdk_tries_again_by_itself(client: openai.OpenAI, upstream: Upstream) -> None:
    limited = json_reply(429, {"error": {"message": "Slow down."}}, {"retry-after": "77"})
    upstream.reply(limited, chat_answer("There"))
    patient = client.with_options(max_retries=1)
    # The SDK waits for as long as it is told to, unless that is no time that anybody would wait.
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="openai-chat", messages=[QUESTION])
    assert (
        patient.chat.completions.create(model="openai-chat", messages=[QUESTION]).choices[0].message.content == "There"
    )


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_service_refuses_is_the_programs_to_mend(
    client: openai.OpenAI, upstream: Upstream, *, stream: bool
) -> None:
    upstream.reply(json_reply(400, {"error": {"message": "No such voice."}}))
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(model="openai-chat", messages=[QUESTION], stream=stream)
    assert "No such voice." in refusal.value.message
    assert "not-a-key" not in str(refusal.value)


def test_a_refused_key_of_the_server_is_no_fault_of_the_program(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.reply(json_reply(401, {"error": {"message": "Incorrect key: not-a-key."}}))
    with pytest.raises(openai.InternalServerError) as failure:
        client.chat.completions.create(model="openai-chat", messages=[QUESTION])
    assert failure.value.status_code == 502
    assert "not-a-key" not in str(failure.value)


def test_a_slow_service_is_a_timeout(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.reply(["hold"])
    with pytest.raises(openai.InternalServerError) as failure:
        client.chat.completions.create(model="hasty", messages=[QUESTION])
    assert failure.value.status_code == 504


@pytest.mark.parametrize("steps", [chat_answer("Half", finish=None), [*chat_answer("Half")[:2], "cut"]])
def test_an_answer_that_was_cut_off_never_looks_whole(client: openai.OpenAI, upstream: Upstream, steps: Any) -> None:
    upstream.reply(Reply(steps), Reply(steps))
    with pytest.raises(openai.InternalServerError) as failure:
        client.chat.completions.create(model="openai-chat", messages=[QUESTION])
    assert failure.value.code == "provider_broken"
    said = []
    stream = client.chat.completions.create(model="openai-chat", messages=[QUESTION], stream=True)
    with pytest.raises(openai.APIError) as cut:
        said += [chunk.choices[0] for chunk in stream]
    assert cut.value.code == "provider_broken"
    assert all(choice.finish_reason is None for choice in said)


@contextmanager
def a_client_that_leaves(palaver: ServerProcess, *, stream: bool) -> Iterator[HTTPConnection]:
    """Its request is sent; when the block ends, it has gone."""
    body = {"model": "openai-chat", "messages": [QUESTION], "stream": stream}
    with closing(HTTPConnection(urlsplit(palaver.url).netloc, timeout=60)) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        yield connection


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_the_call(palaver: ServerProcess, upstream: Upstream, *, stream: bool) -> None:
    asked = len(upstream.requests)
    upstream.reply([*chat_answer("Once")[1:2], "hold"])
    with a_client_that_leaves(palaver, stream=stream) as connection:
        request = upstream.wait_for_requests(asked + 1)[-1]
        if stream:
            assert connection.getresponse().read(1)
    request.gone.wait()


def test_a_client_that_leaves_before_the_first_word_ends_the_call(palaver: ServerProcess, upstream: Upstream) -> None:
    asked = len(upstream.requests)
    upstream.reply([Gate()])
    with a_client_that_leaves(palaver, stream=True):
        request = upstream.wait_for_requests(asked + 1)[-1]
    request.gone.wait()


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: body[:60].decode("latin-1") or "nothing")
def test_a_hostile_body_is_a_400(palaver: ServerProcess, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = httpx2.post(f"{palaver.url}/v1/chat/completions", content=body, headers=headers, timeout=30)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


def test_an_address_in_the_body_leads_nowhere(client: openai.OpenAI, upstream: Upstream) -> None:
    play(upstream, "openai-chat", Said("Here."))
    elsewhere = {"base_url": "http://127.0.0.1:9", "api_base": "http://127.0.0.1:9", "api_key": "theirs"}
    answer = client.chat.completions.create(model="openai-chat", messages=[QUESTION], extra_body=elsewhere)
    assert answer.choices[0].message.content == "Here."
    assert upstream.requests[-1].key == "not-a-key"
    assert "theirs" not in upstream.requests[-1].body.decode()


def test_what_was_left_out_is_said(client: openai.OpenAI, upstream: Upstream) -> None:
    answer = client.chat.completions.create(model="openai", messages=[QUESTION], seed=4, stop=["x"])
    warnings = (answer.model_extra or {})["warnings"]
    assert [warning["setting"] for warning in warnings] == ["seed", "stop"]


def test_the_models_are_the_presets(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"default", "hasty", *WIRES} <= set(names)
    assert client.models.retrieve("default").id == "default"


def test_a_call_is_in_the_books(client: openai.OpenAI, palaver: ServerProcess, upstream: Upstream) -> None:
    def calls() -> int:
        purposes = httpx2.get(f"{palaver.url}/api/ai/usage").json()["byPurpose"]
        return next((purpose["calls"] for purpose in purposes if purpose["purpose"] == "gateway"), 0)

    before = calls()
    client.chat.completions.create(model="openai-chat", messages=[QUESTION])
    list(client.chat.completions.create(model="openai-chat", messages=[QUESTION], stream=True))
    assert calls() == before + 2
