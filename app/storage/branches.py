"""The branches of a conversation beside the active one: listed, chosen, copied into a conversation of their own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from sqlite3 import Connection

from app.core.conversations import Branch
from app.core.messages import Role
from app.storage.active import ACTIVE
from app.storage.database import Row

_CHOICES = """
SELECT active.row, sibling.row, sibling.id, sibling.role, substr(sibling.text, 1, 160), sibling.created_at
FROM active CROSS JOIN messages AS sibling -- which is looked up for each, not the other way round
  ON sibling.parent IS active.parent AND sibling.block_id = :block_id
WHERE active.status <> 'streaming' AND sibling.status <> 'streaming'
ORDER BY distance DESC, sibling.row
"""

ALTERNATIVES = ACTIVE + _CHOICES
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


def read_branch(connection: Connection, head: int | None, until: str | None) -> Sequence[int]:
    """The rows from the root to `head`, without an answer in flight, or to the message with the id `until`; none where
    that is not among them.
    """
    rows: list[int] = []
    for row, message_id in connection.execute(_BRANCH, {"head": head}):
        rows.append(row)
        if message_id == until:
            return rows
    return rows if until is None else ()


def copy_messages(connection: Connection, sources: Sequence[int], block_id: str, first: int) -> None:
    """Copy messages into another conversation, where each follows the one before, as the rows from `first` on."""
    connection.executemany(
        _COPY,
        [
            {"row": row, "source": source, "parent": row - 1 if row > first else None, "block_id": block_id}
            for row, source in enumerate(sources, first)
        ],
    )
