"""Conversations as everyone sees them, and the store that keeps them: trees of messages behind plain histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from app.core.messages import Role, UIMessage
from app.core.said import Growth


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation as the browser sees it: the active branch, without the message in flight."""

    block_id: str
    title: str
    messages: tuple[UIMessage, ...]
    created_at: str
    updated_at: str
    """ISO 8601, UTC."""
    version: int
    """Goes up with every change; the ETag."""
    earlier: str | None = None
    """Of a page: `before` for the messages that stand above these; None where there are none."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a conversation has come to by a save."""

    title: str
    version: int
    message_ids: tuple[str, ...]
    """Of its active branch from the root on, without the message in flight."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where a search found its words."""

    message_id: str | None
    """The newest message of the active branch that has them all, or else of another; None where the title has."""
    snippet: tuple[tuple[str, bool], ...]
    """Some of its text in pieces, in order: text, and whether it is one of the words. Plain text, not HTML."""
    branch: str | None = None
    """Where it is of another branch than the active one, the handle to choose that one by."""


@dataclass(frozen=True, slots=True)
class Dates:
    """When an imported conversation began and when it was last changed, as `Conversation` has them."""

    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    block_id: str
    title: str
    created_at: str
    updated_at: str
    message_count: int
    pinned: bool
    archived: bool
    match: Match | None = None
    """Only in what a search answers."""


@dataclass(frozen=True, slots=True)
class ConversationPage:
    items: tuple[ConversationSummary, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Branch:
    """One of the messages that stand at the same place: other questions, or other answers to the same question."""

    handle: str
    """Names it for `choose`: an edited message keeps its id, so the id does not."""
    message_id: str
    role: Role
    active: bool
    preview: str
    """The beginning of its text."""
    created_at: str


Placement = Literal["branch", "merge"]
"""Where unknown messages go that follow a known one which already has followers: beside those (`branch`: the sender
means this very history, a chat turn or a save with If-Match), or, for user messages, behind the end of the active
branch (`merge`: a save from a client that may not have seen the rest, so nothing it did not name disappears)."""

AnswerStatus = Literal["streaming", "complete", "stopped", "interrupted", "error"]


class ConversationStore(Protocol):
    """Conversations as trees of messages: nothing that was saved is overwritten or lost.

    Every method may raise StorageUnavailable (locked for too long, disk full).
    """

    async def load(self, block_id: str, *, limit: int | None = None, before: str | None = None) -> Conversation | None:
        """The conversation, or a page of it.

        Args:
            block_id: which one.
            limit: how many messages at most, the last of them; None for all.
            before: `earlier` of the page below: the messages above that one. It stays right when messages come in
                and when another branch is chosen meanwhile: it goes on above what that page showed.

        Raises:
            InvalidRequest: a `before` that is none of this conversation.
        """
        ...

    async def outline(self, block_id: str) -> Sequence[tuple[str, str]]:
        """The messages of the active branch from the root on, each by its place and its id: a page whose `before` is
        the place ends above the message. Answers in flight are left out; empty where there is no such conversation.
        """
        ...

    async def save(
        self,
        block_id: str,
        messages: Sequence[UIMessage],
        *,
        placement: Placement,
        if_version: int | None = None,
        dates: Dates | None = None,
    ) -> Saved:
        """Merge a linear history into the tree and move the head to its end. Saving the same thing twice changes
        nothing. `if_version` 0 means: must not exist yet. `dates` count only for a conversation that this save makes.

        Raises:
            VersionConflict: `if_version` is not the current version.
        """
        ...

    async def put_answer(self, block_id: str, parent_id: str | None, message: UIMessage, status: AnswerStatus) -> None:
        """Write an answer below the message `parent_id` of the active branch, or replace what an earlier call with
        the same message id wrote. The head moves to it when it is first written, unless the head has moved on.
        """
        ...

    async def put_growth(self, growths: Sequence[Growth]) -> None:
        """Add to what `put_answer` wrote of answers in flight, all at once. It is read only if the process dies before
        they are written as a whole again. What is not in flight any more is left out.
        """
        ...

    async def delete(self, block_id: str) -> bool:
        """For good. False where there is no such conversation."""
        ...

    async def trash(self, block_id: str) -> bool:
        """Delete it so that `restore` can bring it back. Until then it is nowhere: whoever writes to its id begins a
        new conversation, and what was there is deleted for good. False where there is no such conversation.
        """
        ...

    async def restore(self, block_id: str) -> bool:
        """False where the trash has no such conversation any more."""
        ...

    async def is_in_trash(self, block_id: str) -> bool:
        """`restore` could bring it back."""
        ...

    async def empty_trash(self, seconds: float) -> frozenset[str]:
        """Delete for good what has been in the trash for so long; the ids of the files that it named."""
        ...

    async def file_ids(self, block_id: str | None = None) -> frozenset[str]:
        """The files that messages name, on whatever branch: those of one conversation, or of all."""
        ...

    async def branches(
        self, block_id: str, *, limit: int | None = None, before: str | None = None
    ) -> Sequence[Sequence[Branch]]:
        """The places where there is more than one message, from the root on; at each place all of them, oldest first.
        Of the messages that `load` answers for the same arguments; answers in flight are left out, as there.

        Raises:
            NotFound: no such conversation.
            InvalidRequest: as `load`.
        """
        ...

    async def choose(self, block_id: str, branch: str) -> Conversation:
        """Make a branch the active one, with the newest of what was ever said below it.

        Raises:
            NotFound: no such conversation, or no branch of it has this handle.
        """
        ...

    async def fork(self, block_id: str, new_block_id: str, *, until: str | None = None) -> Conversation:
        """Copy the active branch, up to the message with the id `until`, into a conversation of its own, and with it
        the block's `ai:*` metadata. Message ids stay the same.

        Raises:
            NotFound: no such conversation.
            InvalidRequest: its active branch has no such message.
            AlreadyExists: `new_block_id` is a conversation.
        """
        ...

    async def page(
        self, *, query: str = "", cursor: str | None = None, limit: int = 50, archived: bool | None = False
    ) -> ConversationPage:
        """Newest first, pinned before all others.

        Args:
            query: words that must all be in the title or in one message of any branch, whatever their case and
                accents; the last one may be the beginning of a word, from two letters on. What is no word counts for
                nothing.
            cursor: `next_cursor` of the page before.
            limit: 1 to 200.
            archived: whether to list the archived conversations or the others; None for both.

        Raises:
            InvalidRequest: a cursor that is none of ours.
        """
        ...

    async def block(self, block_id: str) -> Mapping[str, Any]:
        """The block's metadata (`ai:preset`, `title`, …); empty for an unknown block."""
        ...

    async def patch_block(self, block_id: str, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Set the given keys, remove those whose value is None, answer all that stand then."""
        ...
