"""OpenAI's chat completions and whoever speaks them, through the official SDK: it builds, signs and sends; the answer
is read as bytes. How a service differs stands in its row of the catalog.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai

from app.core.errors import ProviderError
from app.core.model import Media, ModelMessage, ModelRequest, Reasoning, Text, Timeouts, ToolCall, ToolResult
from app.core.values import Thinking
from app.providers.catalog import Service
from app.providers.endpoint import NO_KEY, Endpoint
from app.providers.exchange import Prepared
from app.providers.failures import Failures
from app.providers.http import limits, new_client, translate
from app.providers.openai_chat_answer import OpenAIChatAnswer
from app.providers.system_prompt import system_prompt
from app.providers.unmapped import Unmapped

_LOW_BUDGET = 4096
_MEDIUM_BUDGET = 16384


class OpenAIChatAdapter:
    def __init__(self, endpoint: Endpoint, unmapped: Unmapped) -> None:
        self._service = endpoint.service
        self._unmapped = unmapped
        self._client = openai.AsyncOpenAI(
            api_key=endpoint.key or NO_KEY,
            base_url=endpoint.base_url,
            default_headers=dict(endpoint.headers),
            max_retries=0,
            http_client=new_client(endpoint),
        )
        if endpoint.key_name != "OPENAI_API_KEY":  # the SDK reads both from the environment, for OpenAI alone
            self._client.organization = self._client.project = None

    def prepare(self, request: ModelRequest) -> Prepared:
        return Prepared(completion_body(request, self._service, self._unmapped))

    @asynccontextmanager
    async def send(self, body: Mapping[str, Any], timeouts: Timeouts) -> AsyncGenerator[httpx2.Response, None]:
        create = self._client.chat.completions.with_streaming_response.create
        async with create(**body, stream=True, timeout=limits(timeouts)) as response:
            yield response.http_response

    def answer(self, request: ModelRequest) -> OpenAIChatAnswer:
        return OpenAIChatAnswer(self._unmapped, citations=self._service.citations)

    def translate(self, error: Exception, failures: Failures, *, answering: bool) -> ProviderError:
        return translate(error, failures, answering=answering)

    async def close(self) -> None:
        await self._client.close()


def completion_body(request: ModelRequest, service: Service, unmapped: Unmapped) -> dict[str, Any]:
    """The arguments of `chat.completions.create`."""
    body: dict[str, Any] = {"model": request.model, "messages": _messages(request, unmapped)}
    for name in ("temperature", "top_p"):
        if (value := getattr(request, name)) is not None:
            body[name] = value
    if request.max_tokens is not None:
        body[service.max_tokens_field] = request.max_tokens
    if request.stop:
        body["stop"] = list(request.stop)
    if request.response_format == "json" and service.json_mode:
        body["response_format"] = {"type": "json_object"}
    if service.usage_in_stream:
        body["stream_options"] = {"include_usage": True}
    if request.thinking is not None:
        effort = _effort(request.thinking)
        value = service.no_effort if effort is None else effort
        if value is not None and service.takes_effort:
            body["reasoning_effort"] = value
        else:
            unmapped.count(f"openai_chat: thinking at {service.title}")
    return body


def _effort(thinking: Thinking) -> str | None:
    """A budget in tokens as the nearest effort; None: do not think."""
    if isinstance(thinking, str):
        return None if thinking == "off" else thinking
    if thinking == 0:
        return None
    if thinking <= _LOW_BUDGET:
        return "low"
    return "medium" if thinking <= _MEDIUM_BUDGET else "high"


def _messages(request: ModelRequest, unmapped: Unmapped) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if system := system_prompt(request):
        messages.append({"role": "system", "content": system})
    for message in request.messages:
        match message.role:
            case "user":
                messages.append({"role": "user", "content": _user_content(message)})
            case "assistant":
                messages += _assistant(message, unmapped)
            case "tool":
                messages += _results(message)
    return messages


def _user_content(message: ModelMessage) -> str | list[dict[str, Any]]:
    """A string where that says it all: not every server takes a list."""
    texts = [item.text for item in message.content if isinstance(item, Text)]
    if len(texts) == len(message.content):
        return "\n\n".join(texts)
    parts: list[dict[str, Any]] = []
    for item in message.content:
        if isinstance(item, Text):
            parts.append({"type": "text", "text": item.text})
        elif isinstance(item, Media):
            url = f"data:{item.media_type};base64,{item.data}"
            parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts


def _assistant(message: ModelMessage, unmapped: Unmapped) -> list[dict[str, Any]]:
    if any(isinstance(item, Reasoning) for item in message.content):
        unmapped.count("openai_chat: thinking in the history")
    text = "".join(item.text for item in message.content if isinstance(item, Text))
    calls = list(_calls(message.content))
    if not text and not calls:
        return []
    return [{"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}]


def _calls(content: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for item in content:
        if isinstance(item, ToolCall):
            arguments = json.dumps(item.input, ensure_ascii=False)
            yield {"id": item.id, "type": "function", "function": {"name": item.name, "arguments": arguments}}


def _results(message: ModelMessage) -> Iterator[dict[str, Any]]:
    for item in message.content:
        if isinstance(item, ToolResult):
            text = item.output if isinstance(item.output, str) else json.dumps(item.output, ensure_ascii=False)
            yield {"role": "tool", "tool_call_id": item.id, "content": text}
