"""A provider that says what a test tells it to, when the test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from app.core.events import ModelEvent, ModelFinish, TextDelta, TextEnd, TextStart, Usage
from app.core.files import IMAGE_TYPES
from app.core.model import ModelRequest, Preset


class ScriptedProvider:
    """Plays `script`: a batch of events is yielded, an exception raised, an `asyncio.Event` awaited."""

    takes = IMAGE_TYPES

    def __init__(self, *script: Sequence[ModelEvent] | Exception | asyncio.Event) -> None:
        self.script = script
        self.requests: list[ModelRequest] = []
        self.closed = asyncio.Event()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        self.requests.append(request)
        try:
            for step in self.script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
        finally:
            self.closed.set()

    def open(self, preset: Preset) -> ScriptedProvider:
        """It is its own `Providers`."""
        return self


def saying(*words: str) -> list[list[ModelEvent]]:
    """Batches of a whole answer, one per word."""
    return [
        [TextStart("t")],
        *([TextDelta("t", word)] for word in words),
        [TextEnd("t"), ModelFinish("stop", Usage(len(words), len(words)))],
    ]
