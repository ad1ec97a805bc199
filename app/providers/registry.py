"""Presets → providers. SDKs are imported, and clients built, when the first call needs them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import assert_never

from app.core.model import Preset
from app.core.ports import Provider
from app.providers.breaker import Breaker
from app.providers.catalog import CATALOG
from app.providers.echo.provider import Echo
from app.providers.endpoint import Endpoint, endpoint
from app.providers.exchange import Adapter, Exchange
from app.providers.failures import Failures
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

    def open(self, preset: Preset) -> Provider:
        """Raises NotConfigured where the preset's key is missing."""
        if CATALOG[preset.provider].adapter == "echo":
            return self._echo
        found = endpoint(preset, self._environ)
        connection = self._connections.get(found)
        if connection is None:
            connection = self._connections[found] = _Connection(found, self.unmapped)
        failures = Failures(preset.name, found)
        return Exchange(
            connection.adapter, failures, preset.timeouts, self._retry, connection.breaker, found.service.takes
        )

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close()
        self._connections.clear()


class _Connection:
    """An endpoint's adapter, which comes into being when it is first asked for, and its breaker."""

    def __init__(self, found: Endpoint, unmapped: Unmapped) -> None:
        self.breaker = Breaker()
        self._endpoint = found
        self._unmapped = unmapped
        self._lock = asyncio.Lock()
        self._adapter: Adapter | None = None

    async def adapter(self) -> Adapter:
        if self._adapter is None:
            async with self._lock:
                if self._adapter is None:
                    # An SDK takes a second to import, and certificates their time to load: other turns go on.
                    self._adapter = await asyncio.to_thread(_new_adapter, self._endpoint, self._unmapped)
        return self._adapter

    async def close(self) -> None:
        if self._adapter is not None:
            await self._adapter.close()


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
        case "echo":
            raise AssertionError("echo has no endpoint")
        case _:
            assert_never(found.service.adapter)
