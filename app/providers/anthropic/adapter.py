"""Anthropic's Messages API, through the official SDK: it builds, signs and sends; the answer is read as bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anthropic

from app.core.errors import ProviderError
from app.core.model import ModelRequest, Timeouts
from app.providers.anthropic.answer import AnthropicAnswer
from app.providers.anthropic.cache import mark
from app.providers.anthropic.messages import lacks_thoughts, to_messages
from app.providers.anthropic.settings import settings_of
from app.providers.endpoint import NO_KEY, Endpoint
from app.providers.exchange import Prepared
from app.providers.failures import Failures
from app.providers.http import incoming, limits, new_client, translate
from app.providers.reader import Incoming
from app.providers.system_prompt import system_prompt
from app.providers.unmapped import Unmapped

BETAS = "anthropic-beta"


class AnthropicAdapter:
    def __init__(self, endpoint: Endpoint, unmapped: Unmapped) -> None:
        self.is_original = endpoint.base_url == endpoint.service.base_url
        """It is Anthropic's own address."""
        self._unmapped = unmapped
        self.betas = [value for name, value in endpoint.headers if name.lower() == BETAS]
        self.client = anthropic.AsyncAnthropic(
            api_key=endpoint.key or NO_KEY,
            base_url=endpoint.base_url.removesuffix("/v1"),
            default_headers={name: value for name, value in endpoint.headers if name.lower() != BETAS},
            max_retries=0,
            http_client=new_client(endpoint),
        )

    def prepare(self, request: ModelRequest) -> Prepared:
        return prepared_message(request, self._unmapped, betas=self.betas)

    @asynccontextmanager
    async def send(self, body: Mapping[str, Any], timeouts: Timeouts) -> AsyncGenerator[Incoming, None]:
        create = self.client.messages.with_streaming_response.create
        async with create(**body, stream=True, timeout=limits(timeouts)) as response:
            yield incoming(response.http_response)

    def answer(self, request: ModelRequest) -> AnthropicAnswer:
        return AnthropicAnswer(request, self._unmapped)

    def translate(self, error: Exception, failures: Failures, *, answering: bool) -> ProviderError:
        return translate(error, failures, answering=answering)

    async def close(self) -> None:
        await self.client.close()


def prepared_message(request: ModelRequest, unmapped: Unmapped, *, betas: Sequence[str] = ()) -> Prepared:
    """The arguments of `messages.create`: tools, system prompt, history, the prompt's order too.

    Args:
        request: what is asked.
        unmapped: counts what of the history stays here.
        betas: what the preset's own header asks for.
    """
    messages = to_messages(request.messages, unmapped)
    settings = settings_of(request, in_loop=lacks_thoughts(messages))
    body: dict[str, Any] = {"model": request.model, **settings.body}
    if asked := [*betas, *settings.betas]:
        body["extra_headers"] = {BETAS: ",".join(asked)}
    if tools := _tools(request):
        body["tools"] = tools
        if choice := settings.tool_choice:
            body["tool_choice"] = choice
    if system := system_prompt(request, tells_schema=settings.tells_schema):
        body["system"] = [{"type": "text", "text": system}]
    body["messages"] = messages
    mark(body, request.cache)
    return Prepared(body, settings.warnings)


def _tools(request: ModelRequest) -> list[dict[str, Any]]:
    own = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
        for tool in request.tools
    ]
    return own + [dict(tool) for tool in request.provider_tools]
