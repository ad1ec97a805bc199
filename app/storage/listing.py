"""The list of conversations: newest first, pinned before all others, in pages, searched by what was said.

A search finds the conversations of which the title, or one message of any branch, has all the words; what the active
branch says comes first. A cursor is the place of the last item in that order, so a page stays right while conversations
come and go.
"""

from __future__ import annotations

import base64
import re
import secrets

from app.core.conversations import ConversationPage, ConversationSummary, Match
from app.core.errors import InvalidRequest
from app.storage.database import Database, Row
from app.storage.words import marked_pieces, match_expression

MAX_LIMIT = 200

_ALL = """
WITH RECURSIVE page AS MATERIALIZED (
  SELECT block_id, head, title, created_at, updated_at, pinned, archived, NULL AS found FROM conversations
  WHERE head IS NOT NULL
    AND (:archived IS NULL OR archived = :archived)
    AND (pinned, updated_at, block_id) < (:pinned, :updated_at, :block_id)
  ORDER BY pinned DESC, updated_at DESC, block_id DESC
  LIMIT :limit
),
snippets (number, snippet) AS (SELECT NULL, NULL),
"""

_MATCHING = """
WITH RECURSIVE
said (row) AS NOT MATERIALIZED (SELECT rowid FROM search WHERE search MATCH :words AND rowid > 0),
titled (number) AS NOT MATERIALIZED (SELECT rowid FROM search WHERE search MATCH :words AND rowid < 0),
blocks (block_id) AS MATERIALIZED (
  SELECT messages.block_id FROM said JOIN messages ON messages.row = said.row
  UNION
  SELECT conversations.block_id FROM titled JOIN conversations ON conversations.number = titled.number
),
page AS MATERIALIZED (
  SELECT block_id, head, title, created_at, updated_at, pinned, archived, coalesce(
    (
      WITH RECURSIVE branch (row, parent) AS (
        SELECT row, parent FROM messages WHERE row = conversations.head
        UNION ALL
        SELECT messages.row, messages.parent FROM branch JOIN messages ON messages.row = branch.parent
      )
      SELECT max(row) FROM branch WHERE row IN said
    ),
    iif(number IN titled, number, NULL),
    (SELECT max(row) FROM messages WHERE messages.block_id = conversations.block_id AND row IN said)
  ) AS found
  FROM conversations
  WHERE head IS NOT NULL
    AND (:archived IS NULL OR archived = :archived)
    AND (pinned, updated_at, block_id) < (:pinned, :updated_at, :block_id)
    -- A word that is said everywhere is soon found in the list's order; for another the list is gone through faster
    -- where it is known which conversations have it at all. The plus: in its order, which ends early.
    AND (EXISTS (SELECT 1 FROM said LIMIT 1 OFFSET 4000) OR +block_id IN blocks)
    AND found IS NOT NULL
  ORDER BY pinned DESC, updated_at DESC, block_id DESC
  LIMIT :limit
),
snippets (number, snippet) AS MATERIALIZED (
  SELECT rowid, snippet(search, 0, :mark, :mark, '…', 24) FROM search
  WHERE search MATCH :words AND rowid BETWEEN (SELECT min(found) FROM page) AND (SELECT max(found) FROM page)
    AND +rowid IN (SELECT found FROM page) -- the plus: search once, not once for each
),
"""

_PAGE = """
branch (block_id, row, parent, status) AS (
  SELECT page.block_id, messages.row, messages.parent, messages.status FROM page JOIN messages
  ON messages.row = page.head
  UNION ALL
  SELECT branch.block_id, messages.row, messages.parent, messages.status
  FROM branch JOIN messages ON messages.row = branch.parent
),
counted AS MATERIALIZED (
  SELECT block_id, count(*) AS message_count, max(row IN (SELECT found FROM page)) AS is_active
  FROM branch WHERE status <> 'streaming' GROUP BY block_id
)
SELECT page.block_id, title, page.created_at, page.updated_at, pinned, archived, coalesce(message_count, 0),
  messages.id, iif(is_active, NULL, messages.row), snippet
FROM page
LEFT JOIN counted ON counted.block_id = page.block_id
LEFT JOIN messages ON messages.row = page.found
LEFT JOIN snippets ON snippets.number = page.found
ORDER BY pinned DESC, page.updated_at DESC, page.block_id DESC
"""

_CURSOR = re.compile(r"([01]) (\S{1,40}) (.{1,512})", re.DOTALL)

_BEFORE_ALL = (2, "", "")


async def read_page(
    database: Database, *, query: str, cursor: str | None, limit: int, archived: bool | None
) -> ConversationPage:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"`limit` must be from 1 to {MAX_LIMIT}.", param="limit")
    pinned, updated_at, block_id = _read_cursor(cursor) if cursor is not None else _BEFORE_ALL
    words = match_expression(query)
    if query.strip() and not words:
        return ConversationPage((), None)
    mark = f"<{secrets.token_hex(8)}>"  # nobody can have said it
    rows = await database.read(
        (_MATCHING if words else _ALL) + _PAGE,
        {
            "words": words,
            "mark": mark,
            "archived": archived,
            "pinned": pinned,
            "updated_at": updated_at,
            "block_id": block_id,
            "limit": limit + 1,
        },
    )
    items = tuple(_summary(row, mark) for row in rows[:limit])
    return ConversationPage(items, _cursor(items[-1]) if len(rows) > limit else None)


def _summary(row: Row, mark: str) -> ConversationSummary:
    block_id, title, created_at, updated_at, pinned, archived, message_count, message_id, other_row, snippet = row
    branch = None if other_row is None else str(other_row)
    return ConversationSummary(
        block_id,
        title,
        created_at,
        updated_at,
        message_count,
        pinned=bool(pinned),
        archived=bool(archived),
        match=Match(message_id, tuple(marked_pieces(snippet, mark)), branch) if snippet is not None else None,
    )


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
