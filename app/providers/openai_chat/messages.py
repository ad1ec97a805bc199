"""The history of a conversation → the `messages` of a chat completion."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.core.events import CallWarning
from app.core.model import Content, Media, ModelRequest, Reasoning, Text, ToolCall, ToolResult
from app.providers.catalog import Service
from app.providers.dialects import Dialect
from app.providers.metadata import own_metadata
from app.providers.system_prompt import system_prompt

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where services put what was thought, in deltas and messages. A delta with both has the same text in both."""

AUDIO_FORMATS: Mapping[str, str] = {"audio/wav": "wav", "audio/mpeg": "mp3"}
"""Media type → `input_audio.format`."""


def chat_messages(
    request: ModelRequest, provider: str, service: Service, warnings: list[CallWarning]
) -> list[dict[str, Any]]:
    """The messages in order, the system prompt first.

    Args:
        request: the neutral prompt.
        provider: the service's row; what stands under this name in provider metadata goes back to it.
        service: the row itself.
        warnings: gets one for everything that could not be said as it was.
    """
    dialect = service.dialect
    messages: list[dict[str, Any]] = []
    if system := system_prompt(request, tells_schema=not dialect.json_schema):
        messages.append({"role": "system", "content": system})
    for message in request.messages:
        match message.role:
            case "user":
                messages.append({"role": "user", "content": _user_content(message.content, dialect)})
            case "assistant":
                messages += _assistant(message.content, provider, dialect)
            case "tool" if dialect.takes_tools:
                messages += _results(message.content, dialect)
            case "tool":
                details = f"{service.title} takes no tools: what they said before is told as text."
                warnings.append(CallWarning("tools", details))
                messages.append({"role": "user", "content": _told(message.content)})
    return _taking_turns(messages) if dialect.takes_turns else messages


def _user_content(content: Sequence[Content], dialect: Dialect) -> str | list[dict[str, Any]]:
    """A string where that says it all: not every server takes a list."""
    texts = [item.text for item in content if isinstance(item, Text)]
    if len(texts) == len(content):
        return "\n\n".join(texts)
    return [_user_part(item, dialect) for item in content if isinstance(item, Text | Media)]


def _user_part(item: Text | Media, dialect: Dialect) -> dict[str, Any]:
    if isinstance(item, Text):
        return {"type": "text", "text": item.text}
    url = f"data:{item.media_type};base64,{item.data}"
    if item.media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    if item.media_type in AUDIO_FORMATS:
        sound = {"data": item.data, "format": AUDIO_FORMATS[item.media_type]}
        return {"type": "input_audio", "input_audio": sound}
    if dialect.pdf_part == "document_url":
        return {"type": "document_url", "document_url": url}
    return {"type": "file", "file": {"filename": item.filename or "document.pdf", "file_data": url}}


def _assistant(content: Sequence[Content], provider: str, dialect: Dialect) -> list[dict[str, Any]]:
    """At most one message. What another service ran itself, call and result, stays out."""
    text = "".join(item.text for item in content if isinstance(item, Text))
    called = [item for item in content if isinstance(item, ToolCall) and not item.provider_executed]
    calls = called if dialect.takes_tools else []
    if not text and not calls:
        return []
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = [_call(call, provider, dialect) for call in calls]
    message |= _thoughts(content, calls, provider, dialect)
    return [message]


def _call(call: ToolCall, provider: str, dialect: Dialect) -> dict[str, Any]:
    arguments = call.input if isinstance(call.input, Mapping) else {}  # chat templates want an object
    function = {"name": call.name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    sent: dict[str, Any] = {"id": _call_id(call.id, dialect), "type": "function", "function": function}
    if extra := own_metadata(call.provider_metadata, provider).get("extra_content"):
        sent["extra_content"] = extra
    return sent


def _thoughts(content: Sequence[Content], calls: Sequence[ToolCall], provider: str, dialect: Dialect) -> dict[str, Any]:
    """The fields of an assistant message that say what this service thought before."""
    for call in calls:
        if details := own_metadata(call.provider_metadata, provider).get("reasoning_details"):
            return {"reasoning_details": details}
    always = dialect.reasoning_back == "always"
    if not always and not (calls and dialect.reasoning_back == "with_calls"):
        return {}
    told = [(_field(item, provider, dialect), item.text) for item in content if isinstance(item, Reasoning)]
    own = [(field, text) for field, text in told if field in REASONING_FIELDS]
    if not own and not always:
        return {}
    field = min((field for field, _ in own), key=REASONING_FIELDS.index, default=REASONING_FIELDS[0])
    return {field: "".join(text for _, text in own)}


def _field(thought: Reasoning, provider: str, dialect: Dialect) -> str | None:
    """Where it came in, as far as is known: a program that sends it back through the gateway does not say."""
    own = own_metadata(thought.provider_metadata, provider)
    return dialect.reasoning_field if own.get("unnamed") else own.get("field")


def _results(content: Sequence[Content], dialect: Dialect) -> list[dict[str, Any]]:
    return [
        {"role": "tool", "tool_call_id": _call_id(item.id, dialect), "content": item.text}
        for item in content
        if isinstance(item, ToolResult)
    ]


def _told(content: Sequence[Content]) -> str:
    results = [item for item in content if isinstance(item, ToolResult)]
    return "\n\n".join(f"The tool {item.name} answered:\n{item.text}" for item in results)


def _call_id(call_id: str, dialect: Dialect) -> str:
    """The id, or where the service refuses its form, another that is always the same for it."""
    length = dialect.call_id_length
    if length is None or (len(call_id) == length and call_id.isascii() and call_id.isalnum()):
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:length]


def _taking_turns(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages of the same role become one."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if turns and turns[-1]["role"] == message["role"]:
            turns[-1]["content"] = _joined(turns[-1]["content"], message["content"])
        else:
            turns.append(message)
    return turns


def _joined(first: str | list[dict[str, Any]], second: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    parts = [item if isinstance(item, list) else [{"type": "text", "text": item}] for item in (first, second)]
    return parts[0] + parts[1]
