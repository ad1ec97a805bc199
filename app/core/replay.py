"""A message back into the events that make it: what `fold` does, the other way round.

For a client that re-attaches to a run which continues a stored message: it starts empty, so it must be told the parts
that earlier runs made before it hears the rest (wire contract of ai@5 to ai@7, 5.4).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from app.core.events import (
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceUrl,
    StepFinish,
    StepStart,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
)
from app.core.messages import ReasoningPart, SourceUrlPart, StepStartPart, TextPart, ToolPart, UIMessage


def to_events(message: UIMessage) -> list[StreamEvent]:
    """The parts of `message`, whole steps, without its start and end. Parts that no run makes are left out."""
    events: list[StreamEvent] = []
    stepping = False
    for number, part in enumerate(message.parts):
        part_id = f"earlier-{number}"
        match part:
            case StepStartPart():
                events += [StepFinish(), StepStart()] if stepping else [StepStart()]
                stepping = True
            case TextPart():
                events += [TextStart(part_id), TextDelta(part_id, part.text), TextEnd(part_id, part.provider_metadata)]
            case ReasoningPart():
                end = ReasoningEnd(part_id, part.provider_metadata)
                events += [ReasoningStart(part_id), ReasoningDelta(part_id, part.text), end]
            case SourceUrlPart():
                events.append(SourceUrl(part.source_id, part.url, part.title))
            case ToolPart():
                events += _tool_events(part)
            case _:
                pass
    return [*events, StepFinish()] if stepping else events


def _tool_events(part: ToolPart) -> Iterator[StreamEvent]:
    dynamic, executed = part.type == "dynamic-tool", bool(part.provider_executed)
    if part.state not in ("output-available", "output-error"):
        metadata = part.call_provider_metadata
        yield ToolInputAvailable(part.tool_call_id, part.name, part.input, dynamic, executed, metadata)
        return
    # Not ToolInputAvailable: that would make the client run its tool again.
    yield ToolInputStart(part.tool_call_id, part.name, dynamic, executed)
    yield ToolInputDelta(part.tool_call_id, json.dumps(part.input))
    if part.state == "output-available":
        yield ToolOutputAvailable(part.tool_call_id, part.output, dynamic, executed)
    else:
        yield ToolOutputError(part.tool_call_id, part.error_text or "", dynamic, executed)
