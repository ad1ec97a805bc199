"""One response's body, read to its end or to what is wrong with it.

What all formats have in common is done here once per network read: time limits, a limit to the size, JSON, events that
hold what they promise. An answer counts only with its format's own end mark: an `async for` over an SDK's stream would
end without complaint when the body is cut off.

Deltas, nearly all there is, go on at once where somebody takes them (`ModelRequest.at_once`), while the task that reads
the answer sleeps; `chat/channel` tells the whole way. All else is handed out by `next`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from app.core.errors import ProviderError
from app.core.events import ModelEvent, ModelFinish, TextDelta
from app.core.model import Timeouts
from app.providers.failures import Failures, ReportedError
from app.providers.habit import Habit
from app.providers.parsing import FrameParser, Mender, Parser
from app.providers.sound import is_sound
from app.providers.sse import EventTooLongError, Splitter
from app.providers.watch import Watch

MAX_ANSWER_BYTES = 64_000_000
_DRAIN_SECONDS = 0.1
"""How long a body may take to end after its answer did: a connection can be used again only then."""
_LONGEST_JSON = 1_000_000

Offer = Callable[[bytes], bool]
"""Takes what a network read has brought. False wakes whoever waits in `read`, which may have nothing to return then."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A response that has begun."""

    headers: Mapping[str, str]
    read: Callable[[], Awaitable[bytes]]
    """Everything that has come of its body since the last call; empty at the end."""
    listen: Callable[[Offer | None], None] | None = None
    """From now on the offer gets what comes while somebody waits in `read`: for bodies that can."""


class Answer(Protocol):
    """One answer as it comes in: values of a format's events → our events."""

    def read(self, chunk: Any, out: list[ModelEvent]) -> None:
        """Add to `out` what `chunk`, the decoded data of one event, brings. Any exception means: not this format.

        Raises:
            ReportedError: the service says it failed.
        """
        ...

    def finish(self, out: list[ModelEvent]) -> None:
        """The body is at its end: add what is still open and a ModelFinish, if the end mark has been seen."""
        ...


class Reader:
    def __init__(
        self,
        incoming: Incoming,
        answer: Answer,
        failures: Failures,
        timeouts: Timeouts,
        first: float,
        deadline: float,
        parse: Parser | FrameParser,
    ) -> None:
        """`first` and `deadline`: loop time at which the first event and the whole answer must be there."""
        self._incoming = incoming
        self._answer = answer
        self._failures = failures
        self._timeouts = timeouts
        self._watch = Watch()
        self._splitter = Splitter()
        self._parse = parse
        self._mender = Mender()
        self._habit = Habit()
        self._clock = asyncio.get_running_loop().time
        self._first: float | None = first
        """When the first event must be there; None once it is."""
        self._deadline = deadline
        self._size = 0
        self.broke_off = False
        """The service had begun its answer, and then said that it failed."""
        self._begun = False
        self._ended = False
        self._failure: ProviderError | None = None
        self._events: list[ModelEvent] = []
        """Decoded, and not handed out yet."""
        self._at_once: Callable[[Sequence[ModelEvent]], bool] = _take_nothing

    def offer_to(self, at_once: Callable[[Sequence[ModelEvent]], bool]) -> None:
        """From now on events that it takes are not handed out by `next`."""
        if self._incoming.listen is not None:
            self._at_once = at_once
            self._incoming.listen(self._offered)

    async def next(self) -> list[ModelEvent]:
        """The events of the next network read that brings any; none after the ModelFinish.

        What came before a failure is handed out before the failure is raised.
        """
        while not self._events:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return []
            try:
                data = await self._read()
            except Exception:
                if self._events or self._is_over():
                    continue  # it came before this, in the same network read; the next one says so again
                raise
            if self._is_over():  # so `_offered` has found: nothing counts behind the end
                continue
            if data or not self._events:  # else `_offered` has woken us for those
                self._take(data)
        events, self._events = self._events, []
        self._first = None
        return events

    def _offered(self, data: bytes) -> bool:
        """The short way: what has come while `next` waits, without waking it."""
        self._take(data)
        if self._is_over():
            return False
        if self._events:
            if not self._at_once(self._events):
                return False
            self._events = []
        if self._first is None:
            self._watch.when = min(self._clock() + self._timeouts.between_events, self._deadline)
        return True

    def _is_over(self) -> bool:
        return self._ended or self._failure is not None

    def _take(self, data: bytes) -> None:
        """Decode what one read has brought. A fast service has more than one in a step of the event loop, so that
        events of the one before may still wait.
        """
        self._size += len(data)
        if self._size > MAX_ANSWER_BYTES:
            self._failure = self._failures.unreadable("an answer without end")
            return
        events: list[ModelEvent] = []
        try:
            if data:
                self._decode(self._splitter.feed(data), events)
            else:
                self._decode_end(events)
        except ReportedError as error:
            self._failure = self._failures.reported(error.details)
            self.broke_off = self._begun
        except EventTooLongError as error:
            self._failure = self._failures.unreadable("an event without end", error)
        except Exception as error:  # noqa: BLE001 - whatever the decoder stumbles over, the answer is at fault
            self._failure = self._failures.unreadable("an event that is not the format's", error)
        for number, event in enumerate(events):
            if not (type(event) is TextDelta and type(event.delta) is str) and not is_sound(event):
                del events[number:]
                self._ended = False
                self._failure = self._failures.unreadable("an event that is not the format's")
                break
        self._events += self._mender.mend(events) if self._parse.torn else events

    def _decode_end(self, events: list[ModelEvent]) -> None:
        with suppress(ValueError):  # half an event
            self._decode(self._splitter.flush(), events)
        if not self._ended and self._failure is None:
            self._finish(events)

    def _decode(self, frames: list[bytes], events: list[ModelEvent]) -> None:
        for data in frames:
            if data == b"[DONE]":
                self._finish(events)
                return
            if (text := self._habit.text(data)) is not None:
                events.append(TextDelta(self._habit.part, text))
                continue
            before = len(events)
            self._answer.read(self._parse(data), events)
            self._begun = True
            self._habit.learn(data, events[before:])
            if events and type(events[-1]) is ModelFinish:
                self._ended = True
                return

    def _finish(self, events: list[ModelEvent]) -> None:
        self._answer.finish(events)
        if events and type(events[-1]) is ModelFinish:
            self._ended = True
        else:
            self._failure = self._failures.cut_off()

    async def _read(self) -> bytes:
        """The bytes of one network read; empty at the end of the body."""
        limit = self._first if self._first is not None else self._clock() + self._timeouts.between_events
        try:
            with self._watch.until(min(limit, self._deadline)):
                return await self._incoming.read()
        except TimeoutError:
            raise self._timeout() from None

    def _timeout(self) -> ProviderError:
        if self._clock() >= self._deadline:
            return self._failures.timeout("the whole answer", self._timeouts.total)
        if self._first is not None:
            return self._failures.timeout("the first word", self._timeouts.first_event)
        return self._failures.timeout("the next word", self._timeouts.between_events)

    async def close(self) -> None:
        """Of a whole answer, read what follows, which is nothing or nearly so."""
        self._watch.close()
        if self._incoming.listen is not None:
            self._incoming.listen(None)
        if not self._ended:
            return
        with suppress(Exception):  # the answer is there: what happens to the connection now is nobody's concern
            async with asyncio.timeout(_DRAIN_SECONDS):
                while await self._incoming.read():
                    pass

    async def refuse_other_content(self) -> None:
        """Web pages and plain JSON are no streams, whatever their status says."""
        content_type = self._incoming.headers.get("content-type", "")
        if content_type.startswith("text/html"):
            raise self._failures.unreadable("a web page")
        if not content_type.startswith("application/json"):
            return
        body = b""
        while len(body) < _LONGEST_JSON and (data := await self._read()):
            body += data
        try:
            value = Parser()(body)
        except ValueError as error:
            raise self._failures.unreadable("neither a stream nor JSON", error) from None
        if isinstance(value, dict) and value.get("error"):
            raise self._failures.reported(value)
        raise self._failures.unreadable("JSON instead of a stream")


def _take_nothing(events: Sequence[ModelEvent]) -> bool:
    """Nobody listens."""
    return False
