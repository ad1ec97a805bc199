"""Presets → providers. SDKs are imported, and clients built, when the first call needs them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import assert_never

from app.core.embeddings import Embedder
from app.core.errors import InvalidRequest
from app.core.model import Preset
from app.core.ports import Api, Provider
from app.core.routing import Abilities
from app.providers.breaker import Breaker
from app.providers.catalog import CATALOG
from app.providers.echo.provider import Echo
from app.providers.embeddings.embedder import EmbeddingAdapter, ServiceEmbedder
from app.providers.embeddings.prefixes import prefixes_of
from app.providers.endpoint import Endpoint, endpoint
from app.providers.exchange import Adapter, Exchange
from app.providers.failures import Failures
from app.providers.parsing import FrameParser
from app.providers.retry import Retry
from app.providers.unmapped import Unmapped


class Registry:
    """The port `Providers`. Presets with the same address, key and headers share one pool of connections."""

    def __init__(self, environ: Mapping[str, str], *, retry: Retry | None = None, echo: Provider | None = None) -> None:
        """`environ` is where keys come from."""
        self.unmapped = Unmapped()
        self._environ = environ
        self._retry = retry or Retry()
        self._echo = echo or Echo()
        self._connections: dict[Endpoint, _Connection] = {}

    def open(self, preset: Preset, *, hurried: bool = False) -> Provider:
        """As the port says."""
        if CATALOG[preset.provider].adapter == "echo":
            return self._echo
        if CATALOG[preset.provider].adapter == "embeddings":
            title = CATALOG[preset.provider].title
            raise InvalidRequest(
                f"{title} makes embeddings and cannot chat. Choose another preset than {preset.name!r}."
            )
        found = endpoint(preset, self._environ)
        connection = self._connection(found)
        failures = Failures(preset.name, found)
        return Exchange(
            connection.adapter,
            failures,
            preset.timeouts,
            self._retry.hurried if hurried else self._retry,
            connection.breaker,
            found.service.takes,
        )

    def relay(self, preset: Preset, api: Api, *, whole: bool, hurried: bool = False) -> Provider | None:
        """As the port says."""
        if CATALOG[preset.provider].adapter != api:
            return None
        found = endpoint(preset, self._environ)
        connection = self._connection(found)
        limits = preset.timeouts
        return Exchange(
            connection.relay,
            Failures(preset.name, found),
            replace(limits, first_event=limits.total) if whole else limits,
            self._retry.hurried if hurried else self._retry,
            connection.breaker,
            found.service.takes,
            FrameParser,
        )

    def abilities(self, preset: Preset) -> Abilities:
        service = CATALOG[preset.provider]
        return Abilities(
            takes=service.takes,
            tools=service.dialect.takes_tools and service.adapter != "wave_cloud",
            json=service.json_mode and service.adapter != "wave_cloud",
            local=service.local or service.adapter == "echo",
            api=service.adapter if service.adapter == "anthropic" else None,
        )

    def embedder(self, preset: Preset) -> Embedder:
        """As the port says."""
        dialect = CATALOG[preset.provider].embeddings
        if dialect is None:
            makers = ", ".join(name for name, service in CATALOG.items() if service.embeddings is not None)
            raise InvalidRequest(
                f"{CATALOG[preset.provider].title} makes no embeddings, so the preset {preset.name!r} cannot. "
                f"Those who do are {makers}."
            )
        found = endpoint(preset, self._environ)
        connection = self._connection(found)
        failures = Failures(preset.name, found)
        return ServiceEmbedder(
            connection.embeddings,
            failures,
            preset.timeouts,
            self._retry,
            connection.breaker,
            dialect.limits,
            partial(prefixes_of, preset),
        )

    def knows(self, provider: str) -> bool:
        service = CATALOG.get(provider)
        return service is not None and bool(service.base_url)

    def maker_of(self, model: str) -> str | None:
        makers = (name for name, service in CATALOG.items() if service.makes and model.startswith(service.makes))
        return next(makers, None)

    def _connection(self, found: Endpoint) -> _Connection:
        connection = self._connections.get(found)
        if connection is None:
            connection = self._connections[found] = _Connection(found, self.unmapped)
        return connection

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close()
        self._connections.clear()


class _Connection:
    """An endpoint's adapters, which come into being when they are first asked for, and its breaker."""

    def __init__(self, found: Endpoint, unmapped: Unmapped) -> None:
        self.breaker = Breaker()
        self._endpoint = found
        self._unmapped = unmapped
        self._lock = asyncio.Lock()
        self._adapter: Adapter | None = None
        self._embeddings: EmbeddingAdapter | None = None

    async def adapter(self) -> Adapter:
        if self._adapter is None:
            async with self._lock:
                if self._adapter is None:
                    # An SDK takes a second to import, and certificates their time to load: other turns go on.
                    self._adapter = await asyncio.to_thread(_new_adapter, self._endpoint, self._unmapped)
        return self._adapter

    async def relay(self) -> Adapter:
        """The adapter for requests that are passed on as they are: over the same connections."""
        from app.providers.anthropic.adapter import AnthropicAdapter
        from app.providers.anthropic.relay import AnthropicRelay

        adapter = await self.adapter()
        assert isinstance(adapter, AnthropicAdapter), "asked before"
        return AnthropicRelay(adapter)

    async def embeddings(self) -> EmbeddingAdapter:
        if self._embeddings is None:
            async with self._lock:
                if self._embeddings is None:
                    self._embeddings = await asyncio.to_thread(_new_embedding_adapter, self._endpoint)
        return self._embeddings

    async def close(self) -> None:
        for adapter in (self._adapter, self._embeddings):
            if adapter is not None:
                await adapter.close()


def _new_adapter(found: Endpoint, unmapped: Unmapped) -> Adapter:
    match found.service.adapter:
        case "anthropic":
            from app.providers.anthropic.adapter import AnthropicAdapter

            return AnthropicAdapter(found, unmapped)
        case "openai_chat":
            from app.providers.openai_chat.adapter import OpenAIChatAdapter

            return OpenAIChatAdapter(found, unmapped)
        case "openai_responses":
            from app.providers.openai_responses.adapter import OpenAIResponsesAdapter

            return OpenAIResponsesAdapter(found, unmapped)
        case "google":
            from app.providers.google.adapter import GoogleAdapter

            return GoogleAdapter(found, unmapped)
        case "wave_cloud":
            from app.providers.wave_cloud import WaveCloudAdapter

            return WaveCloudAdapter(found, unmapped)
        case "echo" | "embeddings" | "router":
            raise AssertionError("echo has no endpoint, and Voyage no chats")
        case _:
            assert_never(found.service.adapter)


def _new_embedding_adapter(found: Endpoint) -> EmbeddingAdapter:
    dialect = found.service.embeddings
    assert dialect is not None, "asked before"
    if dialect.format == "google":
        from app.providers.google.embeddings import GoogleEmbeddingAdapter

        return GoogleEmbeddingAdapter(found)
    from app.providers.embeddings.adapter import OpenAIEmbeddingAdapter

    return OpenAIEmbeddingAdapter(found, dialect)
