"""What a stored message is told as again folds to that message."""

from __future__ import annotations

from app.core.events import MessageStart, ToolInputAvailable
from app.core.fold import fold
from app.core.messages import parse_messages
from app.core.replay import to_events

WHOLE = {
    "id": "a",
    "role": "assistant",
    "parts": [
        {"type": "step-start"},
        {"type": "reasoning", "text": "hm", "state": "done", "providerMetadata": {"anthropic": {"signature": "s"}}},
        {"type": "text", "text": "let me see", "state": "done"},
        {"type": "tool-add", "toolCallId": "c", "state": "output-available", "input": {"a": 1}, "output": 2},
        {
            "type": "dynamic-tool",
            "toolName": "x",
            "toolCallId": "d",
            "state": "output-error",
            "input": {},
            "errorText": "no",
        },
        {"type": "step-start"},
        {"type": "text", "text": "two", "state": "done"},
        {"type": "source-url", "sourceId": "s", "url": "https://a.example"},
    ],
}


def told_again(value):
    (message,) = parse_messages([value])
    return fold(None, [MessageStart(message.id, {}), *to_events(message)]).to_wire()


def test_a_whole_message_comes_back():
    again = told_again(WHOLE)
    for part in again["parts"]:
        if "rawInput" in part:  # a finished call's input goes as text, so that no client runs its tool again
            part.pop("rawInput")
            part["input"] = {"a": 1} if part["toolCallId"] == "c" else {}
    assert again == WHOLE


def test_only_an_open_call_is_announced_as_one():
    open_call = {"type": "tool-add", "toolCallId": "c", "state": "input-available", "input": {"a": 1}}
    (message,) = parse_messages([{"id": "a", "role": "assistant", "parts": [open_call]}])
    assert to_events(message) == [ToolInputAvailable("c", "add", {"a": 1})]
    assert not any(isinstance(event, ToolInputAvailable) for event in to_events(parse_messages([WHOLE])[0]))


def test_an_apps_own_parts_are_not_the_runs_to_tell():
    parts = [{"type": "data-x", "data": 1}, {"type": "custom", "kind": "a.b"}]
    assert told_again({"id": "a", "role": "assistant", "parts": parts})["parts"] == []


def test_a_call_that_waits_for_a_yes_still_waits():
    asked = {"type": "tool-add", "toolCallId": "c", "state": "approval-requested", "input": {}, "approval": {"id": "a"}}
    assert told_again({"id": "a", "role": "assistant", "parts": [asked]})["parts"] == [asked]


def test_files_documents_and_refused_calls_come_back():
    parts = [
        {"type": "file", "mediaType": "image/png", "url": "/files/1"},
        {"type": "source-document", "sourceId": "s", "mediaType": "text/plain", "title": "A"},
        {"type": "tool-add", "toolCallId": "c", "state": "output-denied", "rawInput": "{}"},
    ]
    assert told_again({"id": "a", "role": "assistant", "parts": parts})["parts"][:2] == parts[:2]
    refused = told_again({"id": "a", "role": "assistant", "parts": parts})["parts"][2]
    assert refused["state"] == "output-denied"
