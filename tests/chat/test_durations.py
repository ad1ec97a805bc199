"""What an answer's metadata tells of the time that its thoughts and tools took."""

from __future__ import annotations

import pytest

from app.chat.durations import Durations
from app.core.events import (
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    ToolApprovalRequest,
    ToolApprovalResponse,
    ToolInputAvailable,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputDenied,
    ToolOutputError,
)
from app.core.messages import UIMessage

CALL = ToolInputAvailable("c", "weigh", {})


def durations(*timed, base=None):
    """What is told after events, each with the second at which it happened."""
    now = {}
    found = Durations(lambda: now["at"], base)
    for at, event in timed:
        now["at"] = at
        found.note([event])
    return found.metadata()


def test_each_thought_is_known_by_its_number():
    thoughts = [(1, ReasoningStart("a")), (2, ReasoningDelta("a", "x")), (3.5, ReasoningEnd("a"))]
    more = [(4, ReasoningStart("a")), (4.25, ReasoningEnd("a"))]
    assert durations(*thoughts, *more) == {"thinkingMs": {"0": 2500, "1": 250}}


def test_thoughts_of_an_answer_that_goes_on_are_counted_on():
    thought = {"type": "reasoning", "text": "x", "state": "done"}
    base = UIMessage.model_validate({"id": "a", "role": "assistant", "parts": [thought, {"type": "text", "text": "y"}]})
    assert durations((1, ReasoningStart("a")), (2, ReasoningEnd("a")), base=base) == {"thinkingMs": {"1": 1000}}


@pytest.mark.parametrize("end", [ToolOutputAvailable("c", 1), ToolOutputError("c", "down")])
def test_a_call_takes_from_its_whole_arguments_to_its_result(end):
    preliminary = ToolOutputAvailable("c", 0, preliminary=True)
    assert durations((1, ToolInputStart("c", "weigh")), (2, CALL), (3, preliminary), (4, end)) == {
        "toolMs": {"c": 2000}
    }


def test_waiting_for_the_yes_does_not_count():
    asked = [(1, CALL), (2, ToolApprovalRequest("c", "ap1"))]
    assert durations(*asked) == {}
    assert durations((90, ToolApprovalResponse("c", "ap1", approved=True)), (91, ToolOutputAvailable("c", 1))) == {
        "toolMs": {"c": 1000}
    }


def test_what_never_ran_took_no_time():
    denied = [(1, ToolApprovalResponse("c", "ap1", approved=False)), (2, ToolOutputDenied("c"))]
    assert durations(*denied) == {}
    assert durations((1, ToolOutputError("c", "gone"))) == {}
    assert durations((1, CALL), (1, ToolOutputAvailable("c", 1))) == {}
