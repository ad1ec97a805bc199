"""The active branch of a conversation, read from its end upwards: the whole of it or a page.

Each step up is one look-up by row number, so a page costs the same however long the conversation is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from sqlite3 import Connection
from typing import Any

from app.core.conversations import Conversation
from app.core.errors import InvalidRequest
from app.core.messages import UIMessage

ACTIVE = """
WITH RECURSIVE active (row, parent, status, distance, shown) AS (
  SELECT row, parent, status, 0, status <> 'streaming' FROM messages WHERE row = (
    SELECT CASE WHEN :before IS NULL THEN head ELSE (
      SELECT parent FROM messages WHERE row = :before AND messages.block_id = conversations.block_id
    ) END FROM conversations WHERE block_id = :block_id
  )
  UNION ALL
  SELECT messages.row, messages.parent, messages.status, distance + 1, shown + (messages.status <> 'streaming')
  FROM active JOIN messages ON messages.row = active.parent
  WHERE :limit IS NULL OR shown < :limit
)
"""
"""The rows of the active branch above `before`, the nearest first, until `limit` of them are no answer in flight."""

_MESSAGES = """
SELECT conversations.title, conversations.created_at, conversations.updated_at, conversations.version,
  :before IS NULL OR EXISTS (
    SELECT 1 FROM messages AS below WHERE below.row = :before AND below.block_id = conversations.block_id
  ),
  messages.row, messages.parent, distance, messages.body
FROM conversations
LEFT JOIN (active JOIN messages ON messages.row = active.row AND messages.status <> 'streaming')
WHERE conversations.block_id = :block_id AND conversations.head IS NOT NULL
"""

_LOAD = ACTIVE + _MESSAGES
"""The active branch, each message with the columns of its conversation; at least one row."""

_IDS = """
SELECT messages.row, messages.id FROM active JOIN messages ON messages.row = active.row
WHERE messages.status <> 'streaming' ORDER BY distance DESC
"""

OUTLINE = ACTIVE + _IDS
"""The active branch from the root on, without what it says."""


def page_values(block_id: str, limit: int | None = None, before: str | None = None) -> Mapping[str, Any]:
    """What ACTIVE is asked with.

    Raises:
        InvalidRequest: `before` cannot be one of ours.
    """
    row = None if before is None else read_handle(before)
    if before is not None and row is None:
        raise _unknown_place()
    return {"block_id": block_id, "limit": limit, "before": row}


def read_active(connection: Connection, values: Mapping[str, Any]) -> Conversation | None:
    """The conversation that `page_values` names, or None where there is none.

    Raises:
        InvalidRequest: `before` is no message of this conversation.
    """
    rows = connection.execute(_LOAD, values).fetchall()
    if not rows:
        return None
    title, created_at, updated_at, version, known, *_ = rows[0]
    if not known:
        raise _unknown_place()
    found = sorted((row for row in rows if row[5] is not None), key=lambda row: row[7], reverse=True)
    first = found[0] if found else None
    return Conversation(
        values["block_id"],
        title,
        tuple(UIMessage.model_validate_json(row[8]) for row in found),
        created_at,
        updated_at,
        version,
        earlier=None if first is None or first[6] is None else str(first[5]),
    )


def read_handle(handle: str) -> int | None:
    return int(handle) if re.fullmatch("[0-9]{1,18}", handle) else None


def _unknown_place() -> InvalidRequest:
    return InvalidRequest("`before` is not a place in this conversation. Start again without it.", param="before")
