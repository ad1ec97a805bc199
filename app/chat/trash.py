"""The trash: what a person deletes on the page can be brought back for a few minutes, then it is gone for good."""

from __future__ import annotations

import asyncio
import logging

from app.chat.attachments import Attachments
from app.chat.live import LiveRuns
from app.chat.turns import Turns
from app.core.conversations import ConversationStore

log = logging.getLogger(__name__)

KEPT_SECONDS = 600.0
EVERY_SECONDS = 30.0
"""How often the trash is looked through."""


class Trash:
    def __init__(
        self,
        conversations: ConversationStore,
        attachments: Attachments,
        turns: Turns,
        runs: LiveRuns,
        seconds: float = KEPT_SECONDS,
    ) -> None:
        """`seconds` is how long a conversation can be brought back."""
        self._conversations = conversations
        self._attachments = attachments
        self._turns = turns
        self._runs = runs
        self._seconds = seconds

    async def put(self, block_id: str) -> bool:
        """An answer in the making ends, and is kept with the rest. False where there is no such conversation."""
        await self._turns.stop(block_id)
        self._runs.forget(block_id)
        return await self._conversations.trash(block_id)

    async def restore(self, block_id: str) -> bool:
        """False where it is gone for good."""
        return await self._conversations.restore(block_id)

    async def holds(self, block_id: str) -> bool:
        """It was deleted, and can be brought back."""
        return await self._conversations.is_in_trash(block_id)

    async def delete(self, block_id: str) -> bool:
        """For good, without the trash. False where there is no such conversation."""
        await self._turns.stop(block_id)
        self._runs.forget(block_id)
        return await self._attachments.delete_conversation(block_id)

    async def empty(self) -> None:
        """Delete for good what has been here long enough, and the files that nothing else names."""
        await self._attachments.remove_unnamed(await self._conversations.empty_trash(self._seconds))

    async def keep_empty(self) -> None:
        """For as long as the server runs. What was due while it did not run goes at once."""
        while True:
            try:
                await self.empty()
            except Exception:  # it must not end the task group, and with it every run
                log.exception("trash not emptied")
            await asyncio.sleep(EVERY_SECONDS)
