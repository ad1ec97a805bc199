"""The hot path's second half: from the log of a run to the sockets of all who read it in one format.

A token goes through the server in the very call with which the event loop hands over a network read: no task wakes for
it. The connection (`providers/connection`) offers the read to the provider's reader (`providers/reader`), which decodes
it and offers the deltas to the run (`chat/run`); the log keeps them (`streams`) and calls the channels, a channel makes
bytes of them once, and each of its receivers writes them to its socket. No queue, lock or task stands between, for each
of those costs more than all the work on a token. Whatever is not a delta wakes the run's task and goes the long way.

That is the way while a client takes what it is sent. One that does not is left behind without holding anybody up: its
receiver notes what it lacks, and hands that over at the client's own pace, as an ordinary iterator.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

from app.core.events import StreamError, StreamEvent
from app.core.ports import Encoder, Tail

Write = Callable[[bytes], bool]
"""Hand bytes to the client at once; False if it takes none at the moment, and then none were handed over."""

Opening = Callable[[Sequence[StreamEvent]], Sequence[StreamEvent]]

_MOST_BYTES = 65_536
"""Of what has piled up, at a time."""
_MOST_EVENTS = 512
"""Of what a late reader lacks, at a time: bytes of its own for all of it would cost more than the answer, each time."""


class Channel:
    """What a run says from now on, in one format, for all who read it in that format."""

    def __init__(
        self, tail: Tail, encoder: Encoder, opening: Opening | None, on_empty: Callable[[Channel], None]
    ) -> None:
        """`opening` makes of the first events what these readers get; `on_empty` is called when all have left."""
        self.begun = False
        """Something has come of the run, be it a refusal."""
        self.ended = False
        self.refusal: StreamError | None = None
        """The run failed before it said anything: nothing has been encoded."""
        self.failure: Exception | None = None
        """Raised by the encoder, which has said so far what it could: a format without errors is broken off."""
        self._tail = tail
        self._encoder = encoder
        self._opening = opening
        self._on_empty = on_empty
        self._receivers: list[Receiver] = []
        self._earlier = self._take()
        tail.watch(self._wake)

    def join(self) -> Receiver:
        """The reader for whom the channel was made."""
        data, self._earlier = self._earlier, b""
        return self._join(iter((data,)))

    def join_late(self, earlier: Sequence[StreamEvent], encoder: Encoder) -> Receiver:
        """Another reader, who lacks `earlier`, all that has come so far; `encoder` is like the channel's, but new."""
        if self.refusal is not None or self.failure is not None:
            return self._join(iter(()))
        return self._join(_encoded(earlier, encoder, ended=self.ended))

    def leave(self, receiver: Receiver) -> None:
        if receiver in self._receivers:
            self._receivers.remove(receiver)
            if not self._receivers:
                self._tail.close()
                self._on_empty(self)

    def _join(self, earlier: Iterator[bytes]) -> Receiver:
        receiver = Receiver(self, earlier)
        self._receivers.append(receiver)
        return receiver

    def _wake(self) -> None:
        data = self._take()
        for receiver in self._receivers:
            receiver.wake(data)

    def _take(self) -> bytes:
        """What has come, as bytes. It raises nothing: that would be the run's trouble, and is only the readers'."""
        data = b""
        try:
            if events := self._tail.take():
                data = self._encoder.encode(events if self.begun else self._begin(events))
            if self._tail.ended and not self.ended:  # both at once, for who comes after the end
                self.ended = True
                data += self._encoder.end() if self.refusal is None else b""
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.failure = error
            self.ended = True
            self._tail.close()
        return data

    def _begin(self, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
        self.begun = True
        if isinstance(events[0], StreamError):
            self.refusal = events[0]
            return ()
        return events if self._opening is None else self._opening(events)


class Receiver:
    """One client of a channel."""

    def __init__(self, channel: Channel, earlier: Iterator[bytes]) -> None:
        self.channel = channel
        self._earlier = earlier
        """What had come before the client did."""
        self._lacks: list[bytes] = []
        """What has come since and the client has not been sent yet, because it takes nothing at the moment."""
        self._write: Write | None = None
        """Set while the client lacks nothing."""
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
        for data in self._earlier:
            if data:
                yield data
        while True:
            if self._lacks:
                yield self._next()
            elif self.channel.failure is not None:
                raise self.channel.failure
            elif self.channel.ended:
                return
            else:
                await self._wait(write)

    def close(self) -> None:
        self.channel.leave(self)

    def wake(self, data: bytes) -> None:
        """More has come: hand it over, or see to it that somebody does."""
        if data and self._write is not None and not self._lacks and not self.channel.ended:
            try:
                taken = self._write(data)
            except Exception:  # noqa: BLE001 - `pieces` comes to it next: it is no trouble of the run
                taken = False
            if taken:
                return
        if data:
            self._lacks.append(data)
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def _wait(self, write: Write | None) -> None:
        woken = self._woken = asyncio.get_running_loop().create_future()
        self._write = write
        try:
            await woken
        finally:
            if self._woken is woken:  # `begin` may be cancelled only after `pieces` has come
                self._write = self._woken = None

    def _next(self) -> bytes:
        """Some of what the client lacks."""
        number = size = 0
        while number < len(self._lacks) and size < _MOST_BYTES:
            size += len(self._lacks[number])
            number += 1
        data = b"".join(self._lacks[:number])
        del self._lacks[:number]
        return data


def _encoded(events: Sequence[StreamEvent], encoder: Encoder, *, ended: bool) -> Iterator[bytes]:
    for start in range(0, len(events), _MOST_EVENTS):
        yield encoder.encode(events[start : start + _MOST_EVENTS])
    if ended:
        yield encoder.end()


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
