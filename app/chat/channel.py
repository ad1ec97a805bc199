"""The hot path's second half: from the log of a run to the sockets of all who read it in one format.

A token's way through the server is one step of one task. The provider's reader wakes with what the network brought
(`providers/reader`), the run looks it over (`chat/run`), the log keeps it (`streams`) and calls the channels, a channel
makes bytes of it once, and each of its receivers writes them to its socket. No queue, lock or other task stands
between, for each of those costs more than all the work on a token.

That is the way while a client takes what it is sent. One that does not is left behind without holding anybody up: its
receiver is a position among the bytes, and goes on from there, at the client's own pace, as an ordinary iterator.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from app.core.events import Status, StreamError, StreamEvent
from app.core.ports import Encoder, Tail

Write = Callable[[bytes], bool]
"""Hand bytes to the client at once; False if it takes none at the moment, and then none were handed over."""

Opening = Callable[[Sequence[StreamEvent]], Sequence[StreamEvent]]

_MOST_BYTES = 65_536
"""Of what has piled up, at a time."""


class Channel:
    """What a run says, in one format, for all who read it in that format."""

    def __init__(
        self, tail: Tail, encoder: Encoder, opening: Opening | None, on_empty: Callable[[Channel], None]
    ) -> None:
        """`opening` makes of the first events what these readers get; `on_empty` is called when all have left."""
        self.chunks: list[bytes] = []
        self.begun = False
        """Something has come of the run, be it a refusal."""
        self.plain = False
        """It has begun with something other than a wait."""
        self.ended = False
        """Nothing will be added to the chunks."""
        self.refusal: StreamError | None = None
        """The run failed before it said anything: nothing has been encoded."""
        self.failure: Exception | None = None
        """Raised by the encoder, which has said so far what it could: a format without errors is broken off."""
        self._tail = tail
        self._encoder = encoder
        self._opening = opening
        self._on_empty = on_empty
        self._receivers: list[Receiver] = []
        self._take()
        tail.watch(self._wake)

    def join(self) -> Receiver:
        receiver = Receiver(self)
        self._receivers.append(receiver)
        return receiver

    def leave(self, receiver: Receiver) -> None:
        if receiver in self._receivers:
            self._receivers.remove(receiver)
            if not self._receivers:
                self._tail.close()
                self._on_empty(self)

    def _wake(self) -> None:
        self._take()
        for receiver in tuple(self._receivers):
            receiver.wake()

    def _take(self) -> None:
        if self.ended:
            return
        try:
            if events := self._tail.take():
                self._encode(events)
            if self._tail.ended and self.refusal is None:
                self._add(self._encoder.end())
        except Exception as error:  # noqa: BLE001 - it is the readers' business, not that of the run that brings the events
            self.failure = error
        self.ended = self._tail.ended or self.failure is not None

    def _encode(self, events: Sequence[StreamEvent]) -> None:
        if not self.begun:
            self.begun = True
            if isinstance(events[0], StreamError):
                self.refusal = events[0]
                return
            self.plain = not any(isinstance(event, Status) for event in events)
            if self._opening is not None:
                events = self._opening(events)
        self._add(self._encoder.encode(events))

    def _add(self, data: bytes) -> None:
        if data:
            self.chunks.append(data)


class Receiver:
    """One client of a channel."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._position = 0
        self._write: Write | None = None
        """Set while the client has everything and waits for more."""
        self._woken: asyncio.Future[None] | None = None

    async def begin(self) -> None:
        """Return when something has come of the run."""
        while not (self.channel.begun or self.channel.ended):
            await self._wait(None)

    async def pieces(self, write: Write | None) -> AsyncGenerator[bytes, None]:
        """Yield what the client lacks; what comes while it lacks nothing goes through `write` instead, if there is one.

        Raises:
            Exception: what the encoder raised.
        """
        chunks = self.channel.chunks
        while True:
            if self._position < len(chunks):
                yield self._next()
            elif self.channel.failure is not None:
                raise self.channel.failure
            elif self.channel.ended:
                return
            else:
                await self._wait(write)

    def close(self) -> None:
        self.channel.leave(self)

    def wake(self) -> None:
        """More has come: hand it over, or see to it that somebody does."""
        if self._write is not None and not self.channel.ended:
            position = self._position
            if position == len(self.channel.chunks):
                return  # what came makes no bytes in this format
            if not self._write(self._next()):
                self._position = position
            elif self._position == len(self.channel.chunks):
                return
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def _wait(self, write: Write | None) -> None:
        self._woken = asyncio.get_running_loop().create_future()
        self._write = write
        try:
            await self._woken
        finally:
            self._write = self._woken = None

    def _next(self) -> bytes:
        """Some of what the client lacks; it counts as handed over."""
        chunks = self.channel.chunks
        begun = self._position
        self._position += 1
        if self._position == len(chunks):
            return chunks[begun]
        size = len(chunks[begun])
        while self._position < len(chunks) and size < _MOST_BYTES:
            size += len(chunks[self._position])
            self._position += 1
        return b"".join(chunks[begun : self._position])


async def batches(tail: Tail) -> AsyncGenerator[Sequence[StreamEvent], None]:
    """What `tail` brings, as it comes, for readers who take their time."""
    woken: asyncio.Future[None] | None = None

    def wake() -> None:
        if woken is not None and not woken.done():
            woken.set_result(None)

    tail.watch(wake)
    try:
        while True:
            if events := tail.take():
                yield events
            elif tail.ended:
                return
            else:
                woken = asyncio.get_running_loop().create_future()
                await woken
    finally:
        tail.close()
