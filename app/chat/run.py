"""One run: ask the model, pass on what it says, end well whatever happens.

A run is a generator of event batches. It emits nothing until the model's first event, so that a failure before that
can still become an HTTP status; from then on the order is MessageStart, StepStart, parts, StepFinish, MessageFinish.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core.errors import AppError, ProviderBroken
from app.core.events import (
    CallWarning,
    MessageFinish,
    MessageStart,
    ModelEvent,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    StepFinish,
    StepStart,
    StreamError,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
)
from app.core.model import ModelRequest
from app.core.ports import Provider

log = logging.getLogger(__name__)

MAX_ANSWER_CHARACTERS = 4_000_000
"""An upstream that never stops is cut here: the log and the database hold whole answers."""


@dataclass(frozen=True, slots=True)
class Clock:
    now: Callable[[], datetime]
    """The time of day, UTC."""
    monotonic: Callable[[], float]
    """Seconds, for durations."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Everything one run needs."""

    block_id: str
    message_id: str
    """The id of the answer: sent in `start`, stored, never changed."""
    preset_name: str
    provider: Provider
    request: ModelRequest
    continues: bool = False
    """The answer goes on with a stored message, whose metadata may say that it ended badly."""


class OpenParts:
    """Which text and reasoning parts have begun and not ended: they must be closed before any kind of end."""

    def __init__(self) -> None:
        self._open: dict[str, type[TextEnd | ReasoningEnd]] = {}

    def note(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            kind = type(event)
            if kind is TextDelta or kind is ReasoningDelta:
                continue
            if isinstance(event, TextStart):
                self._open[event.id] = TextEnd
            elif isinstance(event, ReasoningStart):
                self._open[event.id] = ReasoningEnd
            elif isinstance(event, TextEnd | ReasoningEnd):
                self._open.pop(event.id, None)

    def close(self) -> list[StreamEvent]:
        ends: list[StreamEvent] = [end(part_id) for part_id, end in self._open.items()]
        self._open.clear()
        return ends


async def run(turn: Turn, clock: Clock, open_parts: OpenParts) -> AsyncGenerator[Sequence[StreamEvent], None]:
    """Yield the answer's events in batches; every failure is a StreamError at the end, never an exception."""
    started = False
    try:
        async with aclosing(_steps(turn, clock)) as batches:
            async for events in batches:
                started = True
                open_parts.note(events)
                yield [*open_parts.close(), *events] if isinstance(events[-1], MessageFinish) else events
    except AppError as error:
        log.warning("run failed", extra={"block_id": turn.block_id, "preset": turn.preset_name, "code": error.code})
        failure = StreamError(error.message, error.code, error.status, error.retry_after)
    except Exception:  # one broken run must not end the others: a task group falls as one
        log.exception("run crashed", extra={"block_id": turn.block_id, "preset": turn.preset_name})
        failure = StreamError("The server made a mistake while answering. Please try again.", "internal_error", 500)
    else:
        return
    yield [*open_parts.close(), failure] if started else [failure]


async def _steps(turn: Turn, clock: Clock) -> AsyncGenerator[Sequence[StreamEvent], None]:
    begun = clock.monotonic()
    first_event: float | None = None
    characters = 0
    finish: ModelFinish | None = None
    async with aclosing(turn.provider.stream(turn.request)) as batches:
        async for batch in batches:
            events: list[StreamEvent] = []
            if first_event is None:
                first_event = clock.monotonic()
                events += [MessageStart(turn.message_id, _opening(turn, clock)), StepStart()]
            parts, finish = _split(batch)
            events += parts
            characters += sum(len(e.delta) for e in parts if isinstance(e, TextDelta | ReasoningDelta))
            if events:
                yield events
            if finish is not None:
                break
            if characters > MAX_ANSWER_CHARACTERS:
                raise ProviderBroken("The answer was cut off: it grew past 4 million characters.")
    if finish is None or first_event is None:
        raise ProviderBroken("The model's answer stopped before its end.")
    metadata: dict[str, Any] = {
        "usage": finish.usage.to_wire(),
        "finishReason": finish.reason,
        "timeToFirstTokenMs": round((first_event - begun) * 1000),
        "durationMs": round((clock.monotonic() - begun) * 1000),
    }
    if turn.continues:
        metadata["status"] = "complete"
    yield [StepFinish(), MessageFinish(finish.reason, finish.usage, metadata)]


def _opening(turn: Turn, clock: Clock) -> dict[str, Any]:
    return {
        "model": turn.request.model,
        "preset": turn.preset_name,
        "createdAt": clock.now().isoformat(timespec="milliseconds"),
    }


def _split(batch: Sequence[ModelEvent]) -> tuple[list[StreamEvent], ModelFinish | None]:
    parts: list[StreamEvent] = [event for event in batch if not isinstance(event, ModelFinish | CallWarning)]
    last = batch[-1] if batch else None
    return parts, last if isinstance(last, ModelFinish) else None
