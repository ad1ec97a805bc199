"""Single messages of a conversation: `core.single_messages.SingleMessages` over SQLite."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from sqlite3 import Connection

from app.core.errors import NotFound, VersionConflict
from app.core.messages import UIMessage
from app.core.single_messages import FoundMessage, Removed, Trashed
from app.core.times import written
from app.storage.active import page_values, read_active
from app.storage.database import Database
from app.storage.drafts import Draft
from app.storage.references import named_files
from app.storage.removed import bring_back, put_aside
from app.storage.rows import Block, read_block, read_conversation, read_tree, title_of, write_block
from app.storage.trash import put_in_trash
from app.storage.tree import Tree
from app.storage.words import forget_words

_THESE = "row IN (SELECT value FROM json_each(:rows))"
_NOT_THERE = "message_id NOT IN (SELECT id FROM messages WHERE block_id = :block_id)"


class SqliteSingleMessages:
    """Implements `core.single_messages.SingleMessages`."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def find(self, block_id: str, message_id: str) -> FoundMessage | None:
        def find(connection: Connection) -> FoundMessage | None:
            block = read_block(connection, block_id)
            if block is None or block.head is None:
                return None
            tree = read_tree(connection, block)
            row = tree.active_row(message_id)
            if row is None:
                return None
            [(body,)] = connection.execute("SELECT body FROM messages WHERE row = :row", {"row": row})
            return FoundMessage(UIMessage.model_validate_json(body), len(tree.below(row)), block.version)

        return await self._database.query(find)

    async def remove(self, block_id: str, message_id: str, *, if_version: int | None = None) -> Removed:
        """As the port says. What was deleted is then neither in the file nor in its log."""

        def remove(connection: Connection) -> Removed:
            block, tree, row = _found(connection, block_id, message_id, if_version)
            is_root = tree.parent_of(row) is None
            rows = tree.remove(row)
            files = _delete_rows(connection, rows)
            version = None
            if tree.head is None:
                connection.execute("DELETE FROM conversations WHERE block_id = :block_id", {"block_id": block_id})
            else:
                version = block.version + 1
                _forget_calls(connection, block_id)
                _write_rest(connection, replace(block, head=tree.head, version=version), retitle=is_root)
            forget_words(connection)
            return Removed(len(rows), version, files)

        removed = await self._database.write(remove)
        await self._database.checkpoint()
        return removed

    async def trash(self, block_id: str, message_id: str, *, if_version: int | None = None) -> Trashed:
        now = written(self._now())

        def trash(connection: Connection) -> Trashed:
            block, tree, row = _found(connection, block_id, message_id, if_version)
            parent = tree.parent_of(row)
            rows = tree.remove(row)
            if tree.head is None:
                put_in_trash(connection, block_id, now)
                return Trashed(len(rows), None, None)
            key = put_aside(connection, block_id, rows, parent, now)
            version = block.version + 1
            _write_rest(connection, replace(block, head=tree.head, version=version), retitle=parent is None)
            return Trashed(len(rows), version, key)

        return await self._database.write(trash)

    async def restore(self, block_id: str, key: str) -> int:
        return await self._database.write(lambda connection: bring_back(connection, block_id, key).version)


def _found(connection: Connection, block_id: str, message_id: str, if_version: int | None) -> tuple[Block, Tree, int]:
    """The conversation, and in it the row of a message that is shown."""
    block = read_conversation(connection, block_id)
    if if_version is not None and if_version != block.version:
        raise VersionConflict("The conversation has changed since it was loaded. Load it again and repeat the change.")
    tree = read_tree(connection, block)
    row = tree.active_row(message_id)
    if row is None:
        raise NotFound("What is shown of this conversation has no message with that id.")
    return block, tree, row


def _delete_rows(connection: Connection, rows: Sequence[int]) -> frozenset[str]:
    """Delete messages; the files that they named."""
    these = {"rows": json.dumps(rows)}
    bodies = connection.execute(
        f"SELECT body FROM messages WHERE {_THESE} AND instr(body, '/files/') > 0",  # noqa: S608  # a constant
        these,
    ).fetchall()
    connection.execute(f"DELETE FROM messages WHERE {_THESE}", these)  # noqa: S608
    return named_files(body for (body,) in bodies)


def _forget_calls(connection: Connection, block_id: str) -> None:
    """Whatever else named the messages."""
    for sql in (
        f"DELETE FROM tool_calls WHERE block_id = :block_id AND {_NOT_THERE}",  # noqa: S608
        f"DELETE FROM feedback WHERE block_id = :block_id AND {_NOT_THERE}",  # noqa: S608
        f"UPDATE usage SET message_id = NULL WHERE block_id = :block_id AND {_NOT_THERE}",  # noqa: S608
    ):
        connection.execute(sql, {"block_id": block_id})


def _write_rest(connection: Connection, block: Block, *, retitle: bool) -> None:
    """With `retitle` the title was the beginning of what is deleted."""
    write_block(connection, block)
    if retitle:
        conversation = read_active(connection, page_values(block.block_id))
        messages = conversation.messages if conversation is not None else ()
        write_block(connection, replace(block, automatic_title=title_of([Draft(message) for message in messages])))
