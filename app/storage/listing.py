"""The list of conversations: newest first, pinned before all others, in pages, searched by what was said.

A cursor is the place of the last item in that order, so a page stays right while conversations come and go.
"""

from __future__ import annotations

import base64
import re

from app.core.errors import InvalidRequest
from app.core.ports import ConversationPage, ConversationSummary
from app.storage.database import Database, Row

MAX_LIMIT = 200

_PAGE = """
WITH RECURSIVE page AS MATERIALIZED (
  SELECT block_id, head, title, created_at, updated_at, pinned FROM conversations
  WHERE head IS NOT NULL
    AND (pinned, updated_at, block_id) < (:pinned, :updated_at, :block_id)
    AND (:query = '' OR instr(folded(title), :query) > 0 OR EXISTS (
      SELECT 1 FROM messages
      WHERE messages.block_id = conversations.block_id AND instr(folded(messages.text), :query) > 0))
  ORDER BY pinned DESC, updated_at DESC, block_id DESC
  LIMIT :limit
),
branch (block_id, parent, status) AS (
  SELECT page.block_id, messages.parent, messages.status FROM page JOIN messages ON messages.row = page.head
  UNION ALL
  SELECT branch.block_id, messages.parent, messages.status FROM branch JOIN messages ON messages.row = branch.parent
),
counted AS MATERIALIZED (
  SELECT block_id, count(*) AS message_count FROM branch WHERE status <> 'streaming' GROUP BY block_id
)
SELECT page.block_id, title, created_at, updated_at, pinned, coalesce(message_count, 0)
FROM page LEFT JOIN counted ON counted.block_id = page.block_id
ORDER BY pinned DESC, updated_at DESC, page.block_id DESC
"""

_CURSOR = re.compile(r"([01]) (\S{1,40}) (.{1,512})", re.DOTALL)

_BEFORE_ALL = (2, "", "")


async def read_page(database: Database, *, query: str, cursor: str | None, limit: int) -> ConversationPage:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"`limit` must be from 1 to {MAX_LIMIT}.", param="limit")
    pinned, updated_at, block_id = _read_cursor(cursor) if cursor is not None else _BEFORE_ALL
    rows = await database.read(
        _PAGE,
        {
            "query": query.strip().casefold(),
            "pinned": pinned,
            "updated_at": updated_at,
            "block_id": block_id,
            "limit": limit + 1,
        },
    )
    items = tuple(_summary(row) for row in rows[:limit])
    return ConversationPage(items, _cursor(items[-1]) if len(rows) > limit else None)


def _summary(row: Row) -> ConversationSummary:
    block_id, title, created_at, updated_at, pinned, message_count = row
    return ConversationSummary(block_id, title, created_at, updated_at, message_count, bool(pinned))


def _cursor(last: ConversationSummary) -> str:
    place = f"{last.pinned:d} {last.updated_at} {last.block_id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[int, str, str]:
    try:
        place = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        place = ""
    found = _CURSOR.fullmatch(place)
    if found is None:
        raise InvalidRequest("The cursor is not one of this server. Start again without it.", param="cursor")
    return int(found[1]), found[2], found[3]
