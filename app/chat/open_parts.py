"""What has begun in an answer and not ended: it must be closed before any kind of end."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.events import (
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    StepFinish,
    StepStart,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
    ToolApprovalRequest,
    ToolInputAvailable,
    ToolInputError,
    ToolOutputAvailable,
    ToolOutputDenied,
    ToolOutputError,
)
from app.core.tools import CANCELLED, ToolRecord


class OpenParts:
    def __init__(self) -> None:
        self.whole = False
        """Everything has been said; what is left is bookkeeping, which nothing may cancel."""
        self._texts: dict[str, type[TextEnd | ReasoningEnd]] = {}
        self._running: dict[str, ToolOutputError] = {}
        """Calls that somebody runs, and what is said of them if the answer ends first."""
        self._unanswered: set[str] = set()
        """Calls of the last step that are ours or the client's to answer."""
        self._stepping = False
        self._called = False
        """The last step has calls."""

    def note(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            kind = type(event)
            if kind is TextDelta or kind is ReasoningDelta:
                continue
            match event:
                case TextStart():
                    self._texts[event.id] = TextEnd
                case ReasoningStart():
                    self._texts[event.id] = ReasoningEnd
                case TextEnd() | ReasoningEnd():
                    self._texts.pop(event.id, None)
                case StepStart():
                    self._stepping, self._called = True, False
                case StepFinish():
                    self._stepping = False
                case _:
                    self._note_call(event)

    def run(self, records: Sequence[ToolRecord]) -> None:
        """These calls run on the server now."""
        for record in records:
            self._running[record.tool_call_id] = ToolOutputError(record.tool_call_id, CANCELLED, record.dynamic)

    def close_texts(self) -> list[StreamEvent]:
        """What must come before the end of a step."""
        ends: list[StreamEvent] = [end(part_id) for part_id, end in self._texts.items()]
        self._texts.clear()
        return ends

    def close(self) -> list[StreamEvent]:
        """What must come before the end of the answer.

        Where its last step ends with calls that all have their results, an empty step follows: a client that goes on
        by itself (`sendAutomaticallyWhen`) would take those results for a reason to.
        """
        ends = [*self.close_texts(), *self._running.values()]
        for call in self._running:
            self._unanswered.discard(call)
        self._running.clear()
        if self._called and not self._unanswered:
            ends += [StepFinish()] if self._stepping else []
            ends += [StepStart(), StepFinish()]
        self._stepping = self._called = False
        return ends

    def _note_call(self, event: StreamEvent) -> None:
        match event:
            case ToolInputAvailable(provider_executed=True):
                call_id = event.tool_call_id
                self._running[call_id] = ToolOutputError(call_id, CANCELLED, event.dynamic, provider_executed=True)
            case ToolInputAvailable():
                self._called = True
                self._unanswered.add(event.tool_call_id)
            case ToolInputError(provider_executed=False):
                self._called = True
            case ToolApprovalRequest():
                self._unanswered.add(event.tool_call_id)
            case ToolOutputAvailable(preliminary=True):
                pass
            case ToolOutputAvailable() | ToolOutputError() | ToolOutputDenied():
                self._running.pop(event.tool_call_id, None)
                self._unanswered.discard(event.tool_call_id)
            case _:
                pass
