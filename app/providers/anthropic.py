"""Anthropic's Messages API, through the official SDK: it builds, signs and sends; the answer is read as bytes."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx2

from app.core.errors import ProviderError
from app.core.model import Content, Media, ModelMessage, ModelRequest, Reasoning, Text, Timeouts, ToolCall, ToolResult
from app.core.values import Thinking
from app.providers.anthropic_answer import AnthropicAnswer
from app.providers.endpoint import NO_KEY, Endpoint
from app.providers.exchange import Prepared
from app.providers.failures import Failures
from app.providers.http import limits, new_client, translate
from app.providers.system_prompt import system_prompt
from app.providers.unmapped import Unmapped

DEFAULT_MAX_TOKENS = 8192
"""The API wants a limit. This one is for what is said; thinking comes on top."""

_THOUGHT_TOKENS: Mapping[str, int] = {"low": 4096, "medium": 16384, "high": 32768}
_SMALLEST_BUDGET = 1024


class AnthropicAdapter:
    def __init__(self, endpoint: Endpoint, unmapped: Unmapped) -> None:
        self._unmapped = unmapped
        self._client = anthropic.AsyncAnthropic(
            api_key=endpoint.key or NO_KEY,
            base_url=endpoint.base_url.removesuffix("/v1"),
            default_headers=dict(endpoint.headers),
            max_retries=0,
            http_client=new_client(endpoint),
        )

    def prepare(self, request: ModelRequest) -> Prepared:
        return Prepared(message_body(request, self._unmapped))

    @asynccontextmanager
    async def send(self, body: Mapping[str, Any], timeouts: Timeouts) -> AsyncGenerator[httpx2.Response, None]:
        create = self._client.messages.with_streaming_response.create
        async with create(**body, stream=True, timeout=limits(timeouts)) as response:
            yield response.http_response

    def answer(self, request: ModelRequest) -> AnthropicAnswer:
        return AnthropicAnswer(self._unmapped)

    def translate(self, error: Exception, failures: Failures, *, answering: bool) -> ProviderError:
        return translate(error, failures, answering=answering)

    async def close(self) -> None:
        await self._client.close()


def message_body(request: ModelRequest, unmapped: Unmapped) -> dict[str, Any]:
    """The arguments of `messages.create`."""
    thinking = _thinking(request.thinking)
    thoughts = _thought_tokens(request.thinking)
    max_tokens = request.max_tokens or DEFAULT_MAX_TOKENS + thoughts
    budget = thinking.get("thinking", {}).get("budget_tokens", 0)
    system = system_prompt(request)
    sampling = {"temperature": request.temperature, "top_p": request.top_p}
    extra = {name: value for name, value in sampling.items() if value is not None}
    if thoughts:
        for name in extra:
            unmapped.count(f"anthropic: {name} while thinking")
        extra = {}
    return {
        "model": request.model,
        "max_tokens": max_tokens if max_tokens > budget else max_tokens + budget,
        "messages": _messages(request.messages, unmapped),
        **({"system": system} if system else {}),
        **({"stop_sequences": list(request.stop)} if request.stop else {}),
        **thinking,
        **({"extra_body": extra} if extra else {}),  # the SDK has no names for these any more
    }


def _thinking(thinking: Thinking | None) -> dict[str, Any]:
    """An effort lets the model decide how long to think; a budget is a budget."""
    match thinking:
        case None:
            return {}
        case "off" | 0:
            return {"thinking": {"type": "disabled"}}
        case int():
            return {"thinking": {"type": "enabled", "budget_tokens": max(thinking, _SMALLEST_BUDGET)}}
        case _:
            return {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": thinking},
            }


def _thought_tokens(thinking: Thinking | None) -> int:
    """How much room thinking gets."""
    if isinstance(thinking, int):
        return max(thinking, _SMALLEST_BUDGET) if thinking else 0
    return _THOUGHT_TOKENS.get(thinking or "off", 0)


def _messages(messages: Iterable[ModelMessage], unmapped: Unmapped) -> list[dict[str, Any]]:
    """Tool results are the user's; two messages of the same role become one."""
    out: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message.content, unmapped)
        if not blocks:
            continue
        if out and out[-1]["role"] == role:
            out[-1]["content"] += blocks
        else:
            out.append({"role": role, "content": blocks})
    return out


def _blocks(content: Sequence[Content], unmapped: Unmapped) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for item in content:
        match item:
            case Text(text):
                if text.strip():  # the API refuses empty text
                    blocks.append({"type": "text", "text": text})
            case Media(media_type, data):
                source = {"type": "base64", "media_type": media_type, "data": data}
                blocks.append({"type": "image", "source": source})
            case Reasoning():
                blocks += _thought(item, unmapped)
            case ToolCall(call_id, name, value):
                arguments = value if isinstance(value, Mapping) else {}
                blocks.append({"type": "tool_use", "id": _call_id(call_id), "name": name, "input": arguments})
            case ToolResult(call_id, _, output, is_error):
                text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
                result = {"type": "tool_result", "tool_use_id": _call_id(call_id), "content": text}
                blocks.append({**result, "is_error": True} if is_error else result)
    return blocks


def _call_id(call_id: str) -> str:
    """Other services' ids may hold characters that this API refuses."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", call_id)


def _thought(reasoning: Reasoning, unmapped: Unmapped) -> list[dict[str, Any]]:
    """Thinking goes back word for word with its signature; other services' thinking has none and stays here."""
    metadata = (reasoning.provider_metadata or {}).get("anthropic", {})
    if signature := metadata.get("signature"):
        return [{"type": "thinking", "thinking": reasoning.text, "signature": signature}]
    if data := metadata.get("redactedData"):
        return [{"type": "redacted_thinking", "data": data}]
    unmapped.count("anthropic: unsigned thinking in the history")
    return []
