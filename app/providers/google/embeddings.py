"""Vectors of texts from Google (`models.batchEmbedContents`, v1beta)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from app.core.embeddings import Embedded, EmbeddingRequest
from app.core.errors import ProviderError
from app.core.events import Usage
from app.core.model import Timeouts
from app.core.routing import estimated_tokens
from app.providers.embeddings.answer import NoVectorsError, embedded_of, read_whole
from app.providers.endpoint import Endpoint
from app.providers.failures import Failures
from app.providers.google.adapter import GoogleStatusError, headers_of, model_path, translate_google
from app.providers.http import incoming, limits, new_client

_TASKS: Mapping[str, str] = {"query": "RETRIEVAL_QUERY", "document": "RETRIEVAL_DOCUMENT"}
_TAKES_TASKS = "gemini-embedding-001"
"""Later models have it in the text: `app.providers.embeddings.prefixes`."""


class GoogleEmbeddingAdapter:
    def __init__(self, endpoint: Endpoint) -> None:
        self._base_url = endpoint.base_url
        self._headers = headers_of(endpoint)
        self._client = new_client(endpoint)

    async def ask(self, request: EmbeddingRequest, timeouts: Timeouts) -> Embedded:
        """Raises GoogleStatusError, NoVectorsError, and what the client does."""
        path = model_path(request.model)
        url = f"{self._base_url}/{path}:batchEmbedContents"
        body = {"requests": [{"model": path, **_asked(text, request)} for text in request.texts]}
        async with self._client.stream(
            "POST", url, headers=self._headers, json=body, timeout=limits(timeouts)
        ) as response:
            if not response.is_success:
                await response.aread()
                raise GoogleStatusError(response)
            answer = await read_whole(incoming(response))
        return await asyncio.to_thread(_read, answer, request)

    def translate(self, error: Exception, failures: Failures) -> ProviderError:
        return translate_google(error, failures, answering=False)

    async def close(self) -> None:
        await self._client.aclose()


def _asked(text: str, request: EmbeddingRequest) -> dict[str, Any]:
    asked: dict[str, Any] = {"content": {"parts": [{"text": text}]}}
    if request.input_type is not None and request.model.endswith(_TAKES_TASKS):
        asked["taskType"] = _TASKS[request.input_type]
    if request.dimensions is not None:
        asked["outputDimensionality"] = request.dimensions
    return asked


def _read(body: bytes, request: EmbeddingRequest) -> Embedded:
    try:
        value = from_json(body, allow_inf_nan=False)
        vectors = [{"embedding": each["values"]} for each in value["embeddings"]]
        tokens = (value.get("usageMetadata") or {}).get("promptTokenCount")
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NoVectorsError("the answer holds no list of embeddings") from None
    if type(tokens) is not int:  # older models do not count
        tokens = estimated_tokens(sum(map(len, request.texts)))
    return embedded_of(vectors, len(request.texts), Usage(tokens))
