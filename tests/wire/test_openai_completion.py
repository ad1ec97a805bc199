"""Answers as OpenAI's chat completions have them, whole and in chunks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from app.core.answered import answered
from app.core.errors import ProviderBroken
from app.core.events import (
    CallWarning,
    GeneratedFile,
    ModelEvent,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceUrl,
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
from app.wire.openai_completion import CompletionEncoder, Head, to_completion

HEAD = Head("chatcmpl-1", 7, "tiny")
NOTE = CallWarning("seed", "It was left out.")
STOP = ModelFinish("stop", Usage(9, 12))

SAID = (TextStart("t"), TextDelta("t", "Hel"), TextDelta("t", "lo\u2028"), TextEnd("t"))
THOUGHT = (
    ReasoningStart("r"),
    ReasoningDelta("r", "H"),
    ReasoningDelta("r", "m"),
    ReasoningEnd("r", {"anthropic": {"signature": "s"}}),
)
CALLED = (
    ToolInputStart("c1", "rain"),
    ToolInputDelta("c1", '{"city":'),
    ToolInputStart("c2", "now"),
    ToolInputDelta("c1", '"Oslo"}'),
    ToolInputAvailable("c1", "rain", {"city": "Oslo"}, provider_metadata={"google": {"thoughtSignature": "g"}}),
    ToolInputAvailable("c2", "now", {}),
)
SEARCHED = (
    ToolInputStart("w", "web_search", provider_executed=True),
    ToolInputDelta("w", "{}"),
    ToolInputAvailable("w", "web_search", {}, provider_executed=True),
    ToolOutputAvailable("w", {"hits": 1}, provider_executed=True),
)


def chunks(*events: ModelEvent, include_usage: bool = False, notes: Sequence[CallWarning] = ()) -> list[Any]:
    """What the events of a stream say, `[DONE]` as it is."""
    data = CompletionEncoder(HEAD, notes, include_usage=include_usage).encode(events).decode()
    frames = data.split("\n\n")
    assert frames.pop() == ""
    texts = [frame.removeprefix("data: ") for frame in frames]
    return [text if text == "[DONE]" else json.loads(text) for text in texts]


def deltas(*events: ModelEvent) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(*events)]


def completion(*events: ModelEvent, notes: Sequence[CallWarning] = ()) -> dict[str, Any]:
    return to_completion(answered(events), HEAD, notes)


def message(*events: ModelEvent) -> dict[str, Any]:
    found: dict[str, Any] = completion(*events)["choices"][0]["message"]
    return found


def test_a_text_streams_from_its_role_to_done() -> None:
    first, *rest, last, done = chunks(*SAID, STOP)
    assert first == {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "tiny",
        "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
        ],
    }
    assert [chunk["choices"][0]["delta"] for chunk in rest] == [{"content": "Hel"}, {"content": "lo\u2028"}]
    assert last["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert done == "[DONE]"


def test_usage_comes_last_where_it_is_asked_for() -> None:
    *_, usage, done = chunks(*SAID, ModelFinish("stop", Usage(9, 12, 5, 3, 2)), include_usage=True)
    assert usage["choices"] == []
    assert usage["usage"] == {
        "prompt_tokens": 9,
        "completion_tokens": 12,
        "total_tokens": 21,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    assert done == "[DONE]"


def test_a_whole_answer() -> None:
    assert completion(*SAID, STOP) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "tiny",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello\u2028", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
    }


def test_thinking_stands_apart_with_what_its_service_wants_back() -> None:
    detail = {"type": "reasoning.text", "format": "anthropic-claude-v1", "text": "Hm", "signature": "s", "index": 0}
    assert deltas(*THOUGHT)[1:] == [
        {"reasoning_content": "H"},
        {"reasoning_content": "m"},
        {"reasoning_details": [detail]},
    ]
    whole = message(*THOUGHT, *SAID, STOP)
    assert (whole["reasoning_content"], whole["reasoning_details"]) == ("Hm", [detail])


def test_pieces_of_thinking_are_numbered_and_kept_apart() -> None:
    again = (ReasoningStart("q"), ReasoningDelta("q", "So"), ReasoningEnd("q", {"openai": {"itemId": "rs"}}))
    hidden = (ReasoningStart("p"), ReasoningEnd("p", {"anthropic": {"redactedData": "d"}}))
    streamed = deltas(*THOUGHT, *again, *hidden)
    assert "".join(delta.get("reasoning_content", "") for delta in streamed) == "Hm\n\nSo"
    details = [detail for delta in streamed for detail in delta.get("reasoning_details", ())]
    assert [(detail["type"], detail["index"]) for detail in details] == [
        ("reasoning.text", 0),
        ("reasoning.summary", 1),
        ("reasoning.encrypted", 2),
    ]
    assert message(*THOUGHT, *again, *hidden, STOP)["reasoning_details"] == details


def test_calls_have_their_place_their_id_and_their_arguments() -> None:
    calls = [call for delta in deltas(*CALLED)[1:] for call in delta["tool_calls"]]
    extra = {"google": {"thought_signature": "g"}}
    assert calls == [
        {
            "index": 0,
            "id": "c1",
            "type": "function",
            "function": {"name": "rain", "arguments": ""},
            "extra_content": extra,
        },
        {"index": 0, "function": {"arguments": '{"city":'}},
        {"index": 1, "id": "c2", "type": "function", "function": {"name": "now", "arguments": ""}},
        {"index": 0, "function": {"arguments": '"Oslo"}'}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    encoder = CompletionEncoder(HEAD, (), include_usage=False)
    late = b"".join(encoder.encode([event]) for event in CALLED)
    assert b'"function":{"arguments":""},"extra_content"' in late
    finish = ModelFinish("tool-calls", Usage())
    whole = message(*CALLED, finish)
    assert whole["content"] is None
    assert whole["tool_calls"] == [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "rain", "arguments": '{"city": "Oslo"}'},
            "extra_content": extra,
        },
        {"id": "c2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    ]
    assert completion(*CALLED, finish)["choices"][0]["finish_reason"] == "tool_calls"


def test_arguments_that_are_no_json_are_the_clients_to_judge() -> None:
    broken = (ToolInputStart("c", "rain"), ToolInputDelta("c", "{oh"), ToolInputError("c", "rain", "{oh", "Not JSON."))
    assert message(*broken, STOP)["tool_calls"][0]["function"]["arguments"] == "{oh"
    assert [call for delta in deltas(*broken)[1:] for call in delta["tool_calls"]][1:] == [
        {"index": 0, "function": {"arguments": "{oh"}}
    ]


def test_a_call_that_comes_all_at_once_is_a_call() -> None:
    whole = ToolInputAvailable("c", "rain", {"city": "Ås"})
    first, second = [call for delta in deltas(whole)[1:] for call in delta["tool_calls"]]
    assert first["id"] == "c"
    assert second == {"index": 0, "function": {"arguments": '{"city": "Ås"}'}}


def test_what_the_service_ran_itself_is_no_call_of_the_clients() -> None:
    assert deltas(*SEARCHED) == []
    assert "tool_calls" not in message(*SEARCHED, *SAID, STOP)


def test_sources_are_citations() -> None:
    source = SourceUrl("s", "https://example.com/", "Example")
    cited = {"url": "https://example.com/", "title": "Example", "start_index": 0, "end_index": 0}
    annotation = {"type": "url_citation", "url_citation": cited}
    assert deltas(source)[1:] == [{"annotations": [annotation]}]
    assert message(*SAID, source, STOP)["annotations"] == [annotation]


def test_pictures_are_in_the_answer() -> None:
    picture = GeneratedFile("image/png", "data:image/png;base64,QQ==")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}
    assert deltas(picture)[1:] == [{"images": [image]}]
    assert message(picture, STOP)["images"] == [image]


@pytest.mark.parametrize(
    ("reason", "said"),
    [("length", "length"), ("content-filter", "content_filter"), ("other", "stop"), ("tool-calls", "tool_calls")],
)
def test_every_end_has_openais_word(reason: Any, said: str) -> None:
    finish = ModelFinish(reason, Usage())
    assert completion(*SAID, finish)["choices"][0]["finish_reason"] == said
    assert chunks(*SAID, finish)[-2]["choices"][0]["finish_reason"] == said


def test_a_refusal_gives_its_reason() -> None:
    finish = ModelFinish("content-filter", Usage(), "Not that.")
    assert message(finish)["refusal"] == "Not that."
    assert chunks(finish)[-2]["choices"][0]["delta"] == {"refusal": "Not that."}


def test_a_refusal_of_the_models_own_is_no_content_and_an_ordinary_end() -> None:
    events = [TextStart("r", refuses=True), TextDelta("r", "I will "), TextDelta("r", "not."), TextEnd("r")]
    finish = ModelFinish("content-filter", Usage())
    choice = completion(*events, finish)["choices"][0]
    assert (choice["message"]["content"], choice["message"]["refusal"]) == (None, "I will not.")
    *told, end, _ = chunks(*events, finish)
    deltas = [chunk["choices"][0]["delta"] for chunk in told]
    assert deltas == [{"role": "assistant", "content": ""}, {"refusal": "I will "}, {"refusal": "not."}]
    assert choice["finish_reason"] == end["choices"][0]["finish_reason"] == "stop"


def test_an_answer_that_ends_in_an_error_is_none() -> None:
    finish = ModelFinish("error", Usage())
    with pytest.raises(ProviderBroken):
        completion(*SAID, finish)
    last = chunks(*SAID, finish)[-1]
    assert last["error"]["code"] == "provider_broken"


def test_an_error_in_mid_stream_ends_it_without_done() -> None:
    encoder = CompletionEncoder(HEAD, (), include_usage=True)
    encoder.encode(SAID[:2])
    data = encoder.fail(ProviderBroken("It stopped.", param="x"))
    assert json.loads(data.removeprefix(b"data: ")) == {
        "error": {"message": "It stopped.", "type": "server_error", "code": "provider_broken", "param": "x"}
    }


def test_what_was_left_out_is_said_once() -> None:
    warning = CallWarning("stop", "Not here.")
    told = [{"setting": "seed", "details": "It was left out."}, {"setting": "stop", "details": "Not here."}]
    assert completion(warning, warning, *SAID, STOP, notes=[NOTE])["warnings"] == told
    assert chunks(warning, *SAID, STOP, notes=[NOTE])[-2]["warnings"] == told
