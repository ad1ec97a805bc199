"""One conversation as rows: the block it belongs to, the outline of its tree, its active branch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiosqlite import Connection

from app.core.errors import NotFound
from app.core.messages import UIMessage
from app.core.ports import AnswerStatus, Conversation
from app.storage.database import Row
from app.storage.tree import Draft, Node, Tree

TITLE_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Block:
    """A row of `conversations`. Without a head there is metadata only, and no conversation."""

    block_id: str
    created_at: str
    updated_at: str
    head: int | None = None
    version: int = 0
    automatic_title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        title = self.metadata.get("title")
        return title if isinstance(title, str) and title.strip() else self.automatic_title

    @property
    def pinned(self) -> bool:
        return self.metadata.get("pinned") is True

    @property
    def archived(self) -> bool:
        return self.metadata.get("archived") is True


async def read_block(connection: Connection, block_id: str) -> Block | None:
    for row in await connection.execute_fetchall(
        "SELECT created_at, updated_at, head, version, automatic_title, metadata FROM conversations"
        " WHERE block_id = :block_id",
        {"block_id": block_id},
    ):
        created_at, updated_at, head, version, automatic_title, metadata = row
        return Block(block_id, created_at, updated_at, head, version, automatic_title, json.loads(metadata))
    return None


async def read_conversation(connection: Connection, block_id: str) -> Block:
    """Raises NotFound where there is none, or metadata only."""
    block = await read_block(connection, block_id)
    if block is None or block.head is None:
        raise NotFound("There is no such conversation.")
    return block


async def write_block(connection: Connection, block: Block) -> None:
    await connection.execute_fetchall(
        """
        INSERT INTO conversations
          (block_id, head, version, title, automatic_title, pinned, archived, metadata, created_at, updated_at, number)
        VALUES
          (:block_id, :head, :version, :title, :automatic_title, :pinned, :archived, :metadata, :created_at,
           :updated_at, (SELECT coalesce(min(number), 0) - 1 FROM conversations))
        ON CONFLICT (block_id) DO UPDATE SET
          head = excluded.head, version = excluded.version, title = excluded.title,
          automatic_title = excluded.automatic_title, pinned = excluded.pinned, archived = excluded.archived,
          metadata = excluded.metadata, created_at = excluded.created_at, updated_at = excluded.updated_at
        """,
        {
            "block_id": block.block_id,
            "head": block.head,
            "version": block.version,
            "title": storable(block.title),
            "automatic_title": block.automatic_title,
            "pinned": block.pinned,
            "archived": block.archived,
            "metadata": json.dumps(block.metadata),
            "created_at": block.created_at,
            "updated_at": block.updated_at,
        },
    )


async def read_tree(connection: Connection, block: Block) -> Tree:
    rows = await connection.execute_fetchall(
        "SELECT row, id, parent, role, fingerprint, origin, status FROM messages"
        " WHERE block_id = :block_id ORDER BY row",
        {"block_id": block.block_id},
    )
    nodes = (
        Node(row, message_id, parent, role, fingerprint, ours=origin == "server", status=status)
        for row, message_id, parent, role, fingerprint, origin, status in rows
    )
    return Tree(nodes, block.head, await read_next_row(connection))


async def read_next_row(connection: Connection) -> int:
    [(row,)] = await connection.execute_fetchall("SELECT coalesce(max(row), 0) + 1 FROM messages")
    return int(row)


async def write_tree(connection: Connection, block_id: str, tree: Tree, now: str) -> None:
    """Write what was added to the tree and what was hung elsewhere in it."""
    await connection.executemany(
        """
        INSERT INTO messages
          (row, block_id, id, parent, role, fingerprint, origin, status, created_at, updated_at, text, body)
        VALUES
          (:row, :block_id, :id, :parent, :role, :fingerprint, 'client', 'complete', :now, :now, :text, :body)
        """,
        [
            {
                **_content(node.draft),
                "row": node.row,
                "block_id": block_id,
                "id": node.id,
                "parent": node.parent,
                "now": now,
            }
            for node in tree.added
            if node.draft is not None
        ],
    )
    await connection.executemany(
        """
        UPDATE messages SET (role, fingerprint, origin, status, text, body) = (
          SELECT role, fingerprint, origin, status, text, body FROM messages AS source WHERE source.row = :source
        ) WHERE row = :row
        """,
        [{"row": node.row, "source": node.source} for node in tree.added if node.source is not None],
    )
    await connection.executemany(
        "UPDATE messages SET parent = :parent WHERE row = :row",
        [{"row": row, "parent": parent} for row, parent in tree.moved.items()],
    )


async def write_answer(connection: Connection, row: int, draft: Draft, status: AnswerStatus, now: str) -> None:
    """Put an answer of ours in the place of what stands in `row`."""
    await connection.execute_fetchall(
        "UPDATE messages SET role = :role, fingerprint = :fingerprint, origin = 'server', status = :status,"
        " updated_at = :now, text = :text, body = :body WHERE row = :row",
        {**_content(draft), "row": row, "status": status, "now": now},
    )


def _content(draft: Draft) -> dict[str, Any]:
    return {"role": draft.role, "fingerprint": draft.fingerprint, "text": draft.text, "body": draft.body}


LOAD = """
WITH RECURSIVE branch (row, parent, distance) AS (
  SELECT messages.row, messages.parent, 0
  FROM conversations JOIN messages ON messages.row = conversations.head
  WHERE conversations.block_id = :block_id
  UNION ALL
  SELECT messages.row, messages.parent, distance + 1 FROM branch JOIN messages ON messages.row = branch.parent
)
SELECT conversations.title, conversations.created_at, conversations.updated_at, conversations.version, messages.body
FROM conversations
LEFT JOIN (branch JOIN messages ON messages.row = branch.row AND messages.status <> 'streaming')
WHERE conversations.block_id = :block_id AND conversations.head IS NOT NULL
ORDER BY distance DESC
"""
"""The active branch from the root on, each message with the columns of its conversation; at least one row."""


def to_conversation(block_id: str, rows: Sequence[Row]) -> Conversation | None:
    """What the rows of LOAD say."""
    if not rows:
        return None
    title, created_at, updated_at, version, _ = rows[0]
    messages = tuple(UIMessage.model_validate_json(row[4]) for row in rows if row[4] is not None)
    return Conversation(block_id, title, messages, created_at, updated_at, version)


def to_draft(message: UIMessage) -> Draft:
    wire = message.to_wire()
    canonical = json.dumps(wire, sort_keys=True).encode()
    return Draft(
        id=message.id,
        role=message.role,
        body=storable(json.dumps(wire, ensure_ascii=False, separators=(",", ":"))),
        text=storable(message.text),
        fingerprint=hashlib.blake2b(canonical, digest_size=16).digest(),
    )


def storable(text: str) -> str:
    """The text as UTF-8 can hold it: halves of characters are joined, or replaced where the other half is missing."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def title_of(drafts: Sequence[Draft]) -> str:
    """The beginning of the first thing that the user says, cut at the end of a word."""
    words = next((draft.text for draft in drafts if draft.role == "user" and draft.text.strip()), "")
    title = " ".join(words.split())
    if len(title) <= TITLE_LENGTH:
        return title
    whole_words, _, _ = title[:TITLE_LENGTH].rpartition(" ")
    return (whole_words or title[: TITLE_LENGTH - 1]) + "…"
