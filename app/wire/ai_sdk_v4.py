"""AI SDK 4 (ai@4.3.19): its messages both ways, and its data stream, one `<code>:<JSON>` part per line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.errors import InvalidRequest
from app.core.events import (
    Abort,
    GeneratedFile,
    MessageFinish,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    SourceUrl,
    Status,
    StepFinish,
    StepStart,
    StreamError,
    StreamEvent,
    TextDelta,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputDenied,
    ToolOutputError,
)
from app.core.messages import FilePart, ReasoningPart, SourceUrlPart, StepStartPart, TextPart, ToolPart, UIMessage
from app.wire.json import dump_json
from app.wire.last_step import LastStep

_TOOL_STATES = {"partial-call": "input-streaming", "call": "input-available", "result": "output-available"}
_DENIED = "The user did not allow this call."


def from_v4(item: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A message with a `content` string as a UIMessage's JSON; `content` is what stands in the parts already.

    Raises:
        InvalidRequest: a part that SDK 4 does not know.
    """
    raw = item.get("parts")
    parts = [_part_from_v4(part, f"{path}.parts[{i}]") for i, part in enumerate(raw)] if isinstance(raw, list) else []
    if not parts and item["content"]:
        parts = [{"type": "text", "text": item["content"]}]
    attachments = item.get("experimental_attachments")
    files = [_attachment(file, path) for file in attachments] if isinstance(attachments, list) else []
    kept = {key: item[key] for key in ("id", "role", "metadata", "createdAt", "annotations") if key in item}
    return {**kept, "parts": [*files, *parts]}


def _attachment(file: Any, path: str) -> dict[str, Any]:
    match file:
        case {"url": str(url)}:
            name = {"filename": file["name"]} if isinstance(file.get("name"), str) else {}
            return {"type": "file", "mediaType": str(file.get("contentType") or ""), "url": url, **name}
        case _:
            pass
    raise InvalidRequest(f"{path}.experimental_attachments must hold objects with `url`.", param=path)


def _part_from_v4(part: Any, path: str) -> dict[str, Any]:
    match part:
        case {"type": "text" | "step-start"}:
            return dict(part)
        case {"type": "reasoning", "reasoning": str(text)}:
            return {"type": "reasoning", "text": text, **_signature(part.get("details"))}
        case {"type": "tool-invocation", "toolInvocation": {"toolName": str(name), "state": str(state), **call}}:
            value = {"type": f"tool-{name}", "toolCallId": call.get("toolCallId"), "input": call.get("args")}
            value["state"] = _TOOL_STATES.get(state, state)
            return {**value, "output": call["result"]} if "result" in call else value
        case {"type": "source", "source": {"id": source_id, "url": url, **rest}}:
            title = {"title": rest["title"]} if isinstance(rest.get("title"), str) else {}
            return {"type": "source-url", "sourceId": source_id, "url": url, **title}
        case {"type": "file", "mimeType": str(media_type), "data": str(data)}:
            return {"type": "file", "mediaType": media_type, "url": f"data:{media_type};base64,{data}"}
        case {"type": "reasoning" | "file", "text": _} | {"type": "file", "url": _}:
            return dict(part)  # a newer client's part beside a `content` string
        case _:
            pass
    raise InvalidRequest(f"{path} is not a part that AI SDK 4 knows.", param=path)


def _signature(details: Any) -> dict[str, Any]:
    """Only Anthropic signs what it thinks, and only SDK 4 has no place for whose signature it is."""
    for detail in details if isinstance(details, list) else ():
        match detail:
            case {"signature": str(signature)}:
                return {"providerMetadata": {"anthropic": {"signature": signature}}}
            case {"type": "redacted", "data": str(data)}:
                return {"providerMetadata": {"anthropic": {"redactedData": data}}}
            case _:
                continue
    return {}


def to_v4(message: UIMessage) -> dict[str, Any]:
    """For `initialMessages`: SDK 4 shows `parts` and sends `content` back."""
    parts: list[dict[str, Any]] = []
    attachments: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            parts.append({"type": "text", "text": part.text})
        elif isinstance(part, ReasoningPart):
            details = [{"type": "text", "text": part.text}]
            parts.append({"type": "reasoning", "reasoning": part.text, "details": details})
        elif isinstance(part, StepStartPart):
            parts.append({"type": "step-start"})
        elif isinstance(part, SourceUrlPart):
            source = {"sourceType": "url", "id": part.source_id, "url": part.url}
            titled = source if part.title is None else {**source, "title": part.title}
            parts.append({"type": "source", "source": titled})
        elif isinstance(part, ToolPart):
            parts.append({"type": "tool-invocation", "toolInvocation": _invocation(part)})
        elif isinstance(part, FilePart):
            name = {"name": part.filename} if part.filename is not None else {}
            attachments.append({**name, "contentType": part.media_type, "url": part.url})
    value: dict[str, Any] = {"id": message.id, "role": message.role, "content": message.text, "parts": parts}
    return {**value, "experimental_attachments": attachments} if attachments else value


def _invocation(part: ToolPart) -> dict[str, Any]:
    call = {"toolCallId": part.tool_call_id, "toolName": part.name, "args": part.input}
    if part.state == "output-available":
        return {"state": "result", **call, "result": part.output}
    if part.state in ("output-error", "output-denied"):
        return {"state": "result", **call, "result": {"error": part.error_text or _DENIED}}
    return {"state": "partial-call" if part.state == "input-streaming" else "call", **call}


class DataStreamEncoder:
    """The data stream. An empty line is its only keep-alive: a comment would be an error to the client."""

    format = "data"
    media_type = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = {"x-vercel-ai-data-stream": "v1"}
    keep_alive = b"\n"

    def __init__(self) -> None:
        self._message_id = ""
        self._last_step = LastStep()

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        return b"".join(self._line(event) for told in events for event in self._last_step.pass_on(told))

    def end(self) -> bytes:
        return b""

    def _line(self, event: StreamEvent) -> bytes:
        match event:
            case TextDelta(_, delta):
                return _part("0", delta)
            case ReasoningDelta(_, delta):
                return _part("g", delta)
            case MessageStart(message_id, metadata):
                self._message_id = message_id
                return _part("8", [metadata]) if metadata else b""
            case StepStart():
                return _part("f", {"messageId": self._message_id})
            case StepFinish():
                return _part("e", {"finishReason": "unknown", "isContinued": False})
            case ReasoningEnd(_, {"anthropic": {"signature": signature}}):
                return _part("j", {"signature": signature})
            case ReasoningEnd(_, {"anthropic": {"redactedData": data}}):
                return _part("i", {"data": data})
            case SourceUrl(source_id, url, title):
                source = {"sourceType": "url", "id": source_id, "url": url}
                return _part("h", source if title is None else {**source, "title": title})
            case ToolInputStart(call_id, name):
                return _part("b", {"toolCallId": call_id, "toolName": name})
            case ToolInputDelta(call_id, delta):
                return _part("c", {"toolCallId": call_id, "argsTextDelta": delta})
            case ToolInputAvailable(call_id, name, value):
                args = value if isinstance(value, dict) else {"input": value}
                return _part("9", {"toolCallId": call_id, "toolName": name, "args": args})
            case ToolOutputAvailable(call_id, output):
                return b"" if event.preliminary else _part("a", {"toolCallId": call_id, "result": output})
            case ToolInputError(call_id, name, value, text):
                call = self._line(ToolInputAvailable(call_id, name, value))
                return call + self._line(ToolOutputError(call_id, text))
            case ToolOutputError(call_id, text):
                return _part("a", {"toolCallId": call_id, "result": {"error": text}})
            case ToolOutputDenied(call_id):
                return self._line(ToolOutputError(call_id, _DENIED))
            case GeneratedFile(media_type, url):
                return _file_part(media_type, url)
            case Status(code, text, seconds):
                data = {"code": code, "text": text} | ({} if seconds is None else {"seconds": seconds})
                return _part("2", [{"type": "data-status", "data": data}])
            case MessageFinish(reason, usage, metadata):
                tokens = {"promptTokens": usage.input_tokens, "completionTokens": usage.output_tokens}
                return _part("8", [metadata]) + _part("d", {"finishReason": reason, "usage": tokens})
            case StreamError(text):
                return _part("3", text)
            case Abort():
                return _part("d", {"finishReason": "unknown"})
            case _:
                return b""  # starts and ends of parts: the data stream has none


def _file_part(media_type: str, url: str) -> bytes:
    """A file part holds the content; what only has an address goes where SDK 4 keeps data of all kinds."""
    _, comma, content = url.partition(";base64,")
    if comma:
        return _part("k", {"data": content, "mimeType": media_type})
    return _part("2", [{"type": "file", "mediaType": media_type, "url": url}])


def _part(code: str, value: Any) -> bytes:
    return code.encode() + b":" + dump_json(value) + b"\n"
