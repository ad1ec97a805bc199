"""The official SDK of Anthropic as a client of Palaver, whatever service answers."""

from __future__ import annotations

import base64
import json

import anthropic
import pytest

from tests.acceptance.conftest import TOOLS as TOOL_MODULE
from tests.acceptance.conftest import application
from tests.acceptance.said import Said, Tokens, calling
from tests.acceptance.services import SERVICES
from tests.upstream import (
    FIXTURES,
    Reply,
    Upstream,
    anthropic_answer,
    anthropic_frames,
    chat_answer,
    fixture,
    json_reply,
)

PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001"
        "e221bc330000000049454e44ae426082"
    )
).decode()
PDF = base64.b64encode(b"%PDF-1.4 a very small document").decode()
TOOLS = [
    {
        "name": name,
        "description": "How the weather is.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    for name in ("rain", "wind")
]
QUESTION = [{"role": "user", "content": [{"type": "text", "text": "How is it?"}]}]
SERVICE_NAMES = ("anthropic", "openai", "openai-chat", "google", "mistral", "ollama")


@pytest.fixture(params=SERVICE_NAMES)
def service(request):
    return SERVICES[request.param]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An application with a preset of every service."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "weather.py").write_text(TOOL_MODULE)
    with Upstream() as upstream:
        presets = "".join(SERVICES[name].preset(upstream) for name in SERVICE_NAMES)
        with application(folder, presets) as client:
            yield client, upstream


@pytest.fixture
def service_client(running):
    return running[0]


@pytest.fixture
def services_upstream(running):
    running[1].requests.clear()
    return running[1]


def sdk(client, **more):
    """The SDK over the application's own client: no socket, and no waiting between its tries."""
    options = {"api_key": "the-clients-own-key", "max_retries": 0, **more}
    return anthropic.Anthropic(base_url="http://127.0.0.1:8000", http_client=client, **options)


def claude(upstream, more="", *, name="default"):
    return f"""
[presets.{name}]
provider = "anthropic"
base_url = "{upstream.url}"
api_key_env = "TEST_KEY"
model = "claude-haiku-4-5"
{more}
"""


def local(upstream, more="", *, name="default"):
    return f"""
[presets.{name}]
provider = "llamacpp"
base_url = "{upstream.base_url}"
model = "tiny"
{more}
"""


def ask(client, **more):
    return sdk(client).messages.create(**{"model": "default", "max_tokens": 500, "messages": QUESTION, **more})


def streamed(client, **more):
    """The events' types, and the message that the SDK makes of them."""
    with sdk(client).messages.stream(**{"model": "default", "max_tokens": 500, "messages": QUESTION, **more}) as stream:
        kinds = [event.type for event in stream]
        return kinds, stream.get_final_message()


# Every service behind the format


@pytest.mark.parametrize("streams", [False, True])
def test_a_text_with_its_thinking_and_usage_comes_from_every_service(
    service, service_client, services_upstream, streams
):
    said = Said("It rains.", "Let me look out.", tokens=Tokens(sent=100, said=20, thought=5))
    services_upstream.reply(whole_or_streamed(service, said, streams))
    if streams:
        _, message = streamed(service_client, model=service.provider)
    else:
        message = ask(service_client, model=service.provider)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking.strip() == "Let me look out."
    assert message.content[1].text == "It rains."
    assert (message.stop_reason, message.role, message.type) == ("end_turn", "assistant", "message")
    assert message.usage.input_tokens == 100
    assert message.usage.output_tokens > 0


@pytest.mark.parametrize("streams", [False, True])
def test_tools_over_two_turns_with_every_service(service, service_client, services_upstream, streams):
    """What the SDK gives back word for word is a history that the service takes."""

    def say(said, messages):
        services_upstream.reply(whole_or_streamed(service, said, streams))
        arguments = {"model": service.provider, "tools": TOOLS, "messages": messages}
        return streamed(service_client, **arguments)[1] if streams else ask(service_client, **arguments)

    message = say(calling(1, "rain", "wind", thought="I need both.", text="Let me look."), QUESTION)
    calls = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use"
    assert [(call.name, call.input) for call in calls] == [("rain", {"city": "Tromsø"}), ("wind", {"city": "Tromsø"})]
    results = [
        {"type": "tool_result", "tool_use_id": calls[1].id, "content": [{"type": "text", "text": "9 m/s"}]},
        {"type": "tool_result", "tool_use_id": calls[0].id, "content": "7 mm", "is_error": True},
    ]
    history = [*QUESTION, {"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    message = say(Said("Wet and windy.", number=2), history)
    assert message.content[-1].text == "Wet and windy."
    sent = services_upstream.requests[1]
    service.check(sent.json)
    assert "7 mm" in sent.body.decode()
    assert "9 m/s" in sent.body.decode()


@anthropic.beta_tool
def rain(city: str) -> str:
    """Whether it rains.

    Args:
        city: where.
    """
    return f"Wet in {city}."


def test_the_sdks_tool_runner_works_where_no_thread_is_kept(service, service_client, services_upstream):
    """It asks for one first, and sends the messages themselves when it is told why there is none."""
    unthreaded = {"type": "invalid_request_error", "details": {"error_code": "thread_unsupported_request"}}
    replies = [whole_or_streamed(service, said, False) for said in (calling(1, "rain"), Said("So it is.", number=2))]
    if service.provider == "anthropic":
        replies.insert(0, json_reply(400, {"type": "error", "error": unthreaded}))
    services_upstream.reply(*replies)
    asked = {"model": service.provider, "max_tokens": 500, "messages": QUESTION, "tools": [rain]}
    message = sdk(service_client).beta.messages.tool_runner(**asked).until_done()
    assert message.content[0].text == "So it is."
    assert "thread" not in services_upstream.requests[-1].json
    assert "Wet in Troms" in services_upstream.requests[-1].body.decode()


def whole_or_streamed(service, said, streams):
    """Services of the same format are asked as the client asks; the others always stream."""
    if streams or service.provider != "anthropic":
        return Reply(service.dialect.frames(said))
    return json_reply(200, whole_message(service.dialect.frames(said)))


def whole_message(frames):
    """The message that a stream of Anthropic's makes."""
    events = [json.loads(frame.partition(b"data: ")[2]) for frame in frames]
    message = dict(events[0]["message"])
    blocks = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append({**event["content_block"], "_json": ""})
        elif event["type"] == "content_block_delta":
            grow(blocks[-1], event["delta"])
        elif event["type"] == "message_delta":
            message |= {"stop_sequence": None, **event["delta"]}
            message["usage"] = {**message["usage"], **event.get("usage", {})}
    for block in blocks:
        written = block.pop("_json")
        if written:
            block["input"] = json.loads(written)
    return {**message, "content": blocks}


def grow(block, delta):
    match delta:
        case {"type": "text_delta", "text": text}:
            block["text"] += text
        case {"type": "thinking_delta", "thinking": text}:
            block["thinking"] += text
        case {"type": "signature_delta", "signature": signature}:
            block["signature"] = signature
        case {"type": "input_json_delta", "partial_json": text}:
            block["_json"] += text


# Presets of another format


def test_the_events_come_in_the_order_of_the_format(upstream, palaver):
    with palaver(local(upstream)) as client:
        upstream.reply(chat_answer("Hel", "lo", reasoning=["Hm."]))
        with client.stream(
            "POST", "/v1/messages", json={"model": "default", "max_tokens": 9, "stream": True, "messages": QUESTION}
        ) as response:
            frames = "".join(response.iter_text()).strip().split("\n\n")
    assert response.headers["content-type"].startswith("text/event-stream")
    names = [frame.split("\n")[0].removeprefix("event: ") for frame in frames]
    events = [json.loads(frame.split("\n")[1].removeprefix("data: ")) for frame in frames]
    assert names == [event["type"] for event in events]
    assert names == [
        "message_start",
        *("content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"),
        *("content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"),
        *("message_delta", "message_stop"),
    ]
    assert [event["index"] for event in events if "index" in event] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert events[-2]["usage"]["output_tokens"] == 12


def test_images_documents_and_json_are_translated(upstream, palaver):
    content = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {
            "type": "document",
            "title": "Notes",
            "source": {"type": "text", "media_type": "text/plain", "data": "Buy tea."},
        },
        {"type": "text", "text": "What is this?"},
    ]
    schema = {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]}
    with palaver(local(upstream)) as client:
        ask(
            client,
            messages=[{"role": "user", "content": content}],
            system=[{"type": "text", "text": "Be brief."}],
            output_config={"format": {"type": "json_schema", "schema": schema}},
            stop_sequences=["END"],
        )
    sent = upstream.requests[0].json
    assert sent["messages"][0] == {"role": "system", "content": sent["messages"][0]["content"]}
    assert sent["messages"][0]["content"].startswith("Be brief.")
    assert f"data:image/png;base64,{PIXEL}" in json.dumps(sent["messages"][1])
    assert "Notes\\n\\nBuy tea." in json.dumps(sent["messages"][1])
    assert sent["stop"] == ["END"]
    assert sent["max_tokens"] == 500
    assert "response_format" in sent


def test_what_is_left_out_is_said_in_warnings(upstream, palaver):
    with palaver(local(upstream)) as client:
        message = ask(client, extra_body={"top_k": 5, "metadata": {"user_id": "u"}, "brand_new": 1})
        _, on_its_way = streamed(client, extra_body={"top_k": 5})
    assert [warning["setting"] for warning in message.warnings] == ["top_k", "brand_new"]
    assert [warning["setting"] for warning in on_its_way.warnings] == ["top_k"]


def test_an_address_is_refused_and_never_fetched(upstream, palaver):
    source = {"type": "url", "url": f"{upstream.url}/v1/picture.png"}
    for preset in (local(upstream), claude(upstream)):
        with palaver(preset) as client:
            for kind in ("image", "document"):
                with pytest.raises(anthropic.BadRequestError, match="base64"):
                    ask(client, messages=[{"role": "user", "content": [{"type": kind, "source": source}]}])
    assert upstream.requests == []


def test_the_preset_says_what_the_client_does_not(upstream, palaver):
    more = """
system = "You are terse."
temperature = 0.25
stop = ["###"]
"""
    answers = {local: Reply(chat_answer("Hi.")), claude: json_reply(200, whole_message(anthropic_answer("Hi.")))}
    for preset, answer in answers.items():
        with palaver(preset(upstream, more)) as client:
            upstream.reply(answer)
            ask(client)
    translated, as_it_is = (request.json for request in upstream.requests)
    assert translated["messages"][0] == {"role": "system", "content": "You are terse."}
    assert as_it_is["system"] == "You are terse."
    assert (translated["temperature"], as_it_is["temperature"]) == (0.25, 0.25)
    assert (translated["stop"], as_it_is["stop_sequences"]) == (["###"], ["###"])


def test_tokens_of_another_service_are_estimated_and_the_answer_says_so(upstream, palaver):
    with palaver(local(upstream)) as client:
        counted = sdk(client).messages.with_raw_response.count_tokens(
            model="default", messages=[{"role": "user", "content": "word " * 400}], tools=TOOLS
        )
    assert 400 < counted.parse().input_tokens < 1_000
    assert counted.headers["x-palaver-estimated"] == "true"
    assert upstream.requests == []


def test_calls_that_are_written_at_once_come_one_after_the_other(upstream, palaver):
    with palaver(local(upstream)) as client:
        upstream.reply(fixture("openai_chat/tools.jsonl"))
        kinds, message = streamed(client, tools=TOOLS)
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(message.content)
    assert all(isinstance(block.input, dict) for block in message.content if block.type == "tool_use")
    assert message.stop_reason == "tool_use"


# Presets of the same format

STREAMS = sorted(path.name for path in (FIXTURES / "anthropic").glob("*.jsonl"))


@pytest.mark.parametrize("name", STREAMS)
def test_every_recorded_stream_passes_through_unchanged(name, service_client, services_upstream):
    frames = fixture(f"anthropic/{name}")
    services_upstream.reply(frames)
    body = {"model": "anthropic", "max_tokens": 9, "stream": True, "messages": QUESTION}
    received = post(service_client, body)
    if b"message_stop" in frames[-1]:
        assert received == b"".join(frames)
    else:
        assert received.startswith(b"".join(frames))
        assert b"event: error\n" in received


def post(client, body):
    with client.stream("POST", "/v1/messages", json=body) as response:
        assert response.status_code == 200
        return b"".join(response.iter_bytes())


def test_a_request_is_passed_on_as_it_is_but_for_its_model(upstream, palaver):
    body = {
        "model": "anthropic/claude-opus-5-5",
        "max_tokens": 900,
        "messages": [
            {"role": "user", "content": "One"},
            {"role": "user", "content": [{"type": "text", "text": "Two"}]},
        ],
        "system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}, *TOOLS],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "thinking": {"type": "adaptive", "display": "summarized"},
        "top_k": 4,
        "metadata": {"user_id": "u"},
        "a_field_of_tomorrow": {"deep": [1, None, 2.50]},
    }
    with palaver(claude(upstream)) as client:
        upstream.reply(json_reply(200, {**whole_message(anthropic_answer("Hi.")), "tomorrow": [1]}))
        answer = client.post(
            "/v1/messages",
            json=body,
            headers={
                "anthropic-beta": "one-2026,two-2026",
                "anthropic-version": "2023-06-01",
                "x-api-key": "client-key",
            },
        )
    request = upstream.requests[0]
    assert request.json == {**body, "model": "claude-opus-5-5"}
    assert answer.json()["tomorrow"] == [1]
    assert request.headers["anthropic-beta"] == "one-2026,two-2026"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.key == "not-a-key"
    assert "client-key" not in str(request.headers)


def test_what_an_answer_used_is_in_the_books(upstream, palaver):
    with palaver(claude(upstream, "prices = { input = 1000, output = 3000 }")) as client:
        upstream.reply(anthropic_answer("Hi.", usage=(40, 7)), json_reply(200, whole_message(anthropic_answer("Hi."))))
        streamed(client)
        ask(client)
        usage = client.get("/api/ai/usage").json()
    assert [(each["purpose"], each["calls"]) for each in usage["byPurpose"]] == [("gateway", 2)]
    assert usage["total"]["inputTokens"] == 49
    assert usage["total"]["outputTokens"] == 19
    assert usage["total"]["costUsd"] == pytest.approx(0.049 + 0.057)


def test_own_fields_become_marks_and_thinking(upstream, palaver):
    own = {
        "prompt_caching": {"cache_system": True, "cache_tools": True},
        "thinking": {"enabled": True, "budget_tokens": 2000},
    }
    with palaver(claude(upstream)) as client:
        upstream.reply(anthropic_answer("Hi."))
        post(
            client,
            {
                "model": "default",
                "max_tokens": 4000,
                "stream": True,
                "system": "S",
                "tools": TOOLS,
                "messages": QUESTION,
                **own,
            },
        )
    sent = upstream.requests[0].json
    mark = {"type": "ephemeral"}
    assert sent["system"] == [{"type": "text", "text": "S", "cache_control": mark}]
    assert [tool.get("cache_control") for tool in sent["tools"]] == [None, mark]
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert "prompt_caching" not in sent
    assert "cache_control" not in json.dumps(sent["messages"])


def test_the_service_is_asked_for_its_count(upstream, palaver):
    with palaver(claude(upstream)) as client:
        upstream.reply(json_reply(200, {"input_tokens": 1234}))
        counted = sdk(client).messages.with_raw_response.count_tokens(model="default", messages=QUESTION, system="S")
        usage = client.get("/api/ai/usage").json()
    assert counted.parse().input_tokens == 1234
    assert "x-palaver-estimated" not in counted.headers
    assert upstream.requests[0].path.endswith("/v1/messages/count_tokens")
    assert upstream.requests[0].json == {"model": "claude-haiku-4-5", "messages": QUESTION, "system": "S"}
    assert usage["total"]["calls"] == 0


def test_thinking_of_another_service_does_not_go_to_claude(upstream, palaver):
    """Clients may change the model in the middle of a conversation; Anthropic refuses foreign signatures."""
    both = local(upstream) + claude(upstream, name="claude")
    with palaver(both) as client:
        upstream.reply(chat_answer("Four.", reasoning=["Two and two."]), anthropic_answer("Yes."))
        message = ask(client)
        assert message.content[0].type == "thinking"
        history = [*QUESTION, {"role": "assistant", "content": message.content}, {"role": "user", "content": "Sure?"}]
        streamed(client, model="claude", messages=history)
    assert upstream.requests[1].json["messages"][1]["content"] == [{"type": "text", "text": "Four."}]


ROUTER = """
[presets.pick]
provider = "router"
strategy = "best"
candidates = ["claude", "default"]
"""


def test_claude_behind_a_router_is_passed_on_as_it_is(upstream, palaver):
    frames = fixture("anthropic/thinking.jsonl")
    body = {
        "model": "pick",
        "max_tokens": 900,
        "messages": [*QUESTION, {"role": "system", "content": "Be brief."}],
        "top_k": 4,
        "a_field_of_tomorrow": [1, None],
    }
    with palaver(local(upstream) + claude(upstream, name="claude") + ROUTER) as client:
        upstream.reply(frames, json_reply(200, {**whole_message(anthropic_answer("Hi.")), "tomorrow": [1]}))
        assert post(client, {**body, "stream": True}) == b"".join(frames)
        assert client.post("/v1/messages", json=body).json()["tomorrow"] == [1]
        [model] = client.get("/api/ai/usage").json()["byModel"]
    streamed_body, whole_body = (request.json for request in upstream.requests)
    assert streamed_body == {**body, "model": "claude-haiku-4-5", "stream": True}
    assert whole_body == {**body, "model": "claude-haiku-4-5"}
    assert (model["model"], model["calls"]) == ("anthropic/claude-haiku-4-5", 2)


@pytest.mark.parametrize("streams", [False, True])
def test_where_claude_fails_before_its_first_word_the_next_candidate_is_asked(upstream, palaver, streams):
    with palaver(local(upstream) + claude(upstream, name="claude") + ROUTER) as client:
        upstream.reply(json_reply(401, {"error": {"type": "authentication_error"}}), chat_answer("From here."))
        message = streamed(client, model="pick")[1] if streams else ask(client, model="pick")
    assert (message.model, message.content[0].text) == ("tiny", "From here.")


def test_after_its_first_word_claude_answers_to_the_end(upstream, palaver):
    with palaver(local(upstream) + claude(upstream, name="claude") + ROUTER) as client:
        upstream.reply(Reply([*anthropic_answer("It rains.")[:4], "cut"]))
        with pytest.raises(anthropic.APIStatusError):
            streamed(client, model="pick")
    assert len(upstream.requests) == 1


def test_a_system_prompt_from_a_template_is_passed_on_too(upstream, palaver):
    with palaver(claude(upstream, 'system_template = "kind"')) as client:
        client.put("/api/ai/templates/kind", json={"text": "Be kind."})
        upstream.reply(anthropic_answer("Hi."))
        streamed(client)
    assert upstream.requests[0].json["system"] == "Be kind."


# When something goes wrong


@pytest.fixture(params=[claude, local])
def preset(request, upstream):
    return request.param(upstream)


@pytest.mark.parametrize("streams", [False, True])
def test_a_rate_limit_stays_one_with_its_time(preset, upstream, palaver, streams):
    limited = json_reply(429, {"error": {"type": "rate_limit_error", "message": "Slow down."}}, {"retry-after": "33"})
    with palaver(preset) as client:
        upstream.reply(limited)
        with pytest.raises(anthropic.RateLimitError) as caught:
            streamed(client) if streams else ask(client)
    assert caught.value.response.headers["retry-after"] == "33"
    assert caught.value.body["error"]["type"] == "rate_limit_error"
    assert caught.value.request_id.startswith("req_")


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("streams", [False, True])
def test_what_the_service_refuses_is_a_400_that_no_sdk_tries_again(preset, upstream, palaver, status, streams):
    with palaver(preset) as client:
        upstream.reply(json_reply(status, {"error": {"type": "invalid_request_error", "message": "too odd"}}))
        impatient = sdk(client, max_retries=2)
        with pytest.raises(anthropic.BadRequestError, match="too odd"):
            impatient.messages.create(model="default", max_tokens=9, messages=QUESTION, stream=streams)
    assert len(upstream.requests) == 1


def test_a_key_is_never_shown(preset, upstream, palaver):
    with palaver(preset) as client:
        upstream.reply(json_reply(401, {"error": {"type": "authentication_error", "message": "bad key not-a-key"}}))
        with pytest.raises(anthropic.APIStatusError) as caught:
            sdk(client, max_retries=2).messages.create(model="default", max_tokens=9, messages=QUESTION)
    assert len(upstream.requests) == 1, "no other try helps"
    assert "not-a-key" not in str(caught.value.body)
    assert "the-clients-own-key" not in str([request.headers for request in upstream.requests])


def test_an_overloaded_service_is_tried_again_before_the_first_word(preset, upstream, palaver):
    failed = json_reply(529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, {"retry-after": "0"})
    with palaver(preset) as client:
        upstream.reply(failed, anthropic_answer("Hi.") if "anthropic" in preset else chat_answer("Hi."))
        _, message = streamed(client)
    assert message.content[-1].text == "Hi."
    assert len(upstream.requests) == 2


def test_a_service_that_falls_silent_in_mid_answer_is_not_waited_for(upstream, palaver):
    with palaver(local(upstream, "timeouts = { between_events = 0.3 }")) as client:
        upstream.reply([*chat_answer("Half")[:2], "hold"])
        with pytest.raises(anthropic.APIError, match="next word"):
            streamed(client)


@pytest.mark.parametrize("searches", ["3", [3], 10**400], ids=["text", "list", "huge"])
def test_a_number_of_searches_that_is_none_ends_the_answer_as_the_services_fault(upstream, palaver, searches):
    events = [json.loads(line) for line in (FIXTURES / "anthropic/text.jsonl").read_text().split("\n") if line]
    end = next(event for event in events if event["type"] == "message_delta")
    end["usage"]["server_tool_use"] = {"web_search_requests": searches}
    with palaver(claude(upstream, "prices = { input = 1, output = 1, search = 1 }", name="claude")) as client:
        upstream.reply(anthropic_frames(events))
        answer = client.post("/v1/chat/completions", json={"model": "claude", "messages": QUESTION})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_broken")


def test_an_error_right_behind_the_start_is_an_http_status(upstream, palaver):
    frames = fixture("anthropic/text.jsonl")[:2]
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    with palaver(claude(upstream)) as client:
        upstream.reply(*([[*frames, error]] * 3))
        with pytest.raises(anthropic.APIStatusError) as caught:
            streamed(client)
    assert caught.value.status_code == 503
    assert caught.value.body["error"]["type"] == "overloaded_error"
    assert len(upstream.requests) == 3


@pytest.mark.parametrize("ending", [[], ["cut"], ["reset"]])
def test_a_stream_that_is_cut_off_ends_with_an_error_and_no_end_mark(preset, upstream, palaver, ending):
    """V1-03."""
    frames = anthropic_answer("Hel", finish=None) if "anthropic" in preset else chat_answer("Hel", finish=None)
    with palaver(preset) as client:
        upstream.reply([*frames, *ending])
        received = post(client, {"model": "default", "max_tokens": 9, "stream": True, "messages": QUESTION})
        upstream.reply([*frames, *ending])
        with pytest.raises(anthropic.APIStatusError):
            streamed(client)
    assert b"Hel" in received
    assert b"event: error\n" in received
    assert b"message_stop" not in received


def test_an_error_in_the_stream_ends_it_once(upstream, palaver):
    frames = fixture("anthropic/text.jsonl")[:6]
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"not-a-key"}}\n\n'
    with palaver(claude(upstream)) as client:
        upstream.reply([*frames, error])
        received = post(client, {"model": "default", "max_tokens": 9, "stream": True, "messages": QUESTION})
    assert received.count(b"event: error\n") == 1
    assert b"not-a-key" not in received


@pytest.mark.parametrize(
    "reply",
    [
        json_reply(200, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}),
        json_reply(200, {"type": "message", "content": []}),
        json_reply(200, ["no", "message"]),
        Reply([b"<html>Log in"], headers={"content-type": "text/html"}),
        Reply([b'{"type": "mess', "cut"], headers={"content-type": "application/json"}),
        Reply([b'{"type": "message"'], headers={"content-type": "application/json"}),
        Reply([], headers={"content-type": "application/json"}),
    ],
)
def test_a_whole_answer_that_is_none_is_an_error(upstream, palaver, reply):
    with palaver(claude(upstream)) as client:
        upstream.reply(reply, reply, reply)
        with pytest.raises(anthropic.InternalServerError) as caught:
            ask(client)
    assert caught.value.body["type"] == "error"


def test_every_answer_has_its_id(upstream, palaver):
    with palaver(local(upstream)) as client:
        answer = sdk(client).messages.create(model="default", max_tokens=9, messages=QUESTION)
        listed = client.get("/v1/models")
        wrong = client.post("/v1/messages", json={})
    assert answer._request_id.startswith("req_")
    for response in (listed, wrong):
        assert response.headers["request-id"] == response.headers["x-request-id"]
    assert wrong.json()["request_id"] == wrong.headers["request-id"]


# Models


def test_models_are_the_presets_for_the_clients_of_both_apis(upstream, palaver):
    presets = local(upstream, 'title = "Tiny"') + claude(upstream, name="claude")
    with palaver(presets) as client:
        models = sdk(client).models
        listed = list(models.list(limit=1))
        one = models.retrieve("claude")
        plainly = client.get("/v1/models").json()
        with pytest.raises(anthropic.NotFoundError):
            models.retrieve("nobody")
        with pytest.raises(anthropic.BadRequestError):
            models.list(limit=0)
    assert [model.id for model in listed] == ["default", "claude"]
    assert (listed[0].display_name, listed[0].type) == ("Tiny", "model")
    assert one.id == "claude"
    assert plainly["object"] == "list"
    assert {"id", "object", "created", "owned_by"} <= plainly["data"][0].keys()
    assert (plainly["has_more"], plainly["first_id"], plainly["last_id"]) == (False, "default", "claude")


def test_a_key_sees_the_presets_that_it_may_use_and_asks_no_other(upstream, palaver):
    with palaver(local(upstream) + claude(upstream, name="claude")) as client:
        key = client.post("/api/ai/keys", json={"name": "k", "presets": ["claude"]}).json()["key"]
        program = sdk(client, api_key=key)
        assert [model.id for model in program.models.list()] == ["claude"]
        with pytest.raises(anthropic.PermissionDeniedError):
            program.messages.create(model="default", max_tokens=9, messages=QUESTION)
        with pytest.raises(anthropic.AuthenticationError):
            sdk(client).models.list()
        upstream.reply(json_reply(200, {"input_tokens": 3}))
        assert program.messages.count_tokens(model="claude", messages=QUESTION).input_tokens == 3
        with pytest.raises(anthropic.PermissionDeniedError):
            program.messages.count_tokens(model="default", messages=QUESTION)
    assert key not in str([request.headers for request in upstream.requests])


def test_headers_set_what_the_body_does_not(upstream, palaver):
    for preset in (local(upstream), claude(upstream)):
        with palaver(preset) as client:
            upstream.reply(chat_answer("Hi.") if preset == local(upstream) else anthropic_answer("Hi."))
            body = {"model": "default", "max_tokens": 9, "stream": True, "messages": QUESTION}
            headers = {"x-ai-temperature": "0.5", "x-ai-max-tokens": "7", "x-ai-model": "another"}
            assert client.post("/v1/messages", json=body, headers=headers).status_code == 200
    for request in upstream.requests:
        sent = request.json
        assert (sent["temperature"], sent["max_tokens"], sent["model"]) == (0.5, 9, "another")


HOSTILE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"model": "default"}',
    b'{"model": "default", "max_tokens": 1, "messages": [null]}',
    b'{"model": "default", "max_tokens": 1, "messages": [{"role": "user", "content": {"a": 1}}]}',
    b'{"model": "default", "max_tokens": 1e999, "messages": [{"role": "user", "content": "x"}]}',
    b'{"model": "default", "max_tokens": -1, "messages": [{"role": "user", "content": "x"}]}',
    b'{"model": "default", "max_tokens": 1, "messages": [{"role": "user", "content": "\\u0000"}]}',
    b'{"model": "default", "max_tokens": 1, "messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"model": "default", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}], "stop_sequences": [1]}',
    b'{"model": "default", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}], "tools": [[]]}',
    b'{"model": "default", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}], "thinking": 5}',
    b'{"model": "default", "max_tokens": 1, "messages": ' + b"[" * 500 + b"]" * 500 + b"}",
]


def test_a_hostile_body_is_a_400_in_the_formats_shape(upstream, palaver):
    with palaver(local(upstream)) as client:
        for path in ("/v1/messages", "/v1/messages/stream", "/v1/messages/count_tokens"):
            for body in HOSTILE:
                answer = client.post(path, content=body, headers={"content-type": "application/json"})
                assert answer.status_code == 400, (path, body)
                assert answer.json()["error"]["type"] == "invalid_request_error"
    assert upstream.requests == []
