"""AI SDK 4: its data stream, and its messages both ways."""

from __future__ import annotations

import json

import pytest

from app.core.errors import InvalidRequest
from app.core.events import (
    Abort,
    GeneratedFile,
    Status,
    StreamError,
    ToolInputError,
    ToolOutputAvailable,
    ToolOutputDenied,
)
from app.core.messages import parse_messages
from app.wire.ai_sdk_v4 import DataStreamEncoder, from_v4, to_v4
from tests.wire.events import ANSWER


def lines(raw: bytes):
    return [(line[:1], json.loads(line[2:])) for line in raw.decode().split("\n")[:-1]]


def test_the_whole_answer():
    assert lines(DataStreamEncoder().encode(ANSWER)) == [
        ("8", [{"model": "x"}]),
        ("f", {"messageId": "m1"}),
        ("g", "hm"),
        ("j", {"signature": "sig"}),
        ("0", 'a "b"\n'),
        ("0", "\u2028\u0085é\U0001f600"),
        ("h", {"sourceType": "url", "id": "s", "url": "https://a.example", "title": "A"}),
        ("b", {"toolCallId": "c", "toolName": "add"}),
        ("c", {"toolCallId": "c", "argsTextDelta": '{"n":1}'}),
        ("9", {"toolCallId": "c", "toolName": "add", "args": {"n": 1}}),
        ("a", {"toolCallId": "c", "result": None}),
        ("9", {"toolCallId": "d", "toolName": "find", "args": {"input": []}}),
        ("a", {"toolCallId": "d", "result": {"error": "down"}}),
        ("e", {"finishReason": "unknown", "isContinued": False}),
        ("f", {"messageId": "m1"}),
        ("e", {"finishReason": "unknown", "isContinued": False}),
        ("8", [{"finishReason": "tool-calls"}]),
        ("d", {"finishReason": "tool-calls", "usage": {"promptTokens": 3, "completionTokens": 4}}),
    ]


def test_an_error_and_a_stop():
    assert DataStreamEncoder().encode([StreamError("no", "c", 500)]) == b'3:"no"\n'
    assert DataStreamEncoder().encode([Abort()]) == b'd:{"finishReason":"unknown"}\n'


V4 = {
    "id": "a",
    "role": "assistant",
    "content": "two",
    "parts": [
        {"type": "step-start"},
        {
            "type": "reasoning",
            "reasoning": "hm",
            "details": [{"type": "text", "text": "hm", "signature": "s"}],
        },
        {
            "type": "tool-invocation",
            "toolInvocation": {"state": "result", "toolCallId": "c", "toolName": "add", "args": {"n": 1}, "result": 2},
        },
        {"type": "source", "source": {"sourceType": "url", "id": "s", "url": "https://a.example"}},
        {"type": "text", "text": "two"},
    ],
    "toolInvocations": [],
}


def test_its_messages_become_ui_messages():
    (message,) = parse_messages([from_v4(V4, "messages[0]")])
    assert message.to_wire() == {
        "id": "a",
        "role": "assistant",
        "parts": [
            {"type": "step-start"},
            {"type": "reasoning", "text": "hm", "providerMetadata": {"anthropic": {"signature": "s"}}},
            {"type": "tool-add", "toolCallId": "c", "state": "output-available", "input": {"n": 1}, "output": 2},
            {"type": "source-url", "sourceId": "s", "url": "https://a.example"},
            {"type": "text", "text": "two"},
        ],
    }


def test_attachments_come_first_and_content_stands_in_for_missing_parts():
    image = "data:image/png;base64,AAAA"
    user = {
        "role": "user",
        "content": "look",
        "experimental_attachments": [{"name": "a.png", "contentType": "image/png", "url": image}],
    }
    assert from_v4(user, "messages[0]")["parts"] == [
        {"type": "file", "mediaType": "image/png", "url": image, "filename": "a.png"},
        {"type": "text", "text": "look"},
    ]


def test_a_stored_message_goes_back_as_it_shows_it():
    (message,) = parse_messages([from_v4(V4, "messages[0]")])
    back = to_v4(message)
    assert (back["id"], back["role"], back["content"]) == ("a", "assistant", "two")
    assert [part["type"] for part in back["parts"]] == [part["type"] for part in V4["parts"]]
    assert back["parts"][2] == V4["parts"][2]


@pytest.mark.parametrize("part", [{"type": "hologram"}, {"type": "tool-invocation"}, "text", None])
def test_a_part_it_does_not_know_is_named(part):
    with pytest.raises(InvalidRequest) as refused:
        from_v4({"role": "user", "content": "x", "parts": [part]}, "messages[3]")
    assert refused.value.param == "messages[3].parts[0]"


def test_broken_refused_and_preliminary_calls():
    events = [
        ToolInputError("c", "add", "{", "not JSON"),
        ToolOutputDenied("d"),
        ToolOutputAvailable("e", 1, preliminary=True),
        ToolOutputAvailable("e", 2),
    ]
    assert lines(DataStreamEncoder().encode(events)) == [
        ("9", {"toolCallId": "c", "toolName": "add", "args": {"input": "{"}}),
        ("a", {"toolCallId": "c", "result": {"error": "not JSON"}}),
        ("a", {"toolCallId": "d", "result": {"error": "The user did not allow this call."}}),
        ("a", {"toolCallId": "e", "result": 2}),
    ]


def test_files_and_waits():
    events = [GeneratedFile("image/png", "data:image/png;base64,aa=="), GeneratedFile("image/png", "/files/1")]
    assert lines(DataStreamEncoder().encode([*events, Status("retrying", "wait")])) == [
        ("k", {"data": "aa==", "mimeType": "image/png"}),
        ("2", [{"type": "file", "mediaType": "image/png", "url": "/files/1"}]),
        ("2", [{"type": "data-status", "data": {"code": "retrying", "text": "wait"}}]),
    ]
