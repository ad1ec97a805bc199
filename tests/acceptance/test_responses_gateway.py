"""The official `openai` SDK's `responses` pointed at Palaver, with a model service of every format behind it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel

from tests.acceptance.said import Called, Said, calling
from tests.acceptance.services import SERVICES
from tests.server_process import ServerProcess, server_process
from tests.upstream import Reply, Upstream, chat_answer, json_reply

pytestmark = pytest.mark.anyio

WIRES = ("anthropic", "openai", "openai-chat", "google")
QUESTION = "How wet is it in Tromsø?"
RAIN: Any = {
    "type": "function",
    "name": "rain",
    "description": "How much it rains.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HOSTILE = [
    b"",
    b"[]",
    b"{",
    b'{"input": "\\ud800", "model": "default"}',
    *(
        json.dumps({"model": "default", "input": "x", **fields}).encode()
        for fields in (
            {"input": 5},
            {"input": [[]]},
            {"input": [{"type": {}}]},
            {"input": [{"type": "reasoning", "encrypted_content": "palaver.bnVsbA=="}]},
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": 5}]}]},
            {"input": [5] * 4_000},
            {"temperature": [1]},
            {"tools": [{"type": "function", "name": []}]},
            {"text": []},
            {"reasoning": 1},
            {"metadata": []},
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
    config = '[presets.default]\nprovider = "echo"\n' + "".join(SERVICES[wire].preset(upstream) for wire in WIRES)
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


def test_the_quickstart_works_without_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server_process(tmp_path) as palaver:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{palaver.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "unused")
        with openai.OpenAI() as client:
            answer = client.responses.create(model="gpt-5.2", input="say Hello there")
    assert answer.output_text == "Hello there"
    assert (answer.status, answer.model) == ("completed", "echo")
    assert answer.id.startswith("resp_")


@pytest.mark.parametrize("wire", WIRES)
def test_a_text_comes_whole(client: openai.OpenAI, upstream: Upstream, wire: str) -> None:
    play(upstream, wire, Said("It is wet. ☔", "Let me think."))
    answer = client.responses.create(model=wire, input=QUESTION, instructions="Be kind.", max_output_tokens=40_000)
    thought, message = answer.output
    assert thought.type == "reasoning"
    assert [part.text for part in thought.summary] == ["Let me think."]
    assert message.type == "message"
    assert answer.output_text == "It is wet. ☔"
    assert answer.model == SERVICES[wire].model
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (100, 20, 120)
    assert (answer.instructions, answer.max_output_tokens) == ("Be kind.", 40_000)
    body = json.dumps(sent(upstream, wire))
    assert "Be kind." in body
    assert "40000" in body


@pytest.mark.parametrize("wire", WIRES)
async def test_a_text_comes_as_a_stream(async_client: openai.AsyncOpenAI, upstream: Upstream, wire: str) -> None:
    play(upstream, wire, Said("It is wet. ☔", "Let me think."))
    stream = await async_client.responses.create(model=wire, input=QUESTION, stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    texts = [event.delta for event in events if event.type == "response.output_text.delta"]
    thoughts = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
    assert ("".join(texts), "".join(thoughts)) == ("It is wet. ☔", "Let me think.")
    assert len(texts) > 1
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "It is wet. ☔"


@pytest.mark.parametrize("wire", WIRES)
def test_the_stream_helper_collects_calls(client: openai.OpenAI, upstream: Upstream, wire: str) -> None:
    calls = (Called(11, "rain", {"city": "Tromsø"}), Called(12, "rain", {"city": "Ålesund"}))
    play(upstream, wire, Said("Let me look.", "Hm.", calls=calls))
    with client.responses.stream(model=wire, input=QUESTION, tools=[RAIN]) as stream:
        answer = stream.get_final_response()
    assert answer.output_text == "Let me look."
    called = [item for item in answer.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in called] == [{"city": "Tromsø"}, {"city": "Ålesund"}]
    assert len({call.call_id for call in called}) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_tools_run_over_two_turns(client: openai.OpenAI, upstream: Upstream, wire: str, *, stream: bool) -> None:
    said = calling(1, "rain", "rain", thought="Look.", text="Let me see.")
    play(upstream, wire, said, Said("It rains.", number=2))
    history: list[Any] = [{"role": "user", "content": QUESTION}]
    if stream:
        with client.responses.stream(model=wire, input=history, tools=[RAIN]) as events:
            output: list[Any] = list(events.get_final_response().output)
    else:
        output = list(client.responses.create(model=wire, input=history, tools=[RAIN]).output)
    history += [item.to_dict() for item in output]
    calls = [item for item in output if item.type == "function_call"]
    history += [{"type": "function_call_output", "call_id": call.call_id, "output": "7.5 mm"} for call in calls]
    answer = client.responses.create(model=wire, input=history, tools=[RAIN])
    assert answer.output_text == "It rains."
    dialect = SERVICES[wire].dialect
    row = dialect.prompt(sent(upstream, wire))
    expected = dialect.sent_back(said, ["7.5 mm", "7.5 mm"], [call.call_id for call in calls])
    assert row[-len(expected) :] == expected


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_is_parsed_into_a_model(client: openai.OpenAI, upstream: Upstream, wire: str) -> None:
    play(upstream, wire, Said('{"city": "Tromsø", "mm": 7.5}'))
    answer = client.responses.parse(model=wire, input=QUESTION, text_format=Rainfall)
    assert answer.output_parsed == Rainfall(city="Tromsø", mm=7.5)
    assert '"mm"' in json.dumps(sent(upstream, wire))


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_that_met_its_limit_is_incomplete(client: openai.OpenAI, upstream: Upstream, wire: str) -> None:
    play(upstream, wire, *[Said("Yes.")] * 2, finish=SERVICES[wire].limit)
    answer = client.responses.create(model=wire, input=QUESTION)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
    *_, last = client.responses.create(model=wire, input=QUESTION, stream=True)
    assert last.type == "response.incomplete"


def test_an_error_has_openais_shape(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        client.responses.create(model="default", input=QUESTION, previous_response_id="resp_1")
    error = refusal.value
    assert (error.code, error.param, error.type) == (
        "invalid_request",
        "previous_response_id",
        "invalid_request_error",
    )
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="nobody/nothing", input=QUESTION)


def test_an_address_of_a_picture_is_not_fetched(client: openai.OpenAI, upstream: Upstream) -> None:
    asked = len(upstream.requests)
    content: Any = [{"type": "input_image", "image_url": f"{upstream.url}/picture.png", "detail": "auto"}]
    with pytest.raises(openai.BadRequestError) as refusal:
        client.responses.create(model="openai-chat", input=[{"role": "user", "content": content}])
    assert "not fetched" in refusal.value.message
    assert len(upstream.requests) == asked


@pytest.mark.parametrize("stream", [False, True])
def test_a_limit_stays_one_and_says_when_to_come_back(
    client: openai.OpenAI, upstream: Upstream, *, stream: bool
) -> None:
    upstream.reply(json_reply(429, {"error": {"message": "Slow down."}}, {"retry-after": "77"}))
    with pytest.raises(openai.RateLimitError) as limited:
        client.responses.create(model="openai-chat", input=QUESTION, stream=stream)
    assert limited.value.response.headers["retry-after"] == "77"
    assert limited.value.code == "provider_rate_limited"


@pytest.mark.parametrize("steps", [chat_answer("Half", finish=None), [*chat_answer("Half")[:2], "cut"]])
def test_an_answer_that_was_cut_off_never_looks_whole(
    client: openai.OpenAI, palaver: ServerProcess, upstream: Upstream, steps: Any
) -> None:
    upstream.reply(*[Reply(steps)] * 4)
    with pytest.raises(openai.InternalServerError) as failure:
        client.responses.create(model="openai-chat", input=QUESTION)
    assert failure.value.code == "provider_broken"
    said = []
    stream = client.responses.create(model="openai-chat", input=QUESTION, stream=True)
    with pytest.raises(openai.APIError) as cut:
        said += [event.type for event in stream]
    assert cut.value.code == "provider_broken"
    assert "response.completed" not in said
    with client.responses.stream(model="openai-chat", input=QUESTION) as helper, pytest.raises(openai.APIError):
        helper.get_final_response()
    body = {"model": "openai-chat", "input": QUESTION, "stream": True}
    answer = httpx2.post(f"{palaver.url}/v1/responses", json=body, timeout=30).text
    assert answer.rstrip().rpartition("\n\n")[2].startswith("event: response.failed\n")
    assert "Half" in answer


def test_a_client_that_leaves_ends_the_call(palaver: ServerProcess, upstream: Upstream) -> None:
    asked = len(upstream.requests)
    upstream.reply([*chat_answer("Once")[1:2], "hold"])
    body = {"model": "openai-chat", "input": QUESTION, "stream": True}
    with httpx2.Client(timeout=10) as client, client.stream("POST", f"{palaver.url}/v1/responses", json=body) as answer:
        next(answer.iter_bytes())
    upstream.wait_for_requests(asked + 1)[-1].gone.wait()


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: body[:60].decode("latin-1") or "nothing")
def test_a_hostile_body_is_a_400(palaver: ServerProcess, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = httpx2.post(f"{palaver.url}/v1/responses", content=body, headers=headers, timeout=30)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


def test_what_was_left_out_is_said(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="openai", input=QUESTION, extra_body={"seed": 4})
    assert [warning["setting"] for warning in (answer.model_extra or {})["warnings"]] == ["seed"]
