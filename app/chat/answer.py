"""The answer of one run: what it has said so far, and how much of that is on the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from app.core.errors import AppError
from app.core.events import MessageFinish, ReasoningDelta, StreamError, StreamEvent, TextDelta
from app.core.fold import Draft, merge_metadata
from app.core.messages import UIMessage
from app.core.ports import AnswerStatus, ConversationStore

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 0.5
CHECKPOINT_CHARACTERS = 4_000
"""How far the disk may be behind what was said. Both leave room for the write itself within a second or 8 KB."""


class Answer:
    def __init__(
        self, conversations: ConversationStore, block_id: str, parent_id: str | None, base: UIMessage | None
    ) -> None:
        """`base` is the stored message that the run continues."""
        self._conversations = conversations
        self._block_id = block_id
        self._parent_id = parent_id
        self._draft = Draft(base)
        self._events: list[StreamEvent] = []
        self._folded = 0
        self._saved = 0
        self._unsaved_characters = 0
        self._due = asyncio.Event()
        self._ended = False

    def add(self, events: Sequence[StreamEvent]) -> None:
        """Note what was said. Cheap: folding and saving happen later, elsewhere."""
        self._events += events
        self._unsaved_characters += sum(len(e.delta) for e in events if isinstance(e, TextDelta | ReasoningDelta))
        if self._unsaved_characters >= CHECKPOINT_CHARACTERS:
            self._due.set()

    async def keep(self) -> None:
        """Save again and again until `finish`; what cannot be saved now is tried with the next checkpoint."""
        while not self._ended:
            try:
                async with asyncio.timeout(CHECKPOINT_SECONDS):
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()
            if self._ended or self._saved == len(self._events):
                continue
            self._saved = len(self._events)
            self._unsaved_characters = 0
            try:
                await self._save("streaming", {})
            except AppError as error:
                self._saved = -1
                log.warning("checkpoint not saved", extra={"block_id": self._block_id, "code": error.code})

    async def finish(self, cut: AnswerStatus, keeper: asyncio.Task[None]) -> None:
        """Save the whole answer, under what it has come to; `cut` is that of a run that was cancelled."""
        self._ended = True
        self._due.set()
        await asyncio.wait([keeper])
        await self._save(*self._outcome(cut))

    async def _save(self, status: AnswerStatus, ending: Mapping[str, object]) -> None:
        for event in self._events[self._folded :]:
            self._draft.apply(event)
        self._folded = len(self._events)
        message = self._draft.message()
        if message is None:  # nothing was said: there is no answer to keep
            return
        message = message.model_copy(update={"metadata": merge_metadata(message.metadata, ending)})
        await self._conversations.put_answer(self._block_id, self._parent_id, message, status)

    def _outcome(self, cut: AnswerStatus) -> tuple[AnswerStatus, Mapping[str, object]]:
        """How it ended, and what its metadata says of that; nothing where it ended well."""
        last = self._events[-1] if self._events else None
        if isinstance(last, MessageFinish):
            return "complete", {}
        if isinstance(last, StreamError):
            return "error", {"status": "error", "error": {"code": last.code, "text": last.text}}
        return cut, {"status": cut}
