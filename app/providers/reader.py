"""One response's body, read to its end or to what is wrong with it.

What all formats have in common is done here once per network read: time limits, a limit to the size, JSON, events that
hold what they promise. An answer counts only with its format's own end mark: an `async for` over an SDK's stream would
end without complaint when the body is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from app.core.errors import ProviderError
from app.core.events import ModelEvent, ModelFinish, TextDelta
from app.core.model import Timeouts
from app.providers.failures import Failures, ReportedError
from app.providers.parsing import Mender, Parser
from app.providers.sound import is_sound
from app.providers.sse import EventTooLongError, Splitter
from app.providers.watch import Watch

MAX_ANSWER_BYTES = 64_000_000
_DRAIN_SECONDS = 0.1
"""How long a body may take to end after its answer did: a connection can be used again only then."""
_LONGEST_JSON = 1_000_000


@dataclass(frozen=True, slots=True)
class Incoming:
    """A response that has begun."""

    headers: Mapping[str, str]
    read: Callable[[], Awaitable[bytes]]
    """Everything that has come of its body since the last call, at least a byte; empty at the end."""


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
    ) -> None:
        """`first` and `deadline`: loop time at which the first event and the whole answer must be there."""
        self._incoming = incoming
        self._answer = answer
        self._failures = failures
        self._timeouts = timeouts
        self._watch = Watch()
        self._splitter = Splitter()
        self._parse = Parser()
        self._mender = Mender()
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

    async def next(self) -> list[ModelEvent]:
        """The events of the next network read that brings any; none after the ModelFinish.

        What came before a failure is handed out before the failure is raised.
        """
        events: list[ModelEvent] = []
        while not events:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return []
            data = await self._read()
            try:
                self._decode(data, events)
            except ReportedError as error:
                self._failure = self._failures.reported(error.details)
                self.broke_off = self._begun
            except EventTooLongError as error:
                self._failure = self._failures.unreadable("an event without end", error)
            except Exception as error:  # noqa: BLE001 - whatever the decoder stumbles over, the answer is at fault
                self._failure = self._failures.unreadable("an event that is not the format's", error)
            self._drop_unsound(events)
            if self._parse.torn:
                events = self._mender.mend(events)
        self._first = None
        return events

    def _drop_unsound(self, events: list[ModelEvent]) -> None:
        for number, event in enumerate(events):
            if not (type(event) is TextDelta and type(event.delta) is str) and not is_sound(event):
                del events[number:]
                self._ended = False
                self._failure = self._failures.unreadable("an event that is not the format's")
                return

    def _decode(self, data: bytes, events: list[ModelEvent]) -> None:
        if data:
            self._decode_frames(self._splitter.feed(data), events)
            return
        with suppress(ValueError):  # half an event
            self._decode_frames(self._splitter.flush(), events)
        if not self._ended and self._failure is None:
            self._finish(events)

    def _decode_frames(self, frames: list[bytes], events: list[ModelEvent]) -> None:
        for data in frames:
            if data == b"[DONE]":
                self._finish(events)
                return
            self._answer.read(self._parse(data), events)
            self._begun = True
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
                data = await self._incoming.read()
        except TimeoutError:
            raise self._timeout() from None
        self._size += len(data)
        if self._size > MAX_ANSWER_BYTES:
            raise self._failures.unreadable("an answer without end")
        return data

    def _timeout(self) -> ProviderError:
        if self._clock() >= self._deadline:
            return self._failures.timeout("the whole answer", self._timeouts.total)
        if self._first is not None:
            return self._failures.timeout("the first word", self._timeouts.first_event)
        return self._failures.timeout("the next word", self._timeouts.between_events)

    async def close(self) -> None:
        """Of a whole answer, read what follows, which is nothing or nearly so."""
        self._watch.close()
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
            value = self._parse(body)
        except ValueError as error:
            raise self._failures.unreadable("neither a stream nor JSON", error) from None
        if isinstance(value, dict) and value.get("error"):
            raise self._failures.reported(value)
        raise self._failures.unreadable("JSON instead of a stream")
