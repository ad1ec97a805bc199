"""The reducer: what a message looks like after events have happened to it."""

from __future__ import annotations

from app.core.events import (
    Abort,
    GeneratedFile,
    MessageFinish,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceDocument,
    SourceUrl,
    Status,
    StepFinish,
    StepStart,
    StreamError,
    TextDelta,
    TextEnd,
    TextStart,
    ToolApprovalRequest,
    ToolApprovalResponse,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputDenied,
    ToolOutputError,
    Usage,
)
from app.core.fold import fold, merge_metadata

START = [MessageStart("a1", {"model": "m"}), StepStart()]


def parts_of(events):
    return fold(None, events).to_wire()["parts"]


def test_nothing_has_been_said_before_the_start():
    assert fold(None, []) is None
    assert fold(None, [Abort()]) is None
    assert fold(None, [StreamError("no", "c", 500)]) is None


def test_a_whole_answer():
    events = [
        *START,
        ReasoningStart("r"),
        ReasoningDelta("r", "hm"),
        ReasoningDelta("r", "m"),
        ReasoningEnd("r", {"anthropic": {"signature": "s"}}),
        TextStart("t"),
        TextDelta("t", "Hel"),
        TextDelta("t", "lo"),
        TextEnd("t"),
        SourceUrl("s1", "https://a.example", "A"),
        StepFinish(),
        MessageFinish("stop", Usage(1, 2), {"finishReason": "stop"}),
    ]
    assert fold(None, events).to_wire() == {
        "id": "a1",
        "role": "assistant",
        "parts": [
            {"type": "step-start"},
            {
                "type": "reasoning",
                "text": "hmm",
                "state": "done",
                "providerMetadata": {"anthropic": {"signature": "s"}},
            },
            {"type": "text", "text": "Hello", "state": "done"},
            {"type": "source-url", "sourceId": "s1", "url": "https://a.example", "title": "A"},
        ],
        "metadata": {"model": "m", "finishReason": "stop"},
    }


def test_an_open_part_is_still_streaming():
    assert parts_of([*START, TextStart("t"), TextDelta("t", "a")])[1:] == [
        {"type": "text", "text": "a", "state": "streaming"}
    ]


def test_parts_may_interleave_and_ids_may_be_used_again():
    events = [TextStart("t"), ReasoningStart("r"), TextDelta("t", "a"), ReasoningDelta("r", "b"), TextDelta("t", "c")]
    again = [TextEnd("t"), ReasoningEnd("r"), TextStart("t"), TextDelta("t", "d"), TextEnd("t")]
    assert [part["text"] for part in parts_of([*START, *events, *again])[1:]] == ["ac", "b", "d"]


def test_a_tool_call_and_its_result():
    call = [ToolInputStart("c", "add"), ToolInputDelta("c", '{"a"'), ToolInputDelta("c", ":1}")]
    assert parts_of([*START, *call])[1] == {
        "type": "tool-add",
        "toolCallId": "c",
        "state": "input-streaming",
        "rawInput": '{"a":1}',
    }
    call.append(ToolInputAvailable("c", "add", {"a": 1}, provider_metadata={"x": {"y": 1}}))
    done = parts_of([*START, *call, ToolOutputAvailable("c", None)])[1]
    assert done == {
        "type": "tool-add",
        "toolCallId": "c",
        "state": "output-available",
        "input": {"a": 1},
        "output": None,
        "callProviderMetadata": {"x": {"y": 1}},
    }


def test_a_failed_dynamic_call_of_the_provider():
    call = ToolInputAvailable("c", "search", {}, dynamic=True, provider_executed=True)
    part = parts_of([*START, call, ToolOutputError("c", "down", dynamic=True)])[1]
    assert part == {
        "type": "dynamic-tool",
        "toolName": "search",
        "toolCallId": "c",
        "providerExecuted": True,
        "state": "output-error",
        "input": {},
        "errorText": "down",
    }


def test_folding_in_pieces_is_folding_at_once():
    events = [*START, TextStart("t"), TextDelta("t", "a"), TextEnd("t"), StepFinish()]
    more = [StepStart(), TextStart("t"), TextDelta("t", "b"), TextEnd("t")]
    assert fold(fold(None, events), more) == fold(None, [*events, *more])


def test_a_continued_message_keeps_its_id_and_parts():
    first = fold(None, [*START, TextStart("t"), TextDelta("t", "a"), TextEnd("t")])
    second = fold(first, [MessageStart("a1", {"model": "n"}), StepStart(), TextStart("t"), TextDelta("t", "b")])
    assert second.id == "a1"
    assert second.text == "ab"
    assert second.metadata == {"model": "n"}


def test_metadata_merges_objects_and_replaces_the_rest():
    assert merge_metadata({"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}, "d": {"e": 1}}) == {
        "a": {"b": 1, "c": [2]},
        "d": {"e": 1},
    }
    assert merge_metadata("an app's own", {"a": 1}) == {"a": 1}


def test_arguments_that_are_no_json_stay_as_they_came():
    start = ToolInputStart("c", "add")
    part = parts_of([*START, start, ToolInputDelta("c", "{"), ToolInputError("c", "add", "{", "not JSON")])[1]
    assert part == {
        "type": "tool-add",
        "toolCallId": "c",
        "state": "output-error",
        "rawInput": "{",
        "errorText": "not JSON",
    }


def test_an_output_is_replaced_until_the_last_one():
    call = ToolInputAvailable("c", "add", {})
    half = [*START, call, ToolOutputAvailable("c", 1, preliminary=True)]
    assert parts_of(half)[1]["preliminary"] is True
    whole = parts_of([*half, ToolOutputAvailable("c", 2, provider_metadata={"x": {"y": 1}})])[1]
    assert whole == {
        "type": "tool-add",
        "toolCallId": "c",
        "state": "output-available",
        "input": {},
        "output": 2,
        "resultProviderMetadata": {"x": {"y": 1}},
    }


def test_an_approval_stays_with_its_call():
    asked = [*START, ToolInputAvailable("c", "add", {}), ToolApprovalRequest("c", "ap")]
    part = parts_of(asked)[1]
    assert (part["state"], part["approval"]) == ("approval-requested", {"id": "ap"})
    allowed = [*asked, ToolApprovalResponse("c", "ap", approved=True), ToolOutputAvailable("c", 1)]
    part = parts_of(allowed)[1]
    assert (part["state"], part["approval"]) == ("output-available", {"id": "ap", "approved": True})
    denied = [*asked, ToolApprovalResponse("c", "ap", approved=False, reason="no"), ToolOutputDenied("c")]
    part = parts_of(denied)[1]
    assert (part["state"], part["approval"]) == ("output-denied", {"id": "ap", "approved": False, "reason": "no"})


def test_files_and_documents_are_parts():
    file = GeneratedFile("image/png", "/files/1", {"google": {"thoughtSignature": "s"}})
    parts = parts_of([*START, file, SourceDocument("s", "application/pdf", "A", "a.pdf"), Status("retrying", "wait")])
    assert parts[1:] == [
        {
            "type": "file",
            "mediaType": "image/png",
            "url": "/files/1",
            "providerMetadata": {"google": {"thoughtSignature": "s"}},
        },
        {"type": "source-document", "sourceId": "s", "mediaType": "application/pdf", "title": "A", "filename": "a.pdf"},
    ]
