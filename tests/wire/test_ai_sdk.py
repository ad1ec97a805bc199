"""The UI message stream: the bytes we promise to AI SDK 5, 6 and 7."""

from __future__ import annotations

import json

import pytest

from app.core.events import (
    Abort,
    GeneratedFile,
    SourceDocument,
    Status,
    StepFinish,
    StepStart,
    StreamError,
    TextDelta,
    ToolApprovalRequest,
    ToolApprovalResponse,
    ToolInputError,
    ToolOutputAvailable,
    ToolOutputDenied,
)
from app.wire.ai_sdk import AiSdkEncoder
from tests.wire.events import ANSWER

# The keys that the strictest releases (5.0.0, 6.0.0, 7.0.0) take, required ones first.
COMMON = {
    "start": ("messageId", "messageMetadata"),
    "start-step": (),
    "finish-step": (),
    "finish": ("messageMetadata",),
    "error": ("errorText",),
    "abort": (),
    "text-start": ("id", "providerMetadata"),
    "text-delta": ("id", "delta", "providerMetadata"),
    "text-end": ("id", "providerMetadata"),
    "reasoning-start": ("id", "providerMetadata"),
    "reasoning-delta": ("id", "delta", "providerMetadata"),
    "reasoning-end": ("id", "providerMetadata"),
    "source-url": ("sourceId", "url", "title", "providerMetadata"),
    "tool-input-start": ("toolCallId", "toolName", "dynamic", "providerExecuted"),
    "tool-input-delta": ("toolCallId", "inputTextDelta"),
    "tool-input-available": ("toolCallId", "toolName", "input", "dynamic", "providerExecuted", "providerMetadata"),
    "tool-output-available": ("toolCallId", "output", "dynamic", "providerExecuted"),
    "tool-output-error": ("toolCallId", "errorText", "dynamic", "providerExecuted"),
    "message-metadata": ("messageMetadata",),
}


def chunks(raw: bytes):
    frames = raw.decode().split("\n\n")
    assert frames.pop() == ""
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames)
    return [json.loads(frame[6:]) for frame in frames]


def test_every_event_is_one_chunk_in_order():
    assert chunks(AiSdkEncoder().encode(ANSWER)) == [
        {"type": "start", "messageId": "m1", "messageMetadata": {"model": "x"}},
        {"type": "start-step"},
        {"type": "reasoning-start", "id": "r"},
        {"type": "reasoning-delta", "id": "r", "delta": "hm"},
        {"type": "reasoning-end", "id": "r", "providerMetadata": {"anthropic": {"signature": "sig"}}},
        {"type": "text-start", "id": "t"},
        {"type": "text-delta", "id": "t", "delta": 'a "b"\n'},
        {"type": "text-delta", "id": "t", "delta": "\u2028\u0085é\U0001f600"},
        {"type": "text-end", "id": "t"},
        {"type": "source-url", "sourceId": "s", "url": "https://a.example", "title": "A"},
        {"type": "tool-input-start", "toolCallId": "c", "toolName": "add"},
        {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": '{"n":1}'},
        {"type": "tool-input-available", "toolCallId": "c", "toolName": "add", "input": {"n": 1}},
        {"type": "tool-output-available", "toolCallId": "c", "output": None},
        {
            "type": "tool-input-available",
            "toolCallId": "d",
            "toolName": "find",
            "input": [],
            "dynamic": True,
            "providerExecuted": True,
        },
        {
            "type": "tool-output-error",
            "toolCallId": "d",
            "errorText": "down",
            "dynamic": True,
            "providerExecuted": True,
        },
        {"type": "finish-step"},
        {"type": "start-step"},
        {"type": "finish-step"},
        {"type": "message-metadata", "messageMetadata": {}},
        {"type": "finish", "messageMetadata": {"finishReason": "tool-calls"}},
    ]


def test_only_the_common_subset_leaves_unasked():
    for chunk in chunks(AiSdkEncoder().encode([*ANSWER, StreamError("no", "c", 500), Abort()])):
        assert set(chunk) - {"type"} <= set(COMMON[chunk["type"]]), chunk["type"]
        assert None not in [value for key, value in chunk.items() if key != "output"]


@pytest.mark.parametrize(
    ("version", "told"), [((5,), False), ((5, 0, 91), False), ((5, 0, 92), True), ((6,), True), ((7, 0, 0), True)]
)
def test_the_finish_reason_is_for_clients_that_take_it(version, told):
    (finish,) = chunks(AiSdkEncoder(version).encode(ANSWER[-1:]))
    assert ("finishReason" in finish) is told


def test_the_ends():
    encoder = AiSdkEncoder()
    assert encoder.encode([StreamError("no", "c", 500)]) == b'data: {"type":"error","errorText":"no"}\n\n'
    assert encoder.encode([Abort()]) == b'data: {"type":"abort"}\n\n'
    assert encoder.end() == b"data: [DONE]\n\n"


def test_an_empty_step_is_followed_by_something_that_clients_take_note_of():
    encoder = AiSdkEncoder()
    encoder.encode([StepStart()])
    assert chunks(encoder.encode([StepFinish(), Abort()])) == [
        {"type": "finish-step"},
        {"type": "message-metadata", "messageMetadata": {}},
        {"type": "abort"},
    ]


def test_text_that_looks_like_a_frame_stays_text():
    hostile = '\n\ndata: {"type":"error"}\n\n\r\n\rid: 1'
    assert chunks(AiSdkEncoder().encode([TextDelta("t", hostile)])) == [
        {"type": "text-delta", "id": "t", "delta": hostile}
    ]


def test_half_a_surrogate_pair_does_not_kill_the_stream():
    raw = AiSdkEncoder().encode([TextDelta("t", "\ud83d"), TextDelta("t", "\ude00")])
    assert "".join(chunk["delta"] for chunk in chunks(raw)).encode("utf-16", "surrogatepass").decode("utf-16") == "😀"


BROKEN = ToolInputError("c", "add", '{"a"', "not JSON")


def test_a_broken_call_is_one_that_failed_for_clients_that_know_no_better():
    assert chunks(AiSdkEncoder((5,)).encode([BROKEN])) == [
        {"type": "tool-input-available", "toolCallId": "c", "toolName": "add", "input": {}},
        {"type": "tool-output-error", "toolCallId": "c", "errorText": "not JSON"},
    ]
    (chunk,) = chunks(AiSdkEncoder((5, 0, 11)).encode([BROKEN]))
    assert chunk == {
        "type": "tool-input-error",
        "toolCallId": "c",
        "toolName": "add",
        "input": '{"a"',
        "errorText": "not JSON",
    }


def test_approvals_are_for_clients_that_know_them():
    events = [ToolApprovalRequest("c", "ap"), ToolApprovalResponse("c", "ap", approved=False), ToolOutputDenied("c")]
    assert chunks(AiSdkEncoder((6,)).encode(events)) == [
        {"type": "tool-approval-request", "toolCallId": "c", "approvalId": "ap"},
        {"type": "tool-output-denied", "toolCallId": "c"},
    ]
    (chunk,) = chunks(AiSdkEncoder((5, 0, 277)).encode(events))
    assert chunk["type"] == "tool-output-error"


def test_a_dynamic_call_that_is_denied_says_so_to_clients_that_look_for_it():
    (chunk,) = chunks(AiSdkEncoder((5, 0, 277)).encode([ToolOutputDenied("c", dynamic=True)]))
    assert chunk["dynamic"] is True
    assert chunks(AiSdkEncoder((6,)).encode([ToolOutputDenied("c", dynamic=True)])) == [
        {"type": "tool-output-denied", "toolCallId": "c"}
    ]


@pytest.mark.parametrize(("version", "steps"), [((5,), 2), ((5, 0, 277), 2), ((6,), 1)])
def test_what_the_service_ran_is_not_the_last_step_of_clients_that_would_go_on_with_it(version, steps):
    told = chunks(AiSdkEncoder(version).encode(ANSWER))
    assert [chunk["type"] for chunk in told].count("start-step") == steps


def test_preliminary_outputs_are_for_clients_that_know_them():
    event = ToolOutputAvailable("c", 1, preliminary=True, provider_metadata={"x": {"y": 1}})
    assert chunks(AiSdkEncoder().encode([event])) == []
    assert chunks(AiSdkEncoder((6,)).encode([event])) == [
        {"type": "tool-output-available", "toolCallId": "c", "output": 1, "preliminary": True}
    ]


def test_files_documents_and_waits():
    events = [GeneratedFile("image/png", "/files/1"), SourceDocument("s", "a/b", "T"), Status("retrying", "wait", 2.5)]
    assert chunks(AiSdkEncoder().encode(events)) == [
        {"type": "file", "mediaType": "image/png", "url": "/files/1"},
        {"type": "source-document", "sourceId": "s", "mediaType": "a/b", "title": "T"},
        {"type": "data-status", "data": {"code": "retrying", "text": "wait", "seconds": 2.5}, "transient": True},
    ]
