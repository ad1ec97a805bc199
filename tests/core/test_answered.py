"""The events of one model call, put together to the whole answer."""

from __future__ import annotations

from app.core.answered import answered
from app.core.events import (
    CallWarning,
    GeneratedFile,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceUrl,
    Status,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
    Usage,
)
from app.core.model import Media, Reasoning, Text, ToolCall, ToolResult

SIGNED = {"anthropic": {"signature": "s"}}
FINISH = ModelFinish("tool-calls", Usage(1, 2))


def test_everything_stands_in_the_order_in_which_it_began() -> None:
    found = answered(
        [
            Status("retrying", "Wait."),
            ReasoningStart("r"),
            ReasoningDelta("r", "H"),
            ReasoningDelta("r", "m"),
            ReasoningEnd("r", SIGNED),
            TextStart("t"),
            TextDelta("t", "Let me "),
            ToolInputStart("c", "rain"),
            ToolInputDelta("c", "{}"),
            TextDelta("t", "look."),
            TextEnd("t"),
            ToolInputAvailable("c", "rain", {"city": "Oslo"}),
            GeneratedFile("image/png", "data:image/png;base64,QQ=="),
            FINISH,
        ]
    )
    assert found.content == (
        Reasoning("Hm", SIGNED),
        Text("Let me look."),
        ToolCall("c", "rain", {"city": "Oslo"}),
        Media("image/png", "QQ=="),
    )
    assert (found.text, found.finish) == ("Let me look.", FINISH)


def test_what_the_service_ran_stands_beside_its_result() -> None:
    found = answered(
        [
            ToolInputAvailable("a", "search", {}, provider_executed=True),
            ToolOutputAvailable("a", {"hits": 0}, provider_executed=True, preliminary=True),
            ToolOutputAvailable("a", {"hits": 1}, provider_executed=True),
            ToolInputAvailable("b", "fetch", {}, provider_executed=True),
            ToolOutputError("b", "Gone.", provider_executed=True),
            FINISH,
        ]
    )
    assert found.content == (
        ToolCall("a", "search", {}, provider_executed=True),
        ToolResult("a", "search", {"hits": 1}, provider_executed=True),
        ToolCall("b", "fetch", {}, provider_executed=True),
        ToolResult("b", "fetch", "Gone.", is_error=True, provider_executed=True),
    )


def test_arguments_that_nobody_could_read_are_kept_as_they_were_written() -> None:
    found = answered([ToolInputStart("c", "rain"), ToolInputError("c", "rain", "{oh", "Not JSON."), FINISH])
    assert found.content == (ToolCall("c", "rain", "{oh"),)


def test_warnings_and_sources_are_no_content() -> None:
    warning, source = CallWarning("stop", "Not here."), SourceUrl("s", "https://example.com/")
    found = answered([warning, source, FINISH])
    assert (found.content, found.warnings, found.sources) == ((), (warning,), (source,))
