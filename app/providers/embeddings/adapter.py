"""One request for embeddings, through OpenAI's official SDK: it builds, signs and sends for whoever speaks the same."""

from __future__ import annotations

import asyncio
from typing import Any

import openai

from app.core.embeddings import Embedded, EmbeddingRequest
from app.core.errors import ProviderError
from app.core.model import Timeouts
from app.providers.embeddings.answer import read_embedded, read_whole
from app.providers.embeddings.dialect import EmbeddingDialect
from app.providers.endpoint import Endpoint
from app.providers.failures import Failures
from app.providers.http import incoming, limits, translate
from app.providers.openai_client import new_openai_client

_MANY_BYTES = 200_000
"""What takes some milliseconds to read is read in a thread."""


class OpenAIEmbeddingAdapter:
    def __init__(self, endpoint: Endpoint, dialect: EmbeddingDialect) -> None:
        self._dialect = dialect
        self._client = new_openai_client(endpoint)

    async def ask(self, request: EmbeddingRequest, timeouts: Timeouts) -> Embedded:
        """Raises whatever the SDK does, ReportedError and NoVectorsError."""
        create = self._client.embeddings.with_streaming_response.create
        async with create(
            model=request.model,
            input=list(request.texts),
            encoding_format=self._dialect.encoding,
            user=request.user if request.user and self._dialect.takes_user else openai.omit,
            extra_body=self._more(request),
            timeout=limits(timeouts),
        ) as response:
            body = await read_whole(incoming(response.http_response))
        if len(body) < _MANY_BYTES:
            return read_embedded(body, len(request.texts))
        return await asyncio.to_thread(read_embedded, body, len(request.texts))

    def translate(self, error: Exception, failures: Failures) -> ProviderError:
        return translate(error, failures, answering=False)

    async def close(self) -> None:
        await self._client.close()

    def _more(self, request: EmbeddingRequest) -> dict[str, Any]:
        more: dict[str, Any] = {}
        if request.dimensions is not None:
            more[self._dialect.dimensions_field] = request.dimensions
        if request.input_type is not None and self._dialect.takes_input_type:
            more["input_type"] = request.input_type
        return more
