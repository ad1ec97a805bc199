"""The stream log of one process: the events of each run in a list, its readers at positions in it.

A reader is a position, nothing more. Channels (`chat/channel`) take at once, and keep the bytes for clients that are
slow; who reads by `batches` takes what piled up meanwhile in one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from app.core.events import StreamEvent


class _Log:
    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.closed = False
        self.tails: list[MemoryTail] = []


class MemoryTail:
    """Implements `core.ports.Tail`."""

    def __init__(self, log: _Log) -> None:
        self._log = log
        self._position = 0
        self.wake: Callable[[], None] = _do_nothing
        log.tails.append(self)

    def take(self) -> Sequence[StreamEvent]:
        batch = self._log.events[self._position :]
        self._position += len(batch)
        return batch

    @property
    def ended(self) -> bool:
        return self._log.closed and self._position == len(self._log.events)

    def watch(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def close(self) -> None:
        if self in self._log.tails:
            self._log.tails.remove(self)


class MemoryStreamLog:
    """Implements `core.ports.StreamLog`."""

    def __init__(self, *, keep_seconds: float = 90.0) -> None:
        self._logs: dict[str, _Log] = {}
        self._keep_seconds = keep_seconds
        """How long the log of an ended run stays readable, for a client that comes back late."""

    async def open(self, run_id: str) -> None:
        self._logs[run_id] = _Log()

    def append(self, run_id: str, events: Sequence[StreamEvent]) -> None:
        log = self._logs[run_id]
        log.events += events
        for tail in tuple(log.tails):
            tail.wake()

    async def close(self, run_id: str) -> None:
        log = self._logs[run_id]
        log.closed = True
        for tail in tuple(log.tails):
            tail.wake()
        asyncio.get_running_loop().call_later(self._keep_seconds, self._logs.pop, run_id, None)

    def tail(self, run_id: str) -> MemoryTail:
        log = self._logs.get(run_id)
        if log is None:
            log = _Log()
            log.closed = True
        return MemoryTail(log)

    def readers(self, run_id: str) -> int:
        log = self._logs.get(run_id)
        return len(log.tails) if log is not None else 0


def _do_nothing() -> None:
    """Nobody waits yet."""
