"""The one reducer: what a message looks like after some events have happened to it.

Serves saving, page rendering and late attach, and agrees with the AI SDK's own client reducer
(`process-ui-message-stream.ts`, ai@7): the same parts in the same order with the same states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, assert_never

from app.core.events import (
    Abort,
    GeneratedFile,
    MessageFinish,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceDocument,
    SourceUrl,
    Status,
    StepFinish,
    StepStart,
    StreamError,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
    ToolApprovalRequest,
    ToolApprovalResponse,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputDenied,
    ToolOutputError,
)
from app.core.messages import ProviderMetadata, UIMessage


def fold(message: UIMessage | None, events: Iterable[StreamEvent]) -> UIMessage | None:
    """The message after `events`; None while nothing has started.

    Fold many events at once: the text of a part is joined once per call, not once per delta.
    """
    draft = Draft(message)
    for event in events:
        draft.apply(event)
    return draft.message()


def merge_metadata(old: Any, new: Mapping[str, Any]) -> dict[str, Any]:
    """Objects merge, everything else replaces: the AI SDK's rule for `messageMetadata`."""
    merged = dict(old) if isinstance(old, Mapping) else {}
    for key, value in new.items():
        is_object = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge_metadata(merged[key], value) if is_object else value
    return merged


class Draft:
    """A message under construction, its parts in wire form; text is collected in pieces.

    `message` may be asked for at any time, as often as a checkpoint is due.
    """

    def __init__(self, message: UIMessage | None) -> None:
        self._wire: dict[str, Any] | None = message.to_wire() if message is not None else None
        self._open: dict[str, tuple[dict[str, Any], list[str]]] = {}
        self._tool_input: dict[str, tuple[dict[str, Any], list[str]]] = {}

    def message(self) -> UIMessage | None:
        if self._wire is None:
            return None
        for part, pieces in self._open.values():
            part["text"] = "".join(pieces)
        for part, pieces in self._tool_input.values():
            if pieces:
                part["rawInput"] = "".join(pieces)
        return UIMessage.model_validate(self._wire)

    def apply(self, event: StreamEvent) -> None:
        match event:
            case TextDelta() | ReasoningDelta():
                self._open[event.id][1].append(event.delta)
            case MessageStart():
                self._start(event)
            case StepStart():
                self._parts.append({"type": "step-start"})
            case TextStart():
                self._open_part("text", event.id)
            case ReasoningStart():
                self._open_part("reasoning", event.id)
            case TextEnd() | ReasoningEnd():
                self._close_part(event.id, event.provider_metadata)
            case SourceUrl() | SourceDocument() | GeneratedFile():
                self._parts.append(_whole_part(event))
            case ToolInputStart() | ToolInputDelta() | ToolInputAvailable() | ToolInputError():
                self._apply_tool_input(event)
            case ToolOutputAvailable() | ToolOutputError():
                self._apply_tool_output(event)
            case ToolApprovalRequest() | ToolApprovalResponse() | ToolOutputDenied():
                self._apply_approval(event)
            case MessageFinish():
                self._add_metadata(event.metadata)
            case StepFinish() | Status() | StreamError() | Abort():
                pass
            case _:
                assert_never(event)

    @property
    def _parts(self) -> list[dict[str, Any]]:
        assert self._wire is not None, "an event before MessageStart"
        parts: list[dict[str, Any]] = self._wire["parts"]
        return parts

    def _start(self, event: MessageStart) -> None:
        if self._wire is None:
            self._wire = {"id": event.message_id, "role": "assistant", "parts": []}
        self._add_metadata(event.metadata)

    def _add_metadata(self, metadata: Mapping[str, Any]) -> None:
        assert self._wire is not None
        if metadata:
            self._wire["metadata"] = merge_metadata(self._wire.get("metadata"), metadata)

    def _open_part(self, kind: str, part_id: str) -> None:
        part: dict[str, Any] = {"type": kind, "text": "", "state": "streaming"}
        self._parts.append(part)
        self._open[part_id] = (part, [])

    def _close_part(self, part_id: str, provider_metadata: ProviderMetadata | None) -> None:
        part, pieces = self._open.pop(part_id)
        part["text"] = "".join(pieces)
        part["state"] = "done"
        if provider_metadata is not None:
            part["providerMetadata"] = provider_metadata

    def _apply_tool_input(self, event: ToolInputStart | ToolInputDelta | ToolInputAvailable | ToolInputError) -> None:
        if isinstance(event, ToolInputDelta):
            self._tool_input[event.tool_call_id][1].append(event.delta)
            return
        part = self._find_tool_part(event.tool_call_id)
        if part is None:
            part = {"type": "dynamic-tool" if event.dynamic else f"tool-{event.tool_name}"}
            if event.dynamic:
                part["toolName"] = event.tool_name
            part["toolCallId"] = event.tool_call_id
            self._parts.append(part)
        if event.provider_executed:
            part["providerExecuted"] = True
        if isinstance(event, ToolInputStart):
            self._tool_input[event.tool_call_id] = (part, [])
            part["state"] = "input-streaming"
            return
        part.pop("rawInput", None)
        self._tool_input.pop(event.tool_call_id, None)
        if isinstance(event, ToolInputError):
            part.update(state="output-error", errorText=event.error_text)
            part["input" if isinstance(event.input, Mapping) else "rawInput"] = event.input
        else:
            part.update(state="input-available", input=event.input)
        if event.provider_metadata is not None:
            part["callProviderMetadata"] = event.provider_metadata

    def _apply_tool_output(self, event: ToolOutputAvailable | ToolOutputError) -> None:
        part = self._tool_part(event.tool_call_id)
        part.pop("preliminary", None)
        if isinstance(event, ToolOutputError):
            part.update(state="output-error", errorText=event.error_text)
            part.pop("output", None)
        else:
            part.update(state="output-available", output=event.output)
            part.pop("errorText", None)
            if event.preliminary:
                part["preliminary"] = True
        if event.provider_metadata is not None:
            part["resultProviderMetadata"] = event.provider_metadata

    def _apply_approval(self, event: ToolApprovalRequest | ToolApprovalResponse | ToolOutputDenied) -> None:
        part = self._tool_part(event.tool_call_id)
        match event:
            case ToolApprovalRequest():
                part.update(state="approval-requested", approval={"id": event.approval_id})
            case ToolApprovalResponse():
                reason = {} if event.reason is None else {"reason": event.reason}
                approval = {"id": event.approval_id, "approved": event.approved, **reason}
                part.update(state="approval-responded", approval=approval)
            case ToolOutputDenied():
                part["state"] = "output-denied"

    def _find_tool_part(self, tool_call_id: str) -> dict[str, Any] | None:
        return next((part for part in reversed(self._parts) if part.get("toolCallId") == tool_call_id), None)

    def _tool_part(self, tool_call_id: str) -> dict[str, Any]:
        part = self._find_tool_part(tool_call_id)
        assert part is not None, f"no tool call {tool_call_id}"
        return part


def _whole_part(event: SourceUrl | SourceDocument | GeneratedFile) -> dict[str, Any]:
    part: dict[str, Any]
    match event:
        case SourceUrl():
            part = {"type": "source-url", "sourceId": event.source_id, "url": event.url, "title": event.title}
        case SourceDocument():
            part = {"type": "source-document", "sourceId": event.source_id, "mediaType": event.media_type}
            part |= {"title": event.title, "filename": event.filename}
        case GeneratedFile():
            metadata = event.provider_metadata
            part = {"type": "file", "mediaType": event.media_type, "url": event.url, "providerMetadata": metadata}
            part["filename"] = event.filename
        case _:
            assert_never(event)
    return {key: value for key, value in part.items() if value is not None}
