"""One model call over the network: send, read, try again, and never take a torn answer for a whole one.

Everything that is the same for all formats happens here and in `app.providers.reader`; what a format is like stands in
its adapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from app.core.errors import ProviderError
from app.core.events import CallWarning, ModelEvent
from app.core.model import ModelRequest, Timeouts
from app.providers.breaker import Breaker
from app.providers.failures import Failures
from app.providers.parsing import FrameParser, Parser
from app.providers.reader import Answer, Incoming, Reader
from app.providers.retry import Retry


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request in the words of a service."""

    body: Mapping[str, Any]
    warnings: tuple[CallWarning, ...] = ()
    """What this model cannot take and was left out or said otherwise."""


class Adapter(Protocol):
    """What a format is like."""

    def prepare(self, request: ModelRequest) -> Prepared: ...

    def send(self, body: Mapping[str, Any], timeouts: Timeouts) -> AbstractAsyncContextManager[Incoming]: ...

    def answer(self, request: ModelRequest) -> Answer: ...

    def translate(self, error: Exception, failures: Failures, *, answering: bool) -> ProviderError: ...

    async def close(self) -> None: ...


class Exchange:
    """A `Provider` that asks a service over HTTP."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Adapter]],
        failures: Failures,
        timeouts: Timeouts,
        retry: Retry,
        breaker: Breaker,
        takes: frozenset[str],
        parser: Callable[[], Parser | FrameParser] = Parser,
    ) -> None:
        """`breaker` is the endpoint's, shared by all who ask there; the rest is the preset's own. `parser` makes of the
        data of events what the adapter's answers read.
        """
        self.takes = takes
        self._connect = connect
        self._failures = failures
        self._timeouts = timeouts
        self._retry = retry
        self._breaker = breaker
        self._parser = parser

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        try:
            adapter = await self._connect()
        except Exception as error:  # noqa: BLE001 - an SDK that is not installed, an address that is none
            raise self._failures.unexpected(error) from None
        prepared = adapter.prepare(request)
        if (seconds := self._breaker.wait()) is not None:
            raise self._failures.resting(seconds)
        clock = asyncio.get_running_loop().time
        began = clock()
        attempt = 1
        while True:
            answering = False
            reader: Reader | None = None
            try:
                async with AsyncExitStack() as stack:
                    sent = adapter.send(prepared.body, self._timeouts)
                    answer = adapter.answer(request)
                    reader = await self._send(sent, answer, stack, began + self._timeouts.total, request.at_once)
                    while events := await reader.next():
                        if not answering:
                            self._breaker.answered()
                            events = [*prepared.warnings, *events]
                        answering = True
                        yield events
                    return
            except ProviderError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - the SDKs raise nearly anything; each becomes a ProviderError
                failure = adapter.translate(error, self._failures, answering=answering)
            wait = None if answering else self._retry.wait(failure, attempt=attempt, elapsed=clock() - began)
            if wait is None:
                if not answering:
                    self._breaker.failed(failure)
                    if reader is not None and reader.broke_off:  # an answer that failed, not a request that was refused
                        yield [self._failures.broken_off()]
                raise failure from None
            if wait >= self._retry.announced:
                yield [self._failures.waiting(wait)]
            await self._retry.sleep(wait)
            attempt += 1

    async def _send(
        self,
        sent: AbstractAsyncContextManager[Incoming],
        answer: Answer,
        stack: AsyncExitStack,
        deadline: float,
        at_once: Callable[[Sequence[ModelEvent]], bool] | None,
    ) -> Reader:
        first = min(asyncio.get_running_loop().time() + self._timeouts.first_event, deadline)
        try:
            async with asyncio.timeout_at(first):
                incoming = await stack.enter_async_context(sent)
        except TimeoutError:
            if first == deadline:
                raise self._failures.timeout("the whole answer", self._timeouts.total) from None
            raise self._failures.timeout("the first word", self._timeouts.first_event) from None
        reader = Reader(incoming, answer, self._failures, self._timeouts, first, deadline, self._parser())
        stack.push_async_callback(reader.close)
        await reader.refuse_other_content()
        if at_once is not None:
            reader.offer_to(at_once)
        return reader
