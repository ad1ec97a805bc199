"""A provider that says what a test tells it to, when the test tells it to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from app.core.events import (
    FinishReason,
    ModelEvent,
    ModelFinish,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputStart,
    Usage,
)
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


class SteppedProvider(ScriptedProvider):
    """Plays another script at each model call."""

    def __init__(self, *scripts: Sequence[Sequence[ModelEvent] | Exception | asyncio.Event]) -> None:
        super().__init__()
        self.scripts = list(scripts)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        self.script = tuple(self.scripts[len(self.requests)])
        async for batch in super().stream(request):
            yield batch


def calling(*calls: tuple[str, str, Any], reason: FinishReason = "tool-calls") -> list[list[ModelEvent]]:
    """Batches of a model call that makes `calls`: id, name, arguments."""
    batches: list[list[ModelEvent]] = []
    for call_id, name, arguments in calls:
        batches.append([ToolInputStart(call_id, name), ToolInputDelta(call_id, json.dumps(arguments))])
        batches.append([ToolInputAvailable(call_id, name, arguments)])
    return [*batches, [ModelFinish(reason, Usage(1, 1))]]
