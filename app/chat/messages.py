"""Single messages: found, and deleted with what follows them and the files that nothing names any more."""

from __future__ import annotations

from app.chat.attachments import Attachments
from app.chat.live import LiveRuns
from app.chat.turns import Turns
from app.core.errors import NotFound
from app.core.single_messages import FoundMessage, Removed, SingleMessages, Trashed


class Messages:
    def __init__(self, store: SingleMessages, attachments: Attachments, turns: Turns, runs: LiveRuns) -> None:
        self._store = store
        self._attachments = attachments
        self._turns = turns
        self._runs = runs

    async def find(self, block_id: str, message_id: str) -> FoundMessage:
        """Raises NotFound where the active branch has no such message, or it is still being written."""
        found = await self._store.find(block_id, message_id)
        if found is None:
            raise NotFound("What is shown of this conversation has no message with that id.")
        return found

    async def remove(self, block_id: str, message_id: str, *, if_version: int | None = None) -> Removed:
        """As `SingleMessages.remove` says, for good.

        Raises:
            RunInProgress: an answer is being written; it would go below what is no longer there.
        """
        async with self._turns.quiet(block_id):
            removed = await self._store.remove(block_id, message_id, if_version=if_version)
            self._runs.forget(block_id)  # its last answer may be one of those that are gone
        await self._attachments.remove_unnamed(removed.file_ids)
        return removed

    async def trash(self, block_id: str, message_id: str, *, if_version: int | None = None) -> Trashed:
        """As `SingleMessages.trash` says: `app.chat.trash` empties it.

        Raises:
            RunInProgress: as `remove`.
        """
        async with self._turns.quiet(block_id):
            trashed = await self._store.trash(block_id, message_id, if_version=if_version)
            self._runs.forget(block_id)
        return trashed

    async def restore(self, block_id: str, key: str) -> int:
        """As `SingleMessages.restore` says.

        Raises:
            RunInProgress: an answer is being written; it would go on another branch than what is shown.
        """
        async with self._turns.quiet(block_id):
            return await self._store.restore(block_id, key)
