"""UIMessages go in and come out unchanged."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.core.messages import DataPart, OtherPart, ToolPart, parse_messages

EVERYTHING = {
    "id": "a",
    "role": "assistant",
    "createdAt": "2026-11-21",
    "metadata": {"x": None, "y": [1, 2.5]},
    "parts": [
        {"type": "step-start"},
        {"type": "text", "text": "hi", "state": "done", "citations": [{"a": None}]},
        {"type": "reasoning", "text": "", "providerMetadata": {"anthropic": {"signature": "s"}}},
        {"type": "file", "mediaType": "", "url": "data:,"},
        {"type": "source-url", "sourceId": "s", "url": "https://a.example", "title": None},
        {"type": "source-document", "sourceId": "s", "mediaType": "text/plain", "title": "t"},
        {"type": "tool-a-b.c", "toolCallId": "c", "state": "output-available", "input": None, "output": {"n": None}},
        {
            "type": "dynamic-tool",
            "toolName": "t",
            "toolCallId": "d",
            "state": "approval-requested",
            "approval": {"id": "1"},
        },
        {"type": "data-chart", "data": [1], "id": "x"},
        {"type": "custom", "kind": "a.b", "anything": {"deep": [None]}},
    ],
}


def test_a_message_with_everything_comes_out_as_it_went_in():
    assert parse_messages([EVERYTHING])[0].to_wire() == EVERYTHING


def test_absent_keys_stay_absent():
    message = {"id": "u", "role": "user", "parts": [{"type": "text", "text": "x"}]}
    assert parse_messages([message])[0].to_wire() == message


def test_parts_are_told_apart_by_their_type():
    parts = parse_messages([EVERYTHING])[0].parts
    assert isinstance(parts[6], ToolPart)
    assert parts[6].name == "a-b.c"
    assert isinstance(parts[7], ToolPart)
    assert parts[7].name == "t"
    assert isinstance(parts[8], DataPart)
    assert isinstance(parts[9], OtherPart)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "", "role": "user", "parts": []},
        {"id": "u", "role": "robot", "parts": []},
        {"id": "u", "role": "user", "parts": [{"type": "text", "text": 1}]},
        {"id": "u", "role": "user", "parts": [{"text": "no type"}]},
        {"id": "u", "role": "user", "parts": [{"type": "tool-x", "toolCallId": "c", "state": "done"}]},
        {"id": 1, "role": "user", "parts": []},
    ],
)
def test_what_is_no_message_is_refused(wrong):
    with pytest.raises(ValidationError):
        parse_messages([wrong])
