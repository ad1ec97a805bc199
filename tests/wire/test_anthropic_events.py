"""Events of a model call → the events of a message, and the whole message, which say the same."""

from __future__ import annotations

import json

import pytest

from app.core.answered import answered
from app.core.errors import ProviderBroken, ProviderRateLimited
from app.core.events import (
    CallWarning,
    GeneratedFile,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    Status,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    Usage,
)
from app.core.model import ToolCall
from app.wire.anthropic_answer import Head, to_message
from app.wire.anthropic_events import MessageEncoder
from app.wire.anthropic_history import read_history

HEAD = Head("msg_1", "tiny")
STOP = ModelFinish("stop", Usage(20, 9, 3, cache_read_tokens=5, cache_write_tokens=8))
NOTE = CallWarning("top_k", "Left out.")


def encoded(*events, notes=()):
    encoder = MessageEncoder(HEAD, notes, "req_1")
    data = b"".join(encoder.encode([event]) for event in events)
    frames = data.decode().strip().split("\n\n") if data else []
    values = [json.loads(frame.split("\ndata: ")[1]) for frame in frames]
    assert [frame.split("\n")[0] for frame in frames] == [f"event: {value['type']}" for value in values]
    return values


def message_of(values):
    """What a client makes of the events; it takes nothing that is out of place."""
    assert values[0]["type"] == "message_start"
    assert values[-1]["type"] == "message_stop"
    message = {**values[0]["message"], "content": []}
    is_open = False
    for value in values[1:]:
        match value:
            case {"type": "content_block_start", "index": index, "content_block": block}:
                assert not is_open
                assert index == len(message["content"])
                message["content"].append({**block, "_json": ""})
                is_open = True
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                assert is_open
                assert index == len(message["content"]) - 1
                grow(message["content"][-1], delta)
            case {"type": "content_block_stop", "index": index}:
                assert is_open
                assert index == len(message["content"]) - 1
                is_open = False
                block = message["content"][-1]
                if written := block.pop("_json"):
                    block["input"] = json.loads(written)
            case {"type": "message_delta"}:
                assert not is_open
                message |= {**value["delta"], "usage": value["usage"]}
    return message


def grow(block, delta):
    match delta:
        case {"type": "input_json_delta", "partial_json": text}:
            block["_json"] += text
        case {"type": "citations_delta", "citation": citation}:
            block.setdefault("citations", []).append(citation)
        case {"type": kind}:
            name = kind.removesuffix("_delta")
            block[name] += delta[name]


def text(part, *deltas, metadata=None):
    return [TextStart(part), *(TextDelta(part, delta) for delta in deltas), TextEnd(part, metadata)]


def thought(part, *deltas, metadata=None):
    return [ReasoningStart(part), *(ReasoningDelta(part, delta) for delta in deltas), ReasoningEnd(part, metadata)]


def call(call_id, *deltas, value=None, metadata=None):
    value = {} if value is None else value
    return [
        ToolInputStart(call_id, "look"),
        *(ToolInputDelta(call_id, delta) for delta in deltas),
        ToolInputAvailable(call_id, "look", value, provider_metadata=metadata),
    ]


SEARCH = {"type": "server_tool_use", "name": "web_search"}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}

ANSWERS = {
    "text": text("0", "Hel", "lo\u2028"),
    "nothing": [],
    "an empty text": text("0"),
    "cited": text("0", "So it is.", metadata={"anthropic": {"citations": [{"type": "page_location"}]}}),
    "signed": [*thought("0", "Hm.", metadata={"anthropic": {"signature": "c2ln"}}), *text("1", "Yes.")],
    "signed and not shown": thought("0", metadata={"anthropic": {"signature": "c2ln"}}),
    "redacted": [*thought("0", metadata={"anthropic": {"redactedData": "ZA=="}}), *text("1", "Yes.")],
    "encrypted": thought("0", "Hm.", metadata={"openai": {"itemId": "rs_1", "reasoningEncryptedContent": "x"}}),
    "a call in pieces": call("c1", '{"a"', ":1}", value={"a": 1}),
    "a call at once": call("c1", value={"a": 1}),
    "a call that wants something back": call("c1", value={"a": 1}, metadata={"google": {"thoughtSignature": "s"}}),
    "a call without a start": [ToolInputAvailable("c1", "look", {"a": 1})],
    "a server's own tool": [
        ToolInputStart("s1", "web_search", provider_executed=True),
        ToolInputAvailable("s1", "web_search", {"q": 1}, False, True, {"anthropic": {"block": SEARCH}}),
        ToolOutputAvailable("s1", [], False, True, provider_metadata={"anthropic": {"block": FOUND}}),
    ],
    "another service's own tool": [
        ToolInputAvailable("s1", "search", {"q": 1}, False, True, {"openai": {"itemId": "x"}}),
        ToolOutputAvailable("s1", [], False, True),
    ],
    "a picture": [GeneratedFile("image/png", "data:image/png;base64,AAAA"), *text("0", "There.")],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_stream_says_what_the_whole_message_does(name):
    events = [NOTE, *ANSWERS[name], STOP]
    assert message_of(encoded(*events)) == to_message(answered(events), HEAD, ())


def test_blocks_that_are_written_at_once_wait_for_their_turn():
    values = encoded(
        TextStart("0"),
        TextDelta("0", "A"),
        ToolInputStart("c1", "look"),
        ToolInputStart("c2", "look"),
        ToolInputDelta("c2", '{"b":'),
        ToolInputDelta("c1", '{"a":1}'),
        TextDelta("0", "B"),
        TextEnd("0"),
        ToolInputDelta("c2", "2}"),
        ToolInputAvailable("c2", "look", {"b": 2}),
        ToolInputAvailable("c1", "look", {"a": 1}),
        STOP,
    )
    content = message_of(values)["content"]
    assert [block.get("text") or (block["id"], block["input"]) for block in content] == [
        "AB",
        ("c1", {"a": 1}),
        ("c2", {"b": 2}),
    ]


def test_a_delta_leaves_at_once():
    encoder = MessageEncoder(HEAD, (), "req_1")
    assert b"message_start" in encoder.encode([TextStart("0"), TextDelta("0", "A")])
    assert encoder.encode([TextDelta("0", "B")]) == (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"B"}}\n\n'
    )


def test_input_is_what_is_left_beside_the_cache():
    usage = message_of(encoded(*text("0", "A"), STOP))["usage"]
    assert usage == {
        "input_tokens": 7,
        "cache_creation_input_tokens": 8,
        "cache_read_input_tokens": 5,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 3},
    }


@pytest.mark.parametrize(
    ("finish", "events", "reason"),
    [
        ("stop", text("0", "A"), "end_turn"),
        ("length", text("0", "A"), "max_tokens"),
        ("tool-calls", call("c1"), "tool_use"),
        ("stop", call("c1"), "tool_use"),
        ("length", call("c1"), "max_tokens"),
        ("content-filter", (), "refusal"),
        ("other", (), "end_turn"),
    ],
)
def test_why_it_ended(finish, events, reason):
    end = ModelFinish(finish, Usage(), "Because.")
    message = message_of(encoded(*events, end))
    assert message["stop_reason"] == reason
    assert message.get("stop_details", {}).get("explanation") == ("Because." if reason == "refusal" else None)


def test_an_answer_that_ended_in_an_error_has_no_end():
    end = ModelFinish("error", Usage(), "It broke.")
    values = encoded(*text("0", "A"), end)
    assert values[-1]["error"]["message"] == "It broke."
    assert "message_stop" not in [value["type"] for value in values]
    with pytest.raises(ProviderBroken):
        to_message(answered([end]), HEAD, ())


def test_arguments_that_nobody_can_read_are_shown_as_they_are():
    broken = [ToolInputStart("c1", "look"), ToolInputError("c1", "look", '{"a', "no JSON"), STOP]
    assert [value["delta"]["partial_json"] for value in encoded(*broken) if "delta" in value and "index" in value] == [
        '{"a'
    ]
    assert to_message(answered(broken), HEAD, ())["content"][0]["input"] == {"INVALID_JSON": '{"a'}


def test_waiting_for_a_service_says_nothing():
    assert encoded(Status("retrying", "Wait."), NOTE) == []


def test_warnings_stand_in_the_message():
    values = encoded(CallWarning("stop", "No."), *text("0", "A"), STOP, notes=[NOTE])
    assert [warning["setting"] for warning in values[0]["message"]["warnings"]] == ["top_k", "stop"]


def test_an_error_has_the_formats_type_and_the_requests_id():
    encoder = MessageEncoder(HEAD, (), "req_1")
    assert json.loads(encoder.fail(ProviderRateLimited("Slow.")).split(b"data: ")[1]) == {
        "type": "error",
        "error": {"type": "rate_limit_error", "code": "provider_rate_limited", "message": "Slow.", "param": None},
        "request_id": "req_1",
    }


def test_what_a_service_wants_back_comes_back():
    encrypted = {"openai": {"itemId": "rs_1", "reasoningEncryptedContent": "x"}}
    signed = {"google": {"thoughtSignature": "s"}}
    events = [*thought("0", "Hm.", metadata=encrypted), *call("c1", value={"a": 1}, metadata=signed), STOP]
    content = to_message(answered(events), HEAD, ())["content"]
    history = read_history([{"role": "user", "content": "Q"}, {"role": "assistant", "content": content}])
    reasoning, called = history.messages[1].content
    assert reasoning.provider_metadata == encrypted
    assert called == ToolCall("c1", "look", {"a": 1}, provider_metadata=signed)


@pytest.mark.parametrize(
    "signature", ["palaver.", "palaver.!!", "palaver.bm8=", "palaver.eyJhIjogNX0=", "palaver.W10="]
)
def test_a_signature_that_somebody_made_up_means_nothing(signature):
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": signature},
        {"type": "redacted_thinking", "data": signature},
        {"type": "text", "text": "A"},
    ]
    history = read_history([{"role": "user", "content": "Q"}, {"role": "assistant", "content": blocks}])
    assert history.messages[1].content[0].provider_metadata == {}
