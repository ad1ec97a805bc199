"""One long answer with everything in it, for the tests of every format."""

from __future__ import annotations

from app.core.events import (
    MessageFinish,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceUrl,
    StepFinish,
    StepStart,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
    Usage,
)

ANSWER = [
    MessageStart("m1", {"model": "x"}),
    StepStart(),
    ReasoningStart("r"),
    ReasoningDelta("r", "hm"),
    ReasoningEnd("r", {"anthropic": {"signature": "sig"}}),
    TextStart("t"),
    TextDelta("t", 'a "b"\n'),
    TextDelta("t", "\u2028\u0085é\U0001f600"),
    TextEnd("t"),
    SourceUrl("s", "https://a.example", "A"),
    ToolInputStart("c", "add"),
    ToolInputDelta("c", '{"n":1}'),
    ToolInputAvailable("c", "add", {"n": 1}),
    ToolOutputAvailable("c", None),
    ToolInputAvailable("d", "find", [], dynamic=True, provider_executed=True),
    ToolOutputError("d", "down", dynamic=True, provider_executed=True),
    StepFinish(),
    MessageFinish("tool-calls", Usage(3, 4), {"finishReason": "tool-calls"}),
]
