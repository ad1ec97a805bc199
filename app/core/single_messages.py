"""Single messages of a conversation: found, and deleted with what was said below them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.core.messages import UIMessage


@dataclass(frozen=True, slots=True)
class FoundMessage:
    message: UIMessage
    count: int
    """Of the messages that go with it: itself, and all that were said below it, on whatever branch."""
    version: int
    """Of the conversation."""


@dataclass(frozen=True, slots=True)
class Removed:
    count: int
    version: int | None
    """Of the conversation; None where nothing of it is left."""
    file_ids: frozenset[str]
    """The files that the deleted messages named."""


@dataclass(frozen=True, slots=True)
class Trashed:
    count: int
    version: int | None
    """Of the conversation; None where nothing of it is left, and it is in the trash itself."""
    key: str | None
    """What the messages are brought back by; None where the conversation is."""


class SingleMessages(Protocol):
    """Every method may raise StorageUnavailable."""

    async def find(self, block_id: str, message_id: str) -> FoundMessage | None:
        """A message of the active branch that is not being written."""
        ...

    async def remove(self, block_id: str, message_id: str, *, if_version: int | None = None) -> Removed:
        """Delete a message of the active branch and everything below it, for good, with its tool calls and feedback.

        The active branch goes on with the version beside it, and where there is none ends above it. With the last
        message the conversation goes.

        Raises:
            NotFound: no such conversation, or its active branch has no such message.
            VersionConflict: `if_version` is not the current version.
        """
        ...

    async def trash(self, block_id: str, message_id: str, *, if_version: int | None = None) -> Trashed:
        """As `remove`, but they can be brought back for a while, with the tool calls and the feedback.

        Raises: as `remove`.
        """
        ...

    async def restore(self, block_id: str, key: str) -> int:
        """Bring back what `trash` gave the key for, and make it the active branch: the conversation's new version.

        Raises:
            NotFound: it is gone for good, or what it stood below is.
        """
        ...
