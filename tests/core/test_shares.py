"""What is shared is what was said, and nothing beside it."""

from __future__ import annotations

import pytest

from app.core.messages import parse_messages
from app.core.shares import shared_files, shared_messages, with_file_addresses

FILE, OTHER = "a" * 64, "b" * 64

SECRET = {"custom": "secret-field"}
CONVERSATION = parse_messages(
    [
        {"id": "s", "role": "system", "parts": [{"type": "text", "text": "secret prompt"}]},
        {
            "id": "u",
            "role": "user",
            "parts": [
                {"type": "text", "text": "question", **SECRET},
                {"type": "file", "mediaType": "image/png", "url": f"/files/{FILE}", "filename": "cat.png", **SECRET},
                {"type": "data-app", "data": "secret data"},
                {"type": "newer-part", "text": "secret part"},
            ],
            "metadata": {"app": "secret metadata"},
        },
        {
            "id": "a",
            "role": "assistant",
            "parts": [
                {"type": "step-start"},
                {"type": "reasoning", "text": "a thought", "providerMetadata": {"x": {"signature": "secret"}}},
                {
                    "type": "tool-search",
                    "toolCallId": "t1",
                    "state": "output-available",
                    "input": {"q": "an input"},
                    "output": "an output",
                    "callProviderMetadata": {"x": {"id": "secret"}},
                },
                {
                    "type": "tool-wait",
                    "toolCallId": "t2",
                    "state": "approval-requested",
                    "approval": {"id": "secret-id"},
                },
                {"type": "text", "text": f"answer ![x](/files/{OTHER})", "providerMetadata": {"x": {"y": "secret"}}},
                {"type": "source-url", "sourceId": "1", "url": "https://a.example/", "title": "A source", **SECRET},
            ],
            "metadata": {
                "model": "secret-model",
                "costUsd": 0.5,
                "usage": {"inputTokens": 7, "outputTokens": 8},
                "preset": "secret-preset",
                "status": "stopped",
                "thinkingMs": {"0": 1500},
                "error": {"text": "secret error"},
                "warnings": [{"details": "secret warning"}],
            },
        },
    ]
)


def words(messages):
    return repr([message.to_wire() for message in messages])


@pytest.mark.parametrize("with_details", [False, True])
def test_prompts_costs_and_what_services_want_back_are_never_shared(with_details):
    shared = shared_messages(CONVERSATION, with_details=with_details)
    assert "secret" not in words(shared)
    assert "costUsd" not in words(shared)
    assert "Tokens" not in words(shared)
    assert [message.id for message in shared] == ["u", "a"]
    assert [message.text for message in shared] == ["question", f"answer ![x](/files/{OTHER})"]
    assert "A source" in words(shared)


def test_thinking_and_tools_are_shared_only_with_details():
    without = words(shared_messages(CONVERSATION, with_details=False))
    assert not any(word in without for word in ("a thought", "an input", "an output", "thinkingMs"))
    with_details = words(shared_messages(CONVERSATION, with_details=True))
    assert all(word in with_details for word in ("a thought", "an input", "an output", "thinkingMs"))
    assert "t2" not in with_details  # it waits for its owner


def test_only_attached_files_can_be_read_with_it():
    assert shared_files(shared_messages(CONVERSATION, with_details=True)) == {FILE}


def test_files_move_below_the_address_of_the_share():
    [question, _] = with_file_addresses(shared_messages(CONVERSATION, with_details=False), "/share/T")
    assert question.parts[1].url == f"/share/T/files/{FILE}"
