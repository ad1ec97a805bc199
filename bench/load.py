"""The load generator: streams read by plain protocols that count, and keep nothing of what they read but times."""

from __future__ import annotations

import asyncio
import re
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from bench.upstream import STAMP_RANGE

PATIENCE = 60.0
"""Seconds after which what has not ended has failed."""

LAST_CHUNK = b"\r\n0\r\n\r\n"
"""What every answer here ends with."""

_STAMP = re.compile(rb"%(\d{9})")
_STAMP_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Ask:
    """What one stream asks for."""

    request: bytes
    second: bytes | None = None
    """What a second reader asks for, as soon as the first has begun to read."""


@dataclass(slots=True)
class Tally:
    """What has arrived, of all streams together."""

    deltas: int = 0
    second_deltas: int = 0


class Stream(asyncio.Protocol):
    """One connection: requests, each sent when the answer before it has ended."""

    def __init__(self, requests: Sequence[bytes], count: Callable[[bytes], None]) -> None:
        """`count` gets every read. A stamp that is torn between two of them belongs to the second."""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = list(reversed(requests))
        self._count = count
        self._head = b""
        self._held = b""
        self._tail = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        if not self._head:
            self._head = data[:64]
            if b" 200 " not in self._head:
                self._fail(f"The server answered {data[:300]!r}.")
                return
        data = self._held + data
        stamp = data.rfind(b"%", -_STAMP_LENGTH + 1)
        self._held, data = (b"", data) if stamp < 0 else (data[stamp:], data[:stamp])
        self._count(data)
        self._tail = self._tail[-len(LAST_CHUNK) :] + data[-len(LAST_CHUNK) :]
        if self._tail.endswith(LAST_CHUNK):
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("The server closed the connection in mid-stream.")

    def abort(self) -> None:
        self._transport.abort()

    def _send(self) -> None:
        if self._requests:
            self._head = self._tail = b""
            self._transport.write(self._requests.pop())
        elif not self.ended.done():
            self.ended.set_result(None)
            self._transport.close()

    def _fail(self, what: str) -> None:
        if not self.ended.done():
            self.ended.set_exception(RuntimeError(what))
            self._transport.abort()


class Load:
    """Streams from one server, begun one after the other."""

    def __init__(self, port: int, *, timed: bool = False) -> None:
        """`timed` keeps the delay of every delta."""
        self.tally = Tally()
        self.delays: list[array[float]] = []
        """Milliseconds from the write of each delta to its arrival here, by stream, where they are timed."""
        self._port = port
        self._timed = timed
        self._streams: list[Stream] = []
        self._opening: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        for stream in self._streams:
            stream.abort()
        await asyncio.sleep(0)
        for stream in self._streams:
            if stream.ended.done():
                stream.ended.exception()  # has been raised by `ended`, or another has

    async def begin(self, asks: Sequence[Ask], *, apart: float) -> None:
        """Open a stream each, `apart` seconds from each other."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number, ask in enumerate(asks):
            await asyncio.sleep(begun + number * apart - loop.time())
            await self._open([ask.request], self._counter(ask.second))

    async def converse(self, asks: Sequence[Ask]) -> None:
        """One connection, one request after the other."""
        await self._open([ask.request for ask in asks], self._counter(None))

    async def ended(self) -> None:
        """Wait for all streams.

        Raises:
            RuntimeError: one has failed.
            TimeoutError: one has not ended in time.
        """
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(stream.ended for stream in self._streams))
            await asyncio.gather(*self._opening)
            await asyncio.gather(*(stream.ended for stream in self._streams))

    async def _open(self, requests: Sequence[bytes], count: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(lambda: Stream(requests, count), "127.0.0.1", self._port)
        self._streams.append(stream)

    def _counter(self, second: bytes | None) -> Callable[[bytes], None]:
        tally = self.tally
        if self._timed:
            delays: array[float] = array("d")
            self.delays.append(delays)

            def keep(data: bytes) -> None:
                now = time.monotonic_ns() // 1000
                delays.extend((now - int(stamp)) % STAMP_RANGE / 1000 for stamp in _STAMP.findall(data))

            return keep

        def count(data: bytes) -> None:
            nonlocal second
            found = data.count(b"%")
            tally.deltas += found
            if found and second is not None:
                self._opening.append(asyncio.ensure_future(self._open([second], self._count_second)))
                second = None

        return count

    def _count_second(self, data: bytes) -> None:
        self.tally.second_deltas += data.count(b"%")
