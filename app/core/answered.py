"""The events of one model call → the whole answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.core.events import (
    Answering,
    CallWarning,
    GeneratedFile,
    ModelEvent,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceUrl,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputError,
    ToolOutputAvailable,
    ToolOutputError,
    Usage,
    Verbatim,
)
from app.core.gateway import Answered
from app.core.messages import ProviderMetadata
from app.core.model import Content, Media, Reasoning, Text, ToolCall, ToolResult


def answered(events: Iterable[ModelEvent]) -> Answered:
    """Everything in the order in which it began; of calls, those whose arguments came whole."""
    made = _Made()
    for event in events:
        made.add(event)
    verbatim = b"".join(made.verbatim) if made.verbatim else None
    return Answered(
        tuple(made.content.values()), made.finish, tuple(made.warnings), made.model, tuple(made.sources), verbatim
    )


class _Made:
    """An answer that grows."""

    def __init__(self) -> None:
        self.content: dict[tuple[str, str], Content] = {}
        """By kind and id."""
        self.warnings: list[CallWarning] = []
        self.sources: list[SourceUrl] = []
        self.finish = ModelFinish("other", Usage())
        self.model: str | None = None
        self.verbatim: list[bytes] = []
        self._said: dict[tuple[str, str], list[str]] = {}
        self._names: dict[str, str] = {}

    def add(self, event: ModelEvent) -> None:
        match event:
            case TextStart(id, refuses):
                self._said["text", id], self.content["text", id] = [], Text("", refuses=refuses)
            case ReasoningStart(id):
                self._said["reasoning", id], self.content["reasoning", id] = [], Reasoning("")
            case TextDelta(id, delta):
                self._said["text", id].append(delta)
            case ReasoningDelta(id, delta):
                self._said["reasoning", id].append(delta)
            case TextEnd(id, metadata):
                begun = self.content["text", id]
                refuses = isinstance(begun, Text) and begun.refuses
                self.content["text", id] = Text("".join(self._said["text", id]), metadata, refuses)
            case ReasoningEnd(id, metadata):
                self.content["reasoning", id] = Reasoning("".join(self._said["reasoning", id]), metadata)
            case CallWarning():
                self.warnings.append(event)
            case Answering():
                self.model = event.model
            case ModelFinish():
                self.finish = event
            case Verbatim(data):
                self.verbatim.append(data)
            case _:
                self._add_other(event)

    def _add_other(self, event: ModelEvent) -> None:
        match event:
            case ToolInputAvailable() | ToolInputError():
                call_id = event.tool_call_id
                self._names[call_id] = event.tool_name
                self.content["call", call_id] = ToolCall(
                    call_id, event.tool_name, event.input, event.provider_executed, event.provider_metadata
                )
            case ToolOutputAvailable() if not event.preliminary:
                self._add_result(event.tool_call_id, event.output, event.provider_metadata)
            case ToolOutputError():
                self._add_result(event.tool_call_id, event.error_text, event.provider_metadata, is_error=True)
            case GeneratedFile(media_type, url):
                file = Media(media_type, url.partition(",")[2], event.filename)
                self.content["file", str(len(self.content))] = file
            case SourceUrl():
                self.sources.append(event)
            case _:
                pass  # what is on its way

    def _add_result(
        self, call_id: str, output: Any, metadata: ProviderMetadata | None, *, is_error: bool = False
    ) -> None:
        name = self._names.get(call_id, "")
        self.content["result", call_id] = ToolResult(call_id, name, output, is_error, True, metadata)
