"""The UI message stream of AI SDK 5 to 7 (`ui-message-chunks.ts`, ai@7).

By default only the common subset leaves: chunk types and keys that the strictest release of every major accepts. An
app that declares its version gets what that version understands. Absent keys are left out, never null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from app.core.events import (
    Abort,
    ApprovalEvent,
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
from app.core.messages import ProviderMetadata
from app.wire import sse
from app.wire.json import dump_json
from app.wire.last_step import LastStep

_KNOWS_FINISH_REASON = (5, 0, 92)
_KNOWS_INPUT_ERROR = _KNOWS_PRELIMINARY = (5, 0, 11)
_KNOWS_APPROVAL = _KNOWS_WHO_RAN_A_TOOL = (6,)


class AiSdkEncoder:
    media_type = sse.MEDIA_TYPE
    headers: Mapping[str, str] = {**sse.HEADERS, "x-vercel-ai-ui-message-stream": "v1"}
    keep_alive = sse.KEEP_ALIVE

    def __init__(self, version: tuple[int, ...] = (5,)) -> None:
        """`version` is what the app declared: `(6,)` or `(5, 0, 277)`."""
        self.format = f"ui {version}"
        self._version = version
        self._finish_reason = version >= _KNOWS_FINISH_REASON
        self._part_id: str | None = None
        self._part_kind: type[TextDelta | ReasoningDelta] = TextDelta
        self._beginning = b""
        self._began_step = False
        """The last event began a step."""
        self._last_step = LastStep() if version < _KNOWS_WHO_RAN_A_TOOL else None

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        pieces: list[bytes] = []
        for event in events:
            if type(event) is TextDelta or type(event) is ReasoningDelta:  # nearly every event: built from pieces
                if event.id != self._part_id or type(event) is not self._part_kind:
                    self._begin(event)
                pieces += self._beginning, dump_json(event.delta), b"}\n\n"
            elif self._last_step is None:
                pieces.append(self._chunk(event))
            else:
                pieces += map(self._chunk, self._last_step.pass_on(event))
        return b"".join(pieces)

    def end(self) -> bytes:
        return sse.DONE

    def _chunk(self, event: StreamEvent) -> bytes:
        chunks = self._older(event)
        if self._began_step and isinstance(event, StepFinish):
            chunks.append(_LOOK)
        self._began_step = isinstance(event, StepStart)
        return b"".join(map(sse.frame, chunks))

    def _begin(self, event: TextDelta | ReasoningDelta) -> None:
        """All chunks of a part's deltas begin alike."""
        self._part_id, self._part_kind = event.id, type(event)
        name = b"text" if isinstance(event, TextDelta) else b"reasoning"
        self._beginning = b'data: {"type":"%b-delta","id":%b,"delta":' % (name, dump_json(event.id))

    def _older(self, event: StreamEvent) -> list[dict[str, Any]]:
        """The chunks of an event, as far as the client's version knows them."""
        match event:
            case ToolInputError() if self._version < _KNOWS_INPUT_ERROR:
                value = event.input if isinstance(event.input, Mapping) else {}
                rest = (event.dynamic, event.provider_executed)
                call = ToolInputAvailable(event.tool_call_id, event.tool_name, value, *rest)
                return [_fields(call), _fields(ToolOutputError(event.tool_call_id, event.error_text, *rest))]
            case ToolOutputAvailable(preliminary=True) if self._version < _KNOWS_PRELIMINARY:
                return []
            case ToolApprovalResponse():
                return []  # the client that gave it knows
            case ToolApprovalRequest() if self._version < _KNOWS_APPROVAL:
                return []  # the run has asked by a call of `confirm`
            case ToolOutputDenied() if self._version < _KNOWS_APPROVAL:
                return [_fields(ToolOutputError(event.tool_call_id, _DENIED, event.dynamic))]
            case MessageFinish() if not self._finish_reason:
                return [{"type": "finish", "messageMetadata": event.metadata}]
            case _:
                return [_fields(event)]


_DENIED = "The user did not allow this call."

_LOOK: dict[str, Any] = {"type": "message-metadata", "messageMetadata": {}}
"""Clients take note of a step with the next thing that happens in it. Where nothing does, and no `finish` follows, they
would overlook the step and go on by themselves with the results of the tools before it.
"""


def _fields(event: StreamEvent) -> dict[str, Any]:
    match event:
        case TextDelta(part_id, delta):
            return {"type": "text-delta", "id": part_id, "delta": delta}
        case ReasoningDelta(part_id, delta):
            return {"type": "reasoning-delta", "id": part_id, "delta": delta}
        case TextStart(part_id):
            return {"type": "text-start", "id": part_id}
        case TextEnd(part_id, metadata):
            return {"type": "text-end", "id": part_id, **_provider(metadata)}
        case ReasoningStart(part_id):
            return {"type": "reasoning-start", "id": part_id}
        case ReasoningEnd(part_id, metadata):
            return {"type": "reasoning-end", "id": part_id, **_provider(metadata)}
        case MessageStart(message_id, metadata):
            value: dict[str, Any] = {"type": "start", "messageId": message_id}
            return {**value, "messageMetadata": metadata} if metadata else value
        case StepStart():
            return {"type": "start-step"}
        case StepFinish():
            return {"type": "finish-step"}
        case MessageFinish(reason, _, metadata):
            return {"type": "finish", "finishReason": reason, "messageMetadata": metadata}
        case StreamError(text):
            return {"type": "error", "errorText": text}
        case Abort():
            return {"type": "abort"}
        case SourceUrl(source_id, url, title):
            value = {"type": "source-url", "sourceId": source_id, "url": url}
            return value if title is None else {**value, "title": title}
        case SourceDocument(source_id, media_type, title, filename):
            value = {"type": "source-document", "sourceId": source_id, "mediaType": media_type, "title": title}
            return value if filename is None else {**value, "filename": filename}
        case GeneratedFile(media_type, url, metadata):
            return {"type": "file", "mediaType": media_type, "url": url, **_provider(metadata)}
        case Status(code, text, seconds):
            data = {"code": code, "text": text} | ({} if seconds is None else {"seconds": seconds})
            return {"type": "data-status", "data": data, "transient": True}
        case ToolApprovalRequest() | ToolApprovalResponse() | ToolOutputDenied():
            return _approval_fields(event)
        case _:
            return _tool_fields(event)


def _approval_fields(event: ApprovalEvent) -> dict[str, Any]:
    match event:
        case ToolApprovalRequest(call_id, approval_id):
            return {"type": "tool-approval-request", "toolCallId": call_id, "approvalId": approval_id}
        case ToolApprovalResponse(_, approval_id, approved):
            return {"type": "tool-approval-response", "approvalId": approval_id, "approved": approved}
        case ToolOutputDenied(call_id):
            return {"type": "tool-output-denied", "toolCallId": call_id}


def _tool_fields(
    event: (
        ToolInputStart | ToolInputDelta | ToolInputAvailable | ToolInputError | ToolOutputAvailable | ToolOutputError
    ),
) -> dict[str, Any]:
    value: dict[str, Any] = {"toolCallId": event.tool_call_id}
    match event:
        case ToolInputDelta():
            return {"type": "tool-input-delta", **value, "inputTextDelta": event.delta}
        case ToolInputStart():
            value = {"type": "tool-input-start", **value, "toolName": event.tool_name}
        case ToolInputAvailable():
            value = {"type": "tool-input-available", **value, "toolName": event.tool_name, "input": event.input}
            value |= _provider(event.provider_metadata)
        case ToolInputError():
            value = {"type": "tool-input-error", **value, "toolName": event.tool_name, "input": event.input}
            value |= {"errorText": event.error_text, **_provider(event.provider_metadata)}
        case ToolOutputAvailable():
            value = {"type": "tool-output-available", **value, "output": event.output}
            if event.preliminary:
                value["preliminary"] = True
        case ToolOutputError():
            value = {"type": "tool-output-error", **value, "errorText": event.error_text}
        case _:
            assert_never(event)
    # SDK 5 finds the part of an output by `dynamic`, so every chunk of a dynamic call carries it.
    if event.dynamic:
        value["dynamic"] = True
    if event.provider_executed:
        value["providerExecuted"] = True
    return value


def _provider(metadata: ProviderMetadata | None) -> dict[str, Any]:
    return {} if metadata is None else {"providerMetadata": metadata}
