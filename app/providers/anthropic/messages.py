"""The neutral prompt → the `messages` of Anthropic's API. Nothing in it depends on the time or on what comes later, so
that each request begins with the one before it and the service finds it in its cache.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from app.core.files import IMAGE_TYPES, PDF
from app.core.model import Content, Media, ModelMessage, Reasoning, Text, ToolCall, ToolResult
from app.providers.anthropic.blocks import answers_later, call_block, is_result, kept_block
from app.providers.metadata import own_metadata
from app.providers.unmapped import Unmapped

_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


def to_messages(messages: Sequence[ModelMessage], unmapped: Unmapped) -> list[dict[str, Any]]:
    """Tool results are the user's; two messages of the same role become one; none is empty."""
    out: list[dict[str, Any]] = []
    ran = _ran(messages)
    for message in _with_results_where_they_came(messages):
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message.content, ran, unmapped)
        if not blocks:
            continue
        if out and out[-1]["role"] == role:
            out[-1]["content"] += blocks
        else:
            out.append({"role": role, "content": blocks})
    return out


def lacks_thoughts(messages: Sequence[Mapping[str, Any]]) -> bool:
    """A tool loop is running of which a call was made without thinking, or by another service: with a budget, the API
    refuses to begin to think in the middle of it.
    """
    for message in reversed(messages):
        kinds = [block["type"] for block in message["content"] if not is_result(block["type"])]
        if message["role"] == "user" and "tool_result" not in kinds:
            return False
        if message["role"] == "assistant" and kinds and kinds[0] not in _THOUGHTS:
            return True
    return False


def _blocks(content: Sequence[Content], ran: Collection[str], unmapped: Unmapped) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for item in content:
        match item:
            case Text():
                blocks += _text(item)
            case Media():
                blocks += _media(item, unmapped)
            case Reasoning():
                blocks += _thought(item, unmapped)
            case ToolCall(provider_executed=True) | ToolResult(provider_executed=True):
                blocks += _server_tool(item, ran, unmapped)
            case ToolCall():
                blocks.append(_call(item, ran))
            case ToolResult():
                blocks.append(_result(item))
    return blocks


def _text(text: Text) -> list[dict[str, Any]]:
    """The API refuses empty text. Citations go back as they came: they hold what the service reads itself."""
    if not text.text.strip():
        return []
    citations = own_metadata(text.provider_metadata, "anthropic").get("citations")
    return [{"type": "text", "text": text.text, **({"citations": citations} if citations else {})}]


def _media(media: Media, unmapped: Unmapped) -> list[dict[str, Any]]:
    source = {"type": "base64", "media_type": media.media_type, "data": media.data}
    if media.media_type in IMAGE_TYPES:
        return [{"type": "image", "source": source}]
    if media.media_type == PDF:
        return [{"type": "document", "source": source, **({"title": media.filename} if media.filename else {})}]
    unmapped.count(f"anthropic: {media.media_type} in the history")
    return []


def _thought(reasoning: Reasoning, unmapped: Unmapped) -> list[dict[str, Any]]:
    """Thinking goes back word for word with its signature; other services' thinking has none and stays here."""
    metadata = own_metadata(reasoning.provider_metadata, "anthropic")
    if signature := metadata.get("signature"):
        return [{"type": "thinking", "thinking": reasoning.text, "signature": signature}]
    if data := metadata.get("redactedData"):
        return [{"type": "redacted_thinking", "data": data}]
    unmapped.count("anthropic: unsigned thinking in the history")
    return []


def _with_results_where_they_came(messages: Sequence[ModelMessage]) -> Iterator[ModelMessage]:
    """The prompt has a result beside its call. One that came answers later begins that answer: up to there the history
    stays as the service has it.
    """
    late: dict[int, list[Content]] = {}
    number = 0
    for message in messages:
        if message.role != "assistant":
            yield message
            continue
        content: list[Content] = late.pop(number, [])
        for item in message.content:
            later = answers_later(item.provider_metadata) if isinstance(item, ToolResult) else 0
            (late.setdefault(number + later, []) if later else content).append(item)
        number += 1
        yield ModelMessage("assistant", tuple(content))


def _ran(messages: Sequence[ModelMessage]) -> frozenset[str]:
    """The server tools' calls that may stand in the history: those with a result, and in the tool loop that is running
    those that wait for calls of ours: for those that their code made, or that the model made in the same breath.
    """
    results = {
        item.id
        for message in messages
        for item in message.content
        if isinstance(item, ToolResult) and kept_block(item.provider_metadata)
    }
    waiting: set[str] = set()
    for message in messages:
        if message.role == "user":
            waiting.clear()
        waiting.update(_caller(item) for item in message.content if isinstance(item, ToolCall))
    if messages and messages[-1].role == "tool":
        waiting.update(item.id for answer in messages[-2:-1] for item in answer.content if isinstance(item, ToolCall))
    return frozenset(results | waiting)


def _caller(call: ToolCall) -> str:
    """The id of the call whose code made this one; empty where the model itself did."""
    caller: Mapping[str, str] = (kept_block(call.provider_metadata) or {}).get("caller") or {}
    return caller.get("tool_id", "")


def _call(call: ToolCall, ran: Collection[str]) -> dict[str, Any]:
    block = kept_block(call.provider_metadata) or {"type": "tool_use", "name": call.name}
    if (caller := _caller(call)) and caller not in ran:
        block = {key: value for key, value in block.items() if key != "caller"}
    return call_block(call, block) | {"id": _call_id(call.id)}


def _server_tool(item: ToolCall | ToolResult, ran: Collection[str], unmapped: Unmapped) -> list[dict[str, Any]]:
    """Block by block as it came. What another service ran, and what was cut off, never happened here."""
    block = kept_block(item.provider_metadata)
    if block is None or item.id not in ran:
        unmapped.count("anthropic: a call of another service, or without a result, in the history")
        return []
    return [call_block(item, block) if isinstance(item, ToolCall) else dict(block)]


def _result(result: ToolResult) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": _call_id(result.id), "content": result.text}
    return {**block, "is_error": True, "content": result.text or "The call failed."} if result.is_error else block


def _call_id(call_id: str) -> str:
    """Other services' ids may hold characters that this API refuses."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", call_id)
