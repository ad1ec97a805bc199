"""Whether an event holds what its type promises. Decoders hand on what a service sends, and a broken service, or one
that means harm, may send a number where text belongs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

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
_MAX_FIGURE = 10**12
"""Tokens. Prices are floats, and the books have 64 bits."""
_MAX_DEPTH = 100
"""Of what a service wants back: a conversation may be nested 200 deep, and it stands inside one."""
_MAX_BITS = 1_023
"""Of a whole number in it: clients make a float of it."""
_FIGURES = ("input_tokens", "output_tokens", "reasoning_tokens", "cache_read_tokens", "cache_write_tokens", "searches")


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
    if usage is not None and not all(_is_figure(getattr(usage, name)) for name in _FIGURES):
        return False
    return _can_be_kept(getattr(event, "provider_metadata", None))


def _is_figure(value: object) -> bool:
    return value is None or (isinstance(value, int) and abs(value) <= _MAX_FIGURE)


def _can_be_kept(value: object, depth: int = 0) -> bool:
    """Whether a conversation that holds it can be read again, and sent back whole."""
    if isinstance(value, Mapping | list):
        inside = value.values() if isinstance(value, Mapping) else value
        return depth < _MAX_DEPTH and all(_can_be_kept(item, depth + 1) for item in inside)
    if isinstance(value, int):
        return value.bit_length() <= _MAX_BITS
    return not isinstance(value, float) or isfinite(value)
