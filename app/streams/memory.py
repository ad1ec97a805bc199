"""The stream log of one process: the events of each run in a list, its readers at positions in it.

A reader is a position, nothing more: a slow one costs no memory, holds up nobody and misses nothing. What piled up
while it was away comes to it in few batches, which is what keeps a token cheap under load.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from app.core.events import StreamEvent

MOST_EVENTS = 100
"""In one batch, which is what a reader holds that asks for it and then takes nothing."""


@dataclass(slots=True)
class _Log:
    events: list[StreamEvent] = field(default_factory=list)
    closed: bool = False
    readers: int = 0
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def wake(self) -> None:
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
        self.waiting.clear()


class MemoryStreamLog:
    """Implements `core.ports.StreamLog`."""

    def __init__(self, *, keep_seconds: float = 90.0) -> None:
        self._logs: dict[str, _Log] = {}
        self._keep_seconds = keep_seconds
        """How long the log of an ended run stays readable, for a client that comes back late."""

    async def open(self, run_id: str) -> None:
        self._logs[run_id] = _Log()

    async def append(self, run_id: str, events: Sequence[StreamEvent]) -> None:
        log = self._logs[run_id]
        log.events.extend(events)
        log.wake()

    async def close(self, run_id: str) -> None:
        log = self._logs[run_id]
        log.closed = True
        log.wake()
        asyncio.get_running_loop().call_later(self._keep_seconds, self._logs.pop, run_id, None)

    def read(self, run_id: str) -> AsyncGenerator[Sequence[StreamEvent], None]:
        return _tail(self._logs.get(run_id))

    def readers(self, run_id: str) -> int:
        log = self._logs.get(run_id)
        return log.readers if log is not None else 0


async def _tail(log: _Log | None) -> AsyncGenerator[Sequence[StreamEvent], None]:
    if log is None:
        return
    position = 0
    log.readers += 1
    try:
        while True:
            if position < len(log.events):
                batch = log.events[position : position + MOST_EVENTS]
                position += len(batch)
                yield batch
            elif log.closed:
                return
            else:
                changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                log.waiting.append(changed)
                await changed
    finally:
        log.readers -= 1
