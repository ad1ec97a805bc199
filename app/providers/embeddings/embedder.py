"""An `Embedder` that asks a service over HTTP: time limits, retries and the breaker are those of every model call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from app.core.embeddings import BatchLimits, Embedded, EmbeddingRequest, InputType
from app.core.errors import ProviderError, ProviderRejected
from app.core.model import Timeouts
from app.providers.breaker import Breaker
from app.providers.embeddings.answer import NoVectorsError
from app.providers.failures import Failures, ReportedError
from app.providers.retry import Retry


class EmbeddingAdapter(Protocol):
    """What a format is like."""

    async def ask(self, request: EmbeddingRequest, timeouts: Timeouts) -> Embedded:
        """Raises ReportedError, NoVectorsError, and what `translate` knows."""
        ...

    def translate(self, error: Exception, failures: Failures) -> ProviderError: ...

    async def close(self) -> None: ...


class ServiceEmbedder:
    def __init__(
        self,
        connect: Callable[[], Awaitable[EmbeddingAdapter]],
        failures: Failures,
        timeouts: Timeouts,
        retry: Retry,
        breaker: Breaker,
        limits: BatchLimits,
        prefixes: Callable[[str], Mapping[InputType, str]],
    ) -> None:
        """`breaker` is the endpoint's, shared with the chats there; the rest is the preset's own. `prefixes` are those
        of a model.
        """
        self._connect = connect
        self._failures = failures
        self._timeouts = timeouts
        self._retry = retry
        self._breaker = breaker
        self._limits = limits
        self._prefixes = prefixes

    def limits(self, model: str) -> BatchLimits:
        return self._limits

    def prefix(self, model: str, input_type: InputType) -> str:
        return self._prefixes(model).get(input_type, "")

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        try:
            adapter = await self._connect()
        except Exception as error:  # noqa: BLE001 - an SDK that is not installed, an address that is none
            raise self._failures.unexpected(error) from None
        if (seconds := self._breaker.wait()) is not None:
            raise self._failures.resting(seconds)
        clock = asyncio.get_running_loop().time
        began, attempt = clock(), 1
        while True:
            try:
                embedded = await self._ask(adapter, request)
            except ProviderError as error:
                failure = error
            else:
                self._breaker.answered()
                return self._checked(request, embedded)
            wait = self._retry.wait(failure, attempt=attempt, elapsed=clock() - began)
            if wait is None:
                self._breaker.failed(failure)
                raise failure from None
            await self._retry.sleep(wait)
            attempt += 1

    async def _ask(self, adapter: EmbeddingAdapter, request: EmbeddingRequest) -> Embedded:
        """The vectors come in one piece, so they have the time that a first word has."""
        seconds = min(self._timeouts.first_event, self._timeouts.total)
        try:
            async with asyncio.timeout(seconds):
                return await adapter.ask(request, self._timeouts)
        except TimeoutError:
            raise self._failures.timeout("its vectors", seconds) from None
        except ReportedError as error:
            raise self._failures.reported(error.details) from None
        except NoVectorsError as error:
            raise self._failures.unreadable(str(error)) from None
        except Exception as error:  # noqa: BLE001 - the SDK raises nearly anything; each becomes a ProviderError
            raise adapter.translate(error, self._failures) from None

    def _checked(self, request: EmbeddingRequest, embedded: Embedded) -> Embedded:
        """Some servers pass over `dimensions`: what they make then is not what was asked for."""
        length = len(embedded.vectors[0]) // 4
        if request.dimensions is not None and length != request.dimensions:
            raise ProviderRejected(
                f"The model makes vectors of {length} numbers and takes no other `dimensions`. Leave it out.",
                param="dimensions",
            )
        return embedded
