"""An answer as Anthropic's Messages have it: what a whole `message` and the events of its stream have in common, and
the whole one.

What the format has no block for is left out: generated files, and the own tools of services of other formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.core.errors import ProviderBroken
from app.core.events import CallWarning, FinishReason, ModelFinish, Usage
from app.core.gateway import Answered
from app.core.messages import ProviderMetadata
from app.core.model import Content, Reasoning, Text, ToolCall, ToolResult
from app.wire.anthropic_signatures import data_of_call, redacted_in, signature_of

_STOP_REASONS: Mapping[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool-calls": "tool_use",
    "content-filter": "refusal",
    "other": "end_turn",
}
"""`error` has no word: such an answer is none."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a message begins with."""

    id: str
    """`msg_…`."""
    model: str

    def to_wire(self, warnings: Sequence[CallWarning]) -> dict[str, Any]:
        message = {"id": self.id, "type": "message", "role": "assistant", "model": self.model}
        told = [{"setting": warning.setting, "details": warning.details} for warning in dict.fromkeys(warnings)]
        return {**message, **({"warnings": told} if told else {})}


def to_message(answered: Answered, head: Head, notes: Sequence[CallWarning]) -> dict[str, Any]:
    """The whole answer. `notes`: what of the request was left out before it was sent.

    Raises:
        ProviderBroken: the model ended in an error.
    """
    content = [block for item in answered.content for block in blocks_of(item)]
    calls = any(block["type"] == "tool_use" for block in content)
    head = replace(head, model=answered.model or head.model)
    message = head.to_wire([*notes, *answered.warnings])
    return {
        **message,
        "content": content,
        **ending(answered.finish, calls=calls),
        "usage": to_usage(answered.finish.usage),
    }


def ending(finish: ModelFinish, *, calls: bool) -> dict[str, Any]:
    """`stop_reason` and what belongs to it. `calls`: there are some for the client to run, whatever the service says.

    Raises:
        ProviderBroken: the model ended in an error.
    """
    if finish.reason == "error":
        raise ProviderBroken(finish.explanation or "The model ended its answer with an error. Try again.")
    reason = "tool_use" if calls and finish.reason in ("stop", "other") else _STOP_REASONS[finish.reason]
    details = {"type": "refusal", "category": None, "explanation": finish.explanation}
    return {"stop_reason": reason, "stop_sequence": None, **({"stop_details": details} if reason == "refusal" else {})}


def to_usage(usage: Usage) -> dict[str, Any]:
    """Input is what is left of it beside the cache."""
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    thought = {} if usage.reasoning_tokens is None else {"thinking_tokens": usage.reasoning_tokens}
    return {
        "input_tokens": max(0, usage.input_tokens - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.output_tokens,
        **({"output_tokens_details": thought} if thought else {}),
    }


def blocks_of(item: Content) -> Iterator[dict[str, Any]]:
    match item:
        case Text() if item.text:
            cited = (item.provider_metadata or {}).get("anthropic", {}).get("citations")
            yield {"type": "text", "text": item.text, **({"citations": cited} if cited else {})}
        case Reasoning():
            yield from _thoughts(item)
        case ToolCall(provider_executed=False):
            yield {"type": "tool_use", "id": item.id, "name": item.name, "input": arguments(item.input)}
            yield from kept_with_call(item.id, item.provider_metadata)
        case ToolCall() | ToolResult():
            yield from server_blocks(item)
        case _:
            pass


def arguments(value: Any) -> Mapping[str, Any]:
    """Of a call that nobody could read, the text that the model wrote, under the name that Anthropic gives it."""
    return value if isinstance(value, Mapping) else {"INVALID_JSON": value}


def kept_with_call(call_id: str, metadata: ProviderMetadata | None) -> Iterator[dict[str, Any]]:
    """What a service wants back with a call stands behind it."""
    if (data := data_of_call(call_id, metadata)) is not None:
        yield {"type": "redacted_thinking", "data": data}


def server_blocks(item: ToolCall | ToolResult) -> Iterator[dict[str, Any]]:
    """Anthropic's own tools, as they came."""
    block = (item.provider_metadata or {}).get("anthropic", {}).get("block")
    if not isinstance(block, Mapping):
        return
    yield {**block, "id": item.id, "input": _server_input(item.input)} if isinstance(item, ToolCall) else dict(block)


def _server_input(value: Any) -> Any:
    return {name: each for name, each in value.items() if name != "type"} if isinstance(value, Mapping) else {}


def _thoughts(item: Reasoning) -> Iterator[dict[str, Any]]:
    if (data := redacted_in(item.provider_metadata)) is not None:
        yield {"type": "redacted_thinking", "data": data}
    elif item.text or item.provider_metadata:
        yield {"type": "thinking", "thinking": item.text, "signature": signature_of(item.provider_metadata)}
