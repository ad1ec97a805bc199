"""Conversations in one SQLite file: `core.conversations.ConversationStore`.

Where a message goes is decided in `tree`. A save reads the outline of its conversation (no bodies), lets the rules
work on it and writes what they added, in one transaction that is on the disk before the save is acknowledged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from app.core.conversations import AnswerStatus, Branch, Conversation, ConversationPage, Dates, Placement, Saved
from app.core.errors import AlreadyExists, InvalidRequest, NotFound, VersionConflict
from app.core.fold import merge_metadata
from app.core.messages import UIMessage
from app.core.said import Growth
from app.core.times import written
from app.storage.active import OUTLINE, page_values, read_active, read_handle
from app.storage.branches import ALTERNATIVES, copy_messages, read_branch, to_branches
from app.storage.database import Database, open_database
from app.storage.drafts import Draft, storable
from app.storage.growth import forget_growth, put_growth, with_growth
from app.storage.listing import read_page
from app.storage.references import read_file_ids
from app.storage.rows import (
    Block,
    read_block,
    read_conversation,
    read_next_row,
    read_tree,
    read_tree_for_answer,
    title_of,
    write_answer,
    write_block,
    write_tree,
)
from app.storage.tools import copy_calls
from app.storage.trash import clear_place, empty_trash, put_in_trash, take_from_trash
from app.storage.words import forget_words


class SqliteStore:
    """Implements `core.conversations.ConversationStore`."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = now

    @property
    def database(self) -> Database:
        """For what else lives in the file, such as the usage ledger."""
        return self._database

    async def close(self) -> None:
        """Finish what is being written, then let go of the file."""
        await self._database.close()

    async def mark_interrupted(self, ours: Callable[[str], bool]) -> None:
        """Mark the answers that nobody goes on writing, because their process has ended; those of our blocks only.

        If that is wrong, because another process has the file open too, its next `put_answer` puts it right.
        """
        running = "SELECT row, block_id, body FROM messages WHERE status = 'streaming'"
        if not await self._database.read(running, {}):
            return

        def mark(connection: Connection) -> None:
            for row, block_id, body in connection.execute(running).fetchall():
                if not ours(block_id):
                    continue
                message = with_growth(connection, row, UIMessage.model_validate_json(body))
                metadata = merge_metadata(message.metadata, {"status": "interrupted"})
                draft = Draft(message.model_copy(update={"metadata": metadata}))
                write_answer(connection, row, draft, "interrupted", self._now())
                forget_growth(connection, row)
                connection.execute(
                    "UPDATE conversations SET version = version + 1 WHERE block_id = :block_id", {"block_id": block_id}
                )

        await self._database.write(mark)

    async def load(self, block_id: str, *, limit: int | None = None, before: str | None = None) -> Conversation | None:
        values = page_values(block_id, limit, before)
        return await self._database.query(lambda connection: read_active(connection, values))

    async def outline(self, block_id: str) -> Sequence[tuple[str, str]]:
        rows = await self._database.read(OUTLINE, page_values(block_id))
        return [(str(row), message_id) for row, message_id in rows]

    async def save(
        self,
        block_id: str,
        messages: Sequence[UIMessage],
        *,
        placement: Placement,
        if_version: int | None = None,
        dates: Dates | None = None,
    ) -> Saved:
        """As the port says. An empty list changes nothing; the version of what does not exist is 0."""
        drafts = [Draft(message) for message in messages]
        now = self._now()

        def save(connection: Connection) -> Saved:
            if drafts:
                clear_place(connection, block_id)
            block = read_block(connection, block_id) or Block(block_id, now, now)
            if if_version is not None and if_version != block.version:
                raise VersionConflict(
                    "The conversation has changed since it was loaded. Load it again and repeat the change."
                )
            tree = read_tree(connection, block)
            if drafts:
                (tree.branch if placement == "branch" else tree.merge)(drafts)
            changed = block
            if tree.changed:
                began = min(dates.created_at, now) if dates is not None else now
                last_changed = min(dates.updated_at, now) if dates is not None and not block.version else now
                changed = replace(
                    block,
                    created_at=block.created_at if block.version else began,
                    updated_at=last_changed,
                    head=tree.head,
                    version=block.version + 1,
                    automatic_title=block.automatic_title or title_of(drafts),
                )
                write_block(connection, changed)
                write_tree(connection, block_id, tree, now)
            return Saved(storable(changed.title), changed.version, tree.active_ids())

        return await self._database.write(save)

    async def put_answer(self, block_id: str, parent_id: str | None, message: UIMessage, status: AnswerStatus) -> None:
        """As the port says. A conversation that was deleted meanwhile does not come back."""
        draft = Draft(message)
        now = self._now()

        def put_answer(connection: Connection) -> None:
            block = read_block(connection, block_id)
            if block is None or block.head is None:
                return
            tree = read_tree_for_answer(connection, block, message.id, parent_id)
            answer = tree.answer(parent_id, draft)
            if answer.ours and (answer.status, answer.fingerprint) == (status, draft.fingerprint):
                return
            if answer.draft is not None:
                answer.status, answer.ours = status, True  # nothing of it comes into the search before it is whole
            write_tree(connection, block_id, tree, now)
            if answer.draft is None:
                write_answer(connection, answer.row, draft, status, now)
                forget_growth(connection, answer.row)
            shown = status != "streaming" or (answer.draft is None and not answer.running)
            if shown or tree.changed:
                write_block(connection, replace(block, head=tree.head, version=block.version + shown, updated_at=now))

        await self._database.write(put_answer)

    async def put_growth(self, growths: Sequence[Growth]) -> None:
        await self._database.write(lambda connection: put_growth(connection, growths))

    async def delete(self, block_id: str) -> bool:
        """Also the metadata; what was deleted is then neither in the file nor in its log."""

        def delete(connection: Connection) -> bool:
            block = read_block(connection, block_id)
            connection.execute("DELETE FROM conversations WHERE block_id = :block_id", {"block_id": block_id})
            forget_words(connection)
            return block is not None and block.head is not None

        existed = await self._database.write(delete)
        await self._database.checkpoint()
        return existed

    async def trash(self, block_id: str) -> bool:
        now = self._now()
        return await self._database.write(lambda connection: put_in_trash(connection, block_id, now))

    async def restore(self, block_id: str) -> bool:
        return await self._database.write(lambda connection: take_from_trash(connection, block_id))

    async def is_in_trash(self, block_id: str) -> bool:
        in_trash = "SELECT 1 FROM conversations WHERE block_id = :block_id AND trashed_head IS NOT NULL"
        return bool(await self._database.read(in_trash, {"block_id": block_id}))

    async def empty_trash(self, seconds: float) -> frozenset[str]:
        before = written(self._clock() - timedelta(seconds=seconds))
        old = "SELECT 1 FROM conversations WHERE trashed_at < :before LIMIT 1"
        if not await self._database.read(old, {"before": before}):
            return frozenset()

        def empty(connection: Connection) -> frozenset[str] | None:
            named = empty_trash(connection, before)
            if named is not None:
                forget_words(connection)
            return named

        named = await self._database.write(empty)
        await self._database.checkpoint()
        return named or frozenset()

    async def file_ids(self, block_id: str | None = None) -> frozenset[str]:
        return await read_file_ids(self._database, block_id)

    async def branches(
        self, block_id: str, *, limit: int | None = None, before: str | None = None
    ) -> Sequence[Sequence[Branch]]:
        rows = await self._database.read(ALTERNATIVES, page_values(block_id, limit, before))
        if not rows and before is None:
            raise NotFound("There is no such conversation.")
        return to_branches(rows)

    async def choose(self, block_id: str, branch: str) -> Conversation:
        """As the port says. It is a change of the conversation, but does not make it the newest."""

        def choose(connection: Connection) -> Conversation:
            block = read_conversation(connection, block_id)
            tree = read_tree(connection, block)
            row = read_handle(branch)
            if row is None or not tree.choose(row):
                raise NotFound("This conversation has no such branch. List its branches again.")
            if tree.changed:
                write_block(connection, replace(block, head=tree.head, version=block.version + 1))
            return _loaded(connection, block_id)

        return await self._database.write(choose)

    async def fork(self, block_id: str, new_block_id: str, *, until: str | None = None) -> Conversation:
        """As the port says. What was set for the new block before holds."""
        now = self._now()

        def fork(connection: Connection) -> Conversation:
            block = read_conversation(connection, block_id)
            clear_place(connection, new_block_id)
            new = read_block(connection, new_block_id) or Block(new_block_id, now, now)
            if new.head is not None:
                raise AlreadyExists("There is a conversation with this id already. Choose another id, or leave it out.")
            sources = read_branch(connection, block.head, until)
            if not sources:
                raise InvalidRequest("This conversation has no message with that id.", param="messageId")
            first = read_next_row(connection)
            copy = replace(
                new,
                created_at=now,
                updated_at=now,
                head=first + len(sources) - 1,
                version=1,
                automatic_title=f"{block.title} (copy)",
                metadata={**_model_settings(block), **new.metadata},
            )
            write_block(connection, copy)
            copy_messages(connection, sources, new_block_id, first)
            copy_calls(connection, block_id, new_block_id)
            return _loaded(connection, new_block_id)

        return await self._database.write(fork)

    async def page(
        self, *, query: str = "", cursor: str | None = None, limit: int = 50, archived: bool | None = False
    ) -> ConversationPage:
        return await read_page(self._database, query=query, cursor=cursor, limit=limit, archived=archived)

    async def block(self, block_id: str) -> Mapping[str, Any]:
        rows = await self._database.read(
            "SELECT metadata FROM conversations WHERE block_id = :block_id AND trashed_at IS NULL",
            {"block_id": block_id},
        )
        metadata: dict[str, Any] = json.loads(rows[0][0]) if rows else {}
        return metadata

    async def patch_block(self, block_id: str, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """As the port says. A title counts as a change of the conversation, but does not make it the newest."""
        now = self._now()

        def patch(connection: Connection) -> Mapping[str, Any]:
            clear_place(connection, block_id)
            old = read_block(connection, block_id) or Block(block_id, now, now)
            metadata = {key: value for key, value in {**old.metadata, **changes}.items() if value is not None}
            new = replace(old, metadata=metadata)
            retitled = old.head is not None and new.title != old.title
            write_block(connection, replace(new, version=old.version + retitled))
            return metadata

        return await self._database.write(patch)

    def _now(self) -> str:
        return written(self._clock())


def _model_settings(block: Block) -> Mapping[str, Any]:
    """What a copy is answered with. That a tool need not ask was said of the original alone."""
    settings = {key: value for key, value in block.metadata.items() if key.startswith("ai:")}
    policies = {name: policy for name, policy in settings.pop("ai:toolpolicy", {}).items() if policy != "auto"}
    return {**settings, "ai:toolpolicy": policies} if policies else settings


def _loaded(connection: Connection, block_id: str) -> Conversation:
    conversation = read_active(connection, page_values(block_id))
    assert conversation is not None, "it was there in the same transaction"
    return conversation


async def open_store(
    path: Path,
    *,
    now: Callable[[], datetime],
    busy_timeout: float = 4.0,
    ours: Callable[[str], bool] = lambda block_id: True,
) -> SqliteStore:
    """Open the file, made if need be. Answers that a crash cut off are marked as interrupted.

    Args:
        path: of the database, in a folder that exists.
        now: the time of day.
        busy_timeout: seconds that a write waits while another process holds the file.
        ours: whether a block is written by this process alone, where several have the file open.

    Raises:
        StorageUnavailable: the file cannot be opened, or a newer version has written it.
    """
    store = SqliteStore(await open_database(path, busy_timeout, now), now)
    try:
        await store.mark_interrupted(ours)
    except BaseException:
        await store.close()
        raise
    return store
