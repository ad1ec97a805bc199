"""A message back into the events that make it: what `fold` does, the other way round.

For a client that re-attaches to a run which continues a stored message: it starts empty, so it must be told the parts
that earlier runs made before it hears the rest (wire contract of ai@5 to ai@7, 5.4).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from app.core.events import (
    GeneratedFile,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceDocument,
    SourceUrl,
    StepFinish,
    StepStart,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
    ToolApprovalRequest,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputDenied,
    ToolOutputError,
)
from app.core.messages import (
    FilePart,
    ReasoningPart,
    SourceDocumentPart,
    SourceUrlPart,
    StepStartPart,
    TextPart,
    ToolPart,
    UIMessage,
)


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
            case SourceDocumentPart():
                events.append(SourceDocument(part.source_id, part.media_type, part.title, part.filename))
            case FilePart():
                events.append(GeneratedFile(part.media_type, part.url, part.provider_metadata, part.filename))
            case ToolPart():
                events += _tool_events(part)
            case _:
                pass
    return [*events, StepFinish()] if stepping else events


def _tool_events(part: ToolPart) -> Iterator[StreamEvent]:
    dynamic, executed = part.type == "dynamic-tool", bool(part.provider_executed)
    if part.state in ("input-available", "approval-requested", "approval-responded"):
        metadata = part.call_provider_metadata
        yield ToolInputAvailable(part.tool_call_id, part.name, part.input, dynamic, executed, metadata)
        if part.approval is not None and part.state == "approval-requested":
            yield ToolApprovalRequest(part.tool_call_id, part.approval.id)
        return
    # Not ToolInputAvailable: that would make the client run its tool again.
    yield ToolInputStart(part.tool_call_id, part.name, dynamic, executed)
    if part.state == "input-streaming":
        return
    yield ToolInputDelta(part.tool_call_id, json.dumps(part.input))
    match part.state:
        case "output-available":
            yield ToolOutputAvailable(part.tool_call_id, part.output, dynamic, executed)
        case "output-denied":
            yield ToolOutputDenied(part.tool_call_id, dynamic)
        case _:
            yield ToolOutputError(part.tool_call_id, part.error_text or "", dynamic, executed)
