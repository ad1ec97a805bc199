"""Shares of conversations: `core.shares.ShareStore` over SQLite. They go with their conversation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from app.core.errors import InvalidRequest, NotFound
from app.core.messages import UIMessage, parse_messages
from app.core.shares import MAX_SHARES, Share, SharedConversation
from app.storage.database import Database, Row
from app.storage.drafts import storable

_COLUMNS = "token, block_id, title, with_details, created_at, message_count"

# A conversation in the trash has no head.
_LOAD = f"""
SELECT {_COLUMNS}, messages FROM shares
WHERE token = :token AND EXISTS (
  SELECT 1 FROM conversations WHERE conversations.block_id = shares.block_id AND head IS NOT NULL
)
"""  # noqa: S608  # its own columns

_ADD = f"""
INSERT INTO shares ({_COLUMNS}, messages)
VALUES (:token, :block_id, :title, :with_details, :created_at, :message_count, :messages)
"""  # noqa: S608

_OF = f"SELECT {_COLUMNS} FROM shares WHERE block_id = :block_id ORDER BY row DESC"  # noqa: S608

_STATE = """
SELECT (SELECT count(*) FROM shares WHERE block_id = :block_id),
  EXISTS (SELECT 1 FROM conversations WHERE block_id = :block_id AND head IS NOT NULL)
"""


class SqliteShareStore:
    """Implements `core.shares.ShareStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, share: Share, messages: Sequence[UIMessage]) -> None:
        values: dict[str, Any] = {
            "token": share.token,
            "block_id": share.block_id,
            "title": storable(share.title),
            "with_details": share.with_details,
            "created_at": share.created_at,
            "message_count": share.message_count,
            "messages": json.dumps([message.to_wire() for message in messages]),
        }

        def create(connection: Connection) -> None:
            [(count, exists)] = connection.execute(_STATE, {"block_id": share.block_id})
            if not exists:
                raise NotFound("There is no such conversation.")
            if count >= MAX_SHARES:
                raise InvalidRequest(f"This conversation has {MAX_SHARES} links already. Revoke some first.")
            connection.execute(_ADD, values)

        await self._database.write(create)

    async def of(self, block_id: str) -> Sequence[Share]:
        return [_to_share(row) for row in await self._database.read(_OF, {"block_id": block_id})]

    async def load(self, token: str) -> SharedConversation | None:
        rows = await self._database.read(_LOAD, {"token": token})
        if not rows:
            return None
        return SharedConversation(_to_share(rows[0]), parse_messages(json.loads(rows[0][-1])))

    async def revoke(self, block_id: str, token: str) -> bool:
        """What was shared is then not in the file any more, either."""

        def revoke(connection: Connection) -> bool:
            sql = "DELETE FROM shares WHERE block_id = :block_id AND token = :token RETURNING row"
            return bool(connection.execute(sql, {"block_id": block_id, "token": token}).fetchall())

        was_there = await self._database.write(revoke)
        await self._database.checkpoint()
        return was_there


def _to_share(row: Row) -> Share:
    token, block_id, title, with_details, created_at, message_count, *_ = row
    return Share(token, block_id, title, bool(with_details), created_at, message_count)
