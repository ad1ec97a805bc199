"""The UI message stream of AI SDK 5 to 7 (`ui-message-chunks.ts`, ai@7).

By default only the common subset leaves: chunk types and keys that the strictest release of every major accepts. An
app that declares its version gets what that version understands. Absent keys are left out, never null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from app.core.events import (
    Abort,
    MessageFinish,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceUrl,
    StepFinish,
    StepStart,
    StreamError,
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
from app.core.messages import ProviderMetadata
from app.wire import sse
from app.wire.json import dump_json

_KNOWS_FINISH_REASON = (5, 0, 92)


class AiSdkEncoder:
    media_type = sse.MEDIA_TYPE
    headers: Mapping[str, str] = {**sse.HEADERS, "x-vercel-ai-ui-message-stream": "v1"}
    keep_alive = sse.KEEP_ALIVE

    def __init__(self, version: tuple[int, ...] = (5,)) -> None:
        """`version` is what the app declared: `(6,)` or `(5, 0, 277)`."""
        self._finish_reason = version >= _KNOWS_FINISH_REASON

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        return b"".join(self._chunk(event) for event in events)

    def end(self) -> bytes:
        return sse.DONE

    def _chunk(self, event: StreamEvent) -> bytes:
        if isinstance(event, TextDelta):  # nearly every event: built from constant pieces
            return b'data: {"type":"text-delta","id":%b,"delta":%b}\n\n' % (
                dump_json(event.id),
                dump_json(event.delta),
            )
        return sse.frame(_fields(event, finish_reason=self._finish_reason))


def _fields(event: StreamEvent, *, finish_reason: bool) -> dict[str, Any]:
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
            value = {"type": "finish", "messageMetadata": metadata}
            return {**value, "finishReason": reason} if finish_reason else value
        case StreamError(text):
            return {"type": "error", "errorText": text}
        case Abort():
            return {"type": "abort"}
        case SourceUrl(source_id, url, title):
            value = {"type": "source-url", "sourceId": source_id, "url": url}
            return value if title is None else {**value, "title": title}
        case _:
            return _tool_fields(event)


def _tool_fields(
    event: ToolInputStart | ToolInputDelta | ToolInputAvailable | ToolOutputAvailable | ToolOutputError,
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
        case ToolOutputAvailable():
            value = {"type": "tool-output-available", **value, "output": event.output}
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
