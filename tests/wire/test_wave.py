"""The simple format of the original design."""

from __future__ import annotations

import json

from app.core.events import (
    Abort,
    StreamError,
    ToolApprovalRequest,
    ToolInputError,
    ToolOutputAvailable,
    ToolOutputDenied,
)
from app.wire.wave import WaveEncoder
from tests.wire.events import ANSWER


def test_the_whole_answer():
    encoder = WaveEncoder()
    frames = encoder.encode([*ANSWER, StreamError("no", "c", 500), Abort()]).decode().split("\n\n")
    assert [json.loads(frame.removeprefix("data: ")) for frame in frames[:-1]] == [
        {"type": "thinking", "text": "hm"},
        {"type": "text", "text": 'a "b"\n'},
        {"type": "text", "text": "\u2028\u0085é\U0001f600"},
        {"type": "tool", "id": "c", "name": "add", "input": {"n": 1}},
        {"type": "tool", "id": "c", "output": None},
        {"type": "tool", "id": "d", "name": "find", "input": []},
        {"type": "tool", "id": "d", "error": "down"},
        {
            "type": "finish",
            "finish_reason": "tool-calls",
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        },
        {"type": "error", "error": "no"},
        {"type": "finish", "finish_reason": "aborted"},
    ]
    assert encoder.end() == b"data: [DONE]\n\n"


def test_calls_that_break_wait_or_are_refused():
    events = [
        ToolInputError("c", "add", "{", "not JSON"),
        ToolApprovalRequest("d", "ap"),
        ToolOutputDenied("d"),
        ToolOutputAvailable("e", 1, preliminary=True),
    ]
    frames = WaveEncoder().encode(events).decode().split("\n\n")[:-1]
    assert [json.loads(frame.removeprefix("data: ")) for frame in frames] == [
        {"type": "tool", "id": "c", "name": "add", "input": "{", "error": "not JSON"},
        {"type": "tool", "id": "d", "approval": "ap"},
        {"type": "tool", "id": "d", "error": "The user did not allow this call."},
    ]
