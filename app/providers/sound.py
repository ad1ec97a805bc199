"""Whether an event holds what its type promises. Decoders hand on what a service sends, and a broken service, or one
that means harm, may send a number where text belongs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.core.events import (
    GeneratedFile,
    ModelEvent,
    ModelFinish,
    ReasoningDelta,
    SourceDocument,
    SourceUrl,
    TextDelta,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
    Verbatim,
)

_TEXTS: Mapping[type, Sequence[str]] = {
    ToolInputDelta: ("delta",),
    ToolInputStart: ("tool_call_id", "tool_name"),
    ToolInputAvailable: ("tool_call_id", "tool_name"),
    ToolInputError: ("tool_call_id", "tool_name", "error_text"),
    ToolOutputAvailable: ("tool_call_id",),
    ToolOutputError: ("tool_call_id", "error_text"),
    SourceUrl: ("source_id", "url"),
    SourceDocument: ("source_id", "media_type", "title"),
    GeneratedFile: ("media_type", "url"),
}
_MAY_BE_MISSING: Mapping[type, Sequence[str]] = {
    SourceUrl: ("title",),
    SourceDocument: ("filename",),
    ModelFinish: ("explanation",),
}
_NAMES = frozenset({"tool_call_id", "tool_name"})
"""Never empty."""
_FIGURES = ("input_tokens", "output_tokens", "reasoning_tokens", "cache_read_tokens", "cache_write_tokens")


def is_sound(event: ModelEvent) -> bool:
    if type(event) is TextDelta or type(event) is ReasoningDelta:  # nearly all there are: looked at first
        return type(event.delta) is str
    kind = type(event)
    for name in _TEXTS.get(kind, ()):
        value = getattr(event, name)
        if type(value) is not str or (not value and name in _NAMES):
            return False
    for name in _MAY_BE_MISSING.get(kind, ()):
        if not isinstance(getattr(event, name), str | None):
            return False
    usage = event.usage if isinstance(event, ModelFinish | Verbatim) else None
    return usage is None or all(isinstance(getattr(usage, name), int | None) for name in _FIGURES)
