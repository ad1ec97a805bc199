"""Deleting a single message with what follows it, and the files that nothing names any more."""

from __future__ import annotations

from app.chat.attachments import Attachments
from app.chat.live import LiveRuns
from app.chat.turns import Turns
from app.core.single_messages import Removed, SingleMessages


class Removal:
    def __init__(self, messages: SingleMessages, attachments: Attachments, turns: Turns, runs: LiveRuns) -> None:
        self._messages = messages
        self._attachments = attachments
        self._turns = turns
        self._runs = runs

    async def remove(self, block_id: str, message_id: str, *, if_version: int | None = None) -> Removed:
        """As `SingleMessages.remove` says, for good.

        Raises:
            RunInProgress: an answer is being written; it would go below what is no longer there.
        """
        async with self._turns.quiet(block_id):
            removed = await self._messages.remove(block_id, message_id, if_version=if_version)
            self._runs.forget(block_id)  # its last answer may be one of those that are gone
        await self._attachments.remove_unnamed(removed.file_ids)
        return removed
