"""The answer of one run: what it has said so far, and how much of that is on the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

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
from app.core.said import Follower, Growth

log = logging.getLogger(__name__)

CHECKPOINT_CHARACTERS = 4_000
"""After so many of text a checkpoint is due at once: 4 KB of English, with as much again for what comes meanwhile."""
SAVE_PAUSES = (0.5, 2.0)
"""Seconds between attempts to save a whole answer."""


class Answer:
    def __init__(
        self,
        conversations: ConversationStore,
        block_id: str,
        message_id: str,
        parent_id: str | None,
        base: UIMessage | None,
        hurry: Callable[[], None],
    ) -> None:
        """`base` is the stored message that the run continues; `hurry` is called when a checkpoint should not wait."""
        self.is_behind = True
        """The disk lacks more than what has been said at the end: the whole answer must be written."""
        self._conversations = conversations
        self._block_id = block_id
        self._message_id = message_id
        self._parent_id = parent_id
        self._draft = Draft(base)
        self._is_stored = base is not None
        """There is something on the disk that can grow."""
        self._hurry = hurry
        self._follower = Follower()
        self._events: list[StreamEvent] = []
        self._folded = 0
        self._written = 0
        self._unwritten_characters = 0

    def add(self, events: Sequence[StreamEvent]) -> None:
        """Note what was said. Cheap: folding and saving happen later, elsewhere."""
        self._events += events
        for event in events:
            if type(event) is TextDelta or type(event) is ReasoningDelta:
                self._unwritten_characters += len(event.delta)
            elif isinstance(event, ToolInputAvailable):
                self._hurry()  # a call may do something: a crash must not leave that without a trace
        if self._unwritten_characters >= CHECKPOINT_CHARACTERS:
            self._hurry()

    @property
    def is_written(self) -> bool:
        """Nothing has been said since the last checkpoint."""
        return self._written == len(self._events) and not self.is_behind

    def growth(self) -> Growth | None:
        """What has been said since the last checkpoint, which counts as written then; None if it is not only text at
        the end.
        """
        said = self._follower.follow(self._events[self._written :])
        self._written = len(self._events)
        self._unwritten_characters = 0
        if said is None or self.is_behind or not self._is_stored:
            return None
        return Growth(self._block_id, self._message_id, said)

    async def checkpoint(self) -> None:
        """Write the whole answer as it is; what cannot be saved now is tried the next time."""
        self.is_behind = False
        try:
            await self._save("streaming", {})
        except AppError as error:
            self.is_behind = True
            log.warning("checkpoint not saved", extra={"block_id": self._block_id, "code": error.code})
        except Exception:  # an answer that cannot be made must not end the others: a task group falls as one
            self.is_behind = True
            log.exception("checkpoint not made", extra={"block_id": self._block_id})

    @property
    def empty(self) -> bool:
        """Nothing was said or done: there is no answer to keep."""
        return all(isinstance(event, MessageStart | Status | StreamError | Abort) for event in self._events)

    async def finish(self, cut: AnswerStatus) -> None:
        """Save the whole answer, under what it has come to; `cut` is that of a run that was cancelled.

        Raises:
            AppError: the store could not take it, not even after a while.
        """
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
        if message is None or (self.empty and not self._is_stored):
            return
        metadata = merge_metadata(message.metadata, ending)
        if status == "complete":
            metadata.pop("error", None)  # of an earlier run that this one went on with
        message = message.model_copy(update={"metadata": metadata})
        await self._conversations.put_answer(self._block_id, self._parent_id, message, status)
        self._is_stored = True

    def _outcome(self, cut: AnswerStatus) -> tuple[AnswerStatus, Mapping[str, object]]:
        """How it ended, and what its metadata says of that; nothing where it ended well."""
        last = self._events[-1] if self._events else None
        if isinstance(last, MessageFinish):
            return "complete", {}
        if isinstance(last, StreamError):
            return "error", {"status": "error", "error": {"code": last.code, "text": last.text}}
        return cut, {"status": cut}
