"""The answer of one run: what it has said so far, and how much of that is on the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress

from app.core.conversations import AnswerStatus, ConversationStore
from app.core.errors import AppError
from app.core.events import (
    Abort,
    MessageFinish,
    MessageStart,
    ReasoningDelta,
    Status,
    StreamError,
    StreamEvent,
    TextDelta,
    ToolInputAvailable,
)
from app.core.fold import Draft, merge_metadata
from app.core.messages import UIMessage

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 0.5
CHECKPOINT_CHARACTERS = 4_000
"""How far the disk may be behind what was said. Both leave room for the write itself within a second or 8 KB."""

_REST = 10
"""Between two checkpoints this many times what the last one cost, so that long answers are written less often; but not
longer than CHECKPOINT_SECONDS, for that may have been the time that another process held the file."""
SAVE_PAUSES = (0.5, 2.0)
"""Seconds between attempts to save a whole answer."""


class Answer:
    def __init__(
        self, conversations: ConversationStore, block_id: str, parent_id: str | None, base: UIMessage | None
    ) -> None:
        """`base` is the stored message that the run continues."""
        self._conversations = conversations
        self._block_id = block_id
        self._parent_id = parent_id
        self._draft = Draft(base)
        self._is_new = base is None
        self._events: list[StreamEvent] = []
        self._folded = 0
        self._saved = 0
        self._unsaved_characters = 0
        self._due = asyncio.Event()
        self._over = asyncio.Event()

    def add(self, events: Sequence[StreamEvent]) -> None:
        """Note what was said. Cheap: folding and saving happen later, elsewhere."""
        self._events += events
        for event in events:
            if isinstance(event, TextDelta | ReasoningDelta):
                self._unsaved_characters += len(event.delta)
            elif isinstance(event, ToolInputAvailable):
                self._due.set()  # a call may do something: a crash must not leave that without a trace
        if self._unsaved_characters >= CHECKPOINT_CHARACTERS:
            self._due.set()

    @property
    def empty(self) -> bool:
        """Nothing was said or done: there is no answer to keep."""
        return all(isinstance(event, MessageStart | Status | StreamError | Abort) for event in self._events)

    async def keep(self) -> None:
        """Save again and again until `finish`; what cannot be saved now is tried with the next checkpoint."""
        clock = asyncio.get_running_loop().time
        rest = 0.0
        while not self._over.is_set():
            await _wait(self._due, CHECKPOINT_SECONDS)
            await _wait(self._over, rest)
            self._due.clear()
            if self._over.is_set() or self._saved == len(self._events):
                continue
            self._saved = len(self._events)
            self._unsaved_characters = 0
            began = clock()
            try:
                await self._save("streaming", {})
            except AppError as error:
                self._saved = -1
                log.warning("checkpoint not saved", extra={"block_id": self._block_id, "code": error.code})
            rest = min(_REST * (clock() - began), CHECKPOINT_SECONDS)

    async def finish(self, cut: AnswerStatus, keeper: asyncio.Task[None]) -> None:
        """Save the whole answer, under what it has come to; `cut` is that of a run that was cancelled.

        Raises:
            AppError: the store could not take it, not even after a while.
        """
        self._over.set()
        self._due.set()
        await asyncio.wait([keeper])
        outcome = self._outcome(cut)
        for pause in SAVE_PAUSES:
            try:
                await self._save(*outcome)
            except AppError as error:
                log.warning("answer not saved yet", extra={"block_id": self._block_id, "code": error.code})
                await asyncio.sleep(pause)
            else:
                return
        await self._save(*outcome)

    async def _save(self, status: AnswerStatus, ending: Mapping[str, object]) -> None:
        for event in self._events[self._folded :]:
            self._draft.apply(event)
        self._folded = len(self._events)
        message = self._draft.message()
        if message is None or (self._is_new and self.empty):
            return
        metadata = merge_metadata(message.metadata, ending)
        if status == "complete":
            metadata.pop("error", None)  # of an earlier run that this one went on with
        message = message.model_copy(update={"metadata": metadata})
        await self._conversations.put_answer(self._block_id, self._parent_id, message, status)

    def _outcome(self, cut: AnswerStatus) -> tuple[AnswerStatus, Mapping[str, object]]:
        """How it ended, and what its metadata says of that; nothing where it ended well."""
        last = self._events[-1] if self._events else None
        if isinstance(last, MessageFinish):
            return "complete", {}
        if isinstance(last, StreamError):
            return "error", {"status": "error", "error": {"code": last.code, "text": last.text}}
        return cut, {"status": cut}


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event, but not longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
