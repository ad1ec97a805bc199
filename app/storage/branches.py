"""The branches of a conversation beside the active one: listed, chosen, copied into a conversation of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from aiosqlite import Connection

from app.core.messages import Role
from app.core.ports import Branch
from app.storage.database import Row

ALTERNATIVES = """
WITH RECURSIVE active (row, parent, distance, status) AS (
  SELECT messages.row, messages.parent, 0, messages.status
  FROM conversations JOIN messages ON messages.row = conversations.head
  WHERE conversations.block_id = :block_id
  UNION ALL
  SELECT messages.row, messages.parent, distance + 1, messages.status
  FROM active JOIN messages ON messages.row = active.parent
)
SELECT active.row, sibling.row, sibling.id, sibling.role, substr(sibling.text, 1, 160), sibling.created_at
FROM active JOIN messages AS sibling ON sibling.parent IS active.parent AND sibling.block_id = :block_id
WHERE active.status <> 'streaming' AND sibling.status <> 'streaming'
ORDER BY distance DESC, sibling.row
"""
"""The messages of the active branch from the root on, each with all that stand at its place; at least one row."""

PREVIEW_LENGTH = 80

_BRANCH = """
WITH RECURSIVE branch (row, parent, distance) AS (
  SELECT row, parent, 0 FROM messages WHERE row = :head
  UNION ALL
  SELECT messages.row, messages.parent, distance + 1 FROM branch JOIN messages ON messages.row = branch.parent
)
SELECT messages.row, messages.id FROM branch JOIN messages ON messages.row = branch.row
WHERE messages.status <> 'streaming' ORDER BY distance DESC
"""

_COPY = """
INSERT INTO messages
  (row, block_id, id, parent, role, fingerprint, origin, status, created_at, updated_at, text, body)
SELECT :row, :block_id, id, :parent, role, fingerprint, origin, status, created_at, updated_at, text, body
FROM messages AS source WHERE source.row = :source
"""


def to_branches(rows: Sequence[Row]) -> Sequence[Sequence[Branch]]:
    """What the rows of ALTERNATIVES say, without the places where there is nothing to choose."""
    places = [list(place) for _, place in groupby(rows, key=lambda row: row[0])]
    return [[_branch(*row) for row in place] for place in places if len(place) > 1]


def _branch(active_row: int, row: int, message_id: str, role: Role, text: str, created_at: str) -> Branch:
    words = " ".join(text.split())
    preview = words if len(words) <= PREVIEW_LENGTH else words[: PREVIEW_LENGTH - 1].rstrip() + "…"
    return Branch(str(row), message_id, role, row == active_row, preview, created_at)


def read_handle(branch: str) -> int | None:
    return int(branch) if re.fullmatch("[0-9]{1,18}", branch) else None


async def read_branch(connection: Connection, head: int | None, until: str | None) -> Sequence[int]:
    """The rows from the root to `head`, without an answer in flight, or to the message with the id `until`; none where
    that is not among them.
    """
    rows: list[int] = []
    for row, message_id in await connection.execute_fetchall(_BRANCH, {"head": head}):
        rows.append(row)
        if message_id == until:
            return rows
    return rows if until is None else ()


async def copy_messages(connection: Connection, sources: Sequence[int], block_id: str, first: int) -> None:
    """Copy messages into another conversation, where each follows the one before, as the rows from `first` on."""
    await connection.executemany(
        _COPY,
        [
            {"row": row, "source": source, "parent": row - 1 if row > first else None, "block_id": block_id}
            for row, source in enumerate(sources, first)
        ],
    )
