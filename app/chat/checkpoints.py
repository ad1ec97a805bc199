"""Keeps the disk close behind what the running answers say: one writer for all of them, outside the way of a token."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from app.chat.answer import Answer
from app.core.conversations import ConversationStore
from app.core.errors import AppError
from app.core.said import Growth

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 0.5
"""How far the disk may be behind what was said. It leaves room for the write itself within a second."""

_REST = 10
"""Between two checkpoints this many times what the last one cost, so that a slow disk has room for other writes; but
not longer than CHECKPOINT_SECONDS, for that may have been the time that another process held the file."""


class Checkpoints:
    def __init__(self, conversations: ConversationStore, tasks: asyncio.TaskGroup) -> None:
        self._conversations = conversations
        self._tasks = tasks
        self._answers: list[Answer] = []
        self._due = asyncio.Event()
        self._idle = asyncio.Event()
        """No answers."""
        self._writing = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None

    def join(self, answer: Answer) -> None:
        """Write this one down until it leaves."""
        self._answers.append(answer)
        self._idle.clear()
        if self._keeper is None:
            self._keeper = self._tasks.create_task(self._keep(), name="checkpoints")

    async def leave(self, answer: Answer) -> None:
        """When this returns, nothing more is written of the answer here."""
        if answer in self._answers:
            self._answers.remove(answer)
        if not self._answers:
            self._idle.set()
            self._due.set()
        async with self._writing:
            pass

    def hurry(self) -> None:
        """One of them has said so much, or done something, that it should not wait."""
        self._due.set()

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._answers:
            await _wait(self._due, CHECKPOINT_SECONDS)
            self._due.clear()
            began = clock()
            async with self._writing:
                await self._write(list(self._answers))
            await _wait(self._idle, min(_REST * (clock() - began), CHECKPOINT_SECONDS))
        self._keeper = None

    async def _write(self, answers: list[Answer]) -> None:
        """What cannot be saved now is tried with the next checkpoint."""
        grown: list[Answer] = []
        growths: list[Growth] = []
        for answer in answers:
            if answer.is_written:
                continue
            growth = answer.growth()
            if growth is None:
                await answer.checkpoint()
            elif growth.said:
                grown.append(answer)
                growths.append(growth)
        if not growths:
            return
        try:
            await self._conversations.put_growth(growths)
        except Exception as error:  # noqa: BLE001 - whatever it is, the answers go on, and so do all others
            code = error.code if isinstance(error, AppError) else type(error).__name__
            log.warning("checkpoint not saved", extra={"answers": len(grown), "code": code})
            for answer in grown:
                answer.is_behind = True


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event, but not longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
