"""How long the thoughts and the tool calls of an answer took, for the message's metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.core.events import (
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    StreamEvent,
    TextDelta,
    ToolApprovalResponse,
    ToolInputAvailable,
    ToolOutputAvailable,
    ToolOutputError,
)
from app.core.messages import ReasoningPart, UIMessage


class Durations:
    def __init__(self, monotonic: Callable[[], float], base: UIMessage | None) -> None:
        """`base`: what was said of the answer before."""
        self._monotonic = monotonic
        self._thoughts = sum(isinstance(part, ReasoningPart) for part in base.parts) if base is not None else 0
        self._thinking: dict[str, tuple[int, float]] = {}
        """The number of each thought that goes on, and when it began."""
        self._running: dict[str, float] = {}
        """When each call began that nothing has come of yet."""
        self._thinking_ms: dict[str, int] = {}
        self._tool_ms: dict[str, int] = {}

    def note(self, events: Sequence[StreamEvent]) -> None:
        """Events that have just happened."""
        for event in events:
            if type(event) is TextDelta or type(event) is ReasoningDelta:
                continue
            match event:
                case ReasoningStart():
                    self._thinking[event.id] = (self._thoughts, self._monotonic())
                    self._thoughts += 1
                case ReasoningEnd():
                    number, began = self._thinking.pop(event.id)
                    self._thinking_ms[str(number)] = self._since(began)
                case ToolInputAvailable() | ToolApprovalResponse(approved=True):
                    self._running[event.tool_call_id] = self._monotonic()
                case ToolOutputAvailable(preliminary=False) | ToolOutputError():
                    if (began_call := self._running.pop(event.tool_call_id, None)) is not None:
                        self._tool_ms[event.tool_call_id] = self._since(began_call)
                case _:
                    pass

    def metadata(self) -> Mapping[str, Any]:
        """Milliseconds: `thinkingMs` by the number of the reasoning part among those of the message, from 0, `toolMs`
        by tool call id. What took no time is left out.
        """
        found = {"thinkingMs": self._thinking_ms, "toolMs": self._tool_ms}
        told = {name: {key: ms for key, ms in taken.items() if ms} for name, taken in found.items()}
        return {name: taken for name, taken in told.items() if taken}

    def _since(self, began: float) -> int:
        return round((self._monotonic() - began) * 1000)
