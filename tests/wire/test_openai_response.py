"""Answers as OpenAI's Responses API has them, whole and in events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response

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
from app.wire.openai_response import Head, to_response
from app.wire.openai_response_events import ResponseEncoder
from app.wire.openai_responses import read_response_request

HEAD = Head("1", 7, "tiny", read_response_request({"model": "m", "input": "x"}).repeated)
STOP = ModelFinish("stop", Usage(9, 12, 3, 2))

SAID = (TextStart("t"), TextDelta("t", "Hel"), TextDelta("t", "lo\u2028"), TextEnd("t"))
AGAIN = (TextStart("u"), TextDelta("u", " there"), TextEnd("u"))
THOUGHT = (
    ReasoningStart("r"),
    ReasoningDelta("r", "H"),
    ReasoningDelta("r", "m"),
    ReasoningEnd("r", {"anthropic": {"signature": "s"}}),
)
HIDDEN = (ReasoningStart("h"), ReasoningEnd("h", {"anthropic": {"redactedData": "d"}}))
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
PICTURE = GeneratedFile("image/png", "data:image/png;base64,QQ==")
SOURCE = SourceUrl("s", "https://example.com/", None)
BROKEN = ToolInputError("c3", "rain", '{"city', "Cut off.")


def told(*events: ModelEvent, notes: Sequence[CallWarning] = ()) -> list[Any]:
    """What the events of a stream say, each under its own name and with its number."""
    frames = ResponseEncoder(HEAD, notes).encode(events).decode().split("\n\n")
    assert frames.pop() == ""
    found = []
    for number, frame in enumerate(frames):
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert (name, event["sequence_number"]) == (f"event: {event['type']}", number)
        found.append(event)
    return found


def whole(*events: ModelEvent, notes: Sequence[CallWarning] = ()) -> dict[str, Any]:
    return to_response(answered(events), HEAD, notes)


def kinds(events: Sequence[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_a_text_streams_from_created_to_completed() -> None:
    events = told(*SAID, STOP)
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[0]["response"]["status"] == "in_progress"
    where = {"item_id": "msg_1_0", "output_index": 0, "content_index": 0}
    assert events[4] == {
        "type": "response.output_text.delta",
        **where,
        "delta": "Hel",
        "logprobs": [],
        "sequence_number": 4,
    }
    assert events[6]["text"] == "Hello\u2028"
    assert events[-1]["response"]["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 12,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 21,
    }


def test_thinking_streams_as_a_summary() -> None:
    events = told(*THOUGHT, *SAID, STOP)
    assert kinds(events)[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert events[8]["item"]["summary"] == [{"type": "summary_text", "text": "Hm"}]
    assert events[8]["item"]["encrypted_content"].startswith("palaver.")


def test_calls_that_are_written_in_turns_keep_their_places() -> None:
    events = told(*CALLED, ModelFinish("tool-calls", Usage()))
    deltas = [event for event in events if event["type"].endswith("arguments.delta")]
    assert [(event["output_index"], event["delta"]) for event in deltas] == [(0, '{"city":'), (0, '"Oslo"}'), (1, "{}")]
    rain, now, kept = events[-1]["response"]["output"]
    assert (rain["call_id"], rain["name"], rain["arguments"]) == ("c1", "rain", '{"city":"Oslo"}')
    assert (now["call_id"], now["status"]) == ("c2", "completed")
    assert (kept["type"], kept["summary"]) == ("reasoning", [])


EVENTS = [
    (*SAID, STOP),
    (*THOUGHT, *SAID, STOP),
    (*SAID, *AGAIN, STOP),
    (*SAID, *HIDDEN, *AGAIN, STOP),
    (*SAID, *SEARCHED, *AGAIN, SOURCE, STOP),
    (*THOUGHT, *SAID, *CALLED[-1:], ModelFinish("tool-calls", Usage())),
    (TextStart("p"), TextDelta("p", "So"), TextEnd("p", {"openai": {"phase": "commentary"}}), *SAID, STOP),
    (*SAID, PICTURE, STOP),
    (*SAID, BROKEN, ModelFinish("length", Usage())),
    (*SAID, ModelFinish("content-filter", Usage(), "I will not.")),
    (ModelFinish("content-filter", Usage(), "I will not."),),
    (ModelFinish("content-filter", Usage()),),
    (TextStart("e"), TextDelta("e", ""), TextEnd("e"), ReasoningStart("f"), ReasoningEnd("f"), STOP),
    (CallWarning("seed", "It was left out."), *SAID, ModelFinish("length", Usage())),
]


@pytest.mark.parametrize("events", EVENTS, ids=range(len(EVENTS)))
def test_a_stream_ends_in_the_answer_that_is_given_whole(events: Sequence[ModelEvent]) -> None:
    stream = told(*events)
    response = stream[-1]["response"]
    assert response == whole(*events)
    assert stream[-1]["type"] == f"response.{response['status']}"
    Response.model_validate(response)
    added = {event["output_index"]: event["item"]["id"] for event in stream if event["type"].endswith("item.added")}
    done = {event["output_index"]: event["item"] for event in stream if event["type"].endswith("item.done")}
    assert added == {index: item["id"] for index, item in done.items()}
    assert response["output"] == [done[index] for index in range(len(done))]


@given(st.permutations([0] * len(SAID) + [1] * len(THOUGHT) + [2] * len(CALLED) + [3] * len(AGAIN)))
@settings(max_examples=200, deadline=None)
def test_whatever_is_said_at_once_each_item_begins_grows_and_ends(order: Sequence[int]) -> None:
    """As a client that puts the answer together from its deltas sees it."""
    rest = [iter(events) for events in (SAID, THOUGHT, CALLED, AGAIN)]
    stream = told(*(next(rest[place]) for place in order), STOP)
    open_items: dict[int, str] = {}
    grown: dict[int, str] = {}
    done: dict[int, Any] = {}
    for event in stream[2:-1]:
        index = event["output_index"]
        if event["type"] == "response.output_item.added":
            assert index == len(grown)
            open_items[index], grown[index] = event["item"]["id"], ""
        elif event["type"] == "response.output_item.done":
            assert event["item"]["id"] == open_items.pop(index)
            done[index] = event["item"]
        else:
            assert event["item_id"] == open_items[index]
            grown[index] += event["delta"] if event["type"].endswith(".delta") else ""
    assert not open_items
    assert stream[-1]["response"]["output"] == [done[index] for index in sorted(done)]
    for index, item in done.items():
        parts = item.get("content") or item.get("summary") or [{"text": item.get("arguments", "")}]
        assert "".join(part["text"] for part in parts) == grown[index]
    assert sorted("".join(text for text in grown.values())) == sorted('Hello\u2028 thereHm{"city":"Oslo"}{}')


def test_texts_around_a_tool_of_the_service_are_one_message() -> None:
    (said,) = whole(*SAID, *SEARCHED, *AGAIN, SOURCE, STOP)["output"]
    (part,) = said["content"]
    assert part["text"] == "Hello\u2028 there"
    assert [source["url"] for source in part["annotations"]] == ["https://example.com/"]


def test_a_text_that_goes_on_while_a_call_is_written_stays_one_message() -> None:
    events = told(*SAID[:2], *CALLED[:1], *SAID[2:], *CALLED[1:], STOP)
    assert [item["type"] for item in events[-1]["response"]["output"]][:2] == ["message", "function_call"]
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Hello\u2028"


def test_an_answer_that_met_its_limit_is_incomplete() -> None:
    response = whole(*SAID, ModelFinish("length", Usage()))
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert response["output"][0]["status"] == "incomplete"


def test_a_refusal_is_a_part_of_its_own() -> None:
    refusal = [{"type": "refusal", "refusal": "I will not."}]
    finish = ModelFinish("content-filter", Usage())
    for events in (
        [ModelFinish("content-filter", Usage(), "I will not.")],
        [TextStart("r", refuses=True), TextDelta("r", "I will "), TextDelta("r", "not."), TextEnd("r"), finish],
    ):
        response = whole(*events)
        assert (response["status"], response["incomplete_details"]) == ("completed", None)
        assert (response["output"][0]["status"], response["output"][0]["content"]) == ("completed", refusal)


def test_an_answer_that_is_filtered_without_a_word_is_incomplete() -> None:
    response = whole(*SAID, ModelFinish("content-filter", Usage()))
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})


def test_what_was_left_out_is_said() -> None:
    note = CallWarning("seed", "It was left out.")
    expected = [{"setting": "seed", "details": "It was left out."}]
    assert whole(note, *SAID, STOP, notes=[note])["warnings"] == expected
    assert told(note, *SAID, STOP, notes=[note])[-1]["response"]["warnings"] == expected
    assert "warnings" not in whole(*SAID, STOP)


def test_an_answer_that_ends_in_an_error_is_none() -> None:
    error = ModelFinish("error", Usage(), "It broke.")
    with pytest.raises(ProviderBroken, match=r"It broke\."):
        whole(*SAID, error)
    *_, raised, failed = told(*SAID, error)
    assert raised["error"]["message"] == raised["message"] == "It broke."
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"] == {"code": "provider_broken", "message": "It broke."}
