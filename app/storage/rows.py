"""One conversation as rows: the block it belongs to and the outline of its tree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any

from app.core.conversations import AnswerStatus
from app.core.errors import NotFound
from app.storage.database import Row
from app.storage.drafts import Draft, storable
from app.storage.tree import Node, Tree

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


def read_block(connection: Connection, block_id: str) -> Block | None:
    for row in connection.execute(
        "SELECT created_at, updated_at, head, version, automatic_title, metadata FROM conversations"
        " WHERE block_id = :block_id",
        {"block_id": block_id},
    ):
        created_at, updated_at, head, version, automatic_title, metadata = row
        return Block(block_id, created_at, updated_at, head, version, automatic_title, json.loads(metadata))
    return None


def read_conversation(connection: Connection, block_id: str) -> Block:
    """Raises NotFound where there is none, or metadata only."""
    block = read_block(connection, block_id)
    if block is None or block.head is None:
        raise NotFound("There is no such conversation.")
    return block


def write_block(connection: Connection, block: Block) -> None:
    connection.execute(
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


_OUTLINE = "SELECT row, id, parent, role, fingerprint, origin, status FROM messages WHERE block_id = :block_id"

_OF_ONE_ANSWER = f"{_OUTLINE} AND id = :answer UNION {_OUTLINE} AND id = :parent UNION {_OUTLINE} AND row = :head"


def read_tree(connection: Connection, block: Block) -> Tree:
    rows = connection.execute(f"{_OUTLINE} ORDER BY row", {"block_id": block.block_id})
    return Tree(map(_node, rows), block.head, read_next_row(connection))


def read_tree_for_answer(connection: Connection, block: Block, answer_id: str, parent_id: str | None) -> Tree:
    """As much of the tree as says where an answer goes: a row or two, where it is written already or goes behind the
    end, and otherwise the whole.
    """
    values = {"block_id": block.block_id, "answer": answer_id, "parent": parent_id, "head": block.head}
    nodes = [_node(row) for row in connection.execute(_OF_ONE_ANSWER, values)]
    written = sum(node.id == answer_id for node in nodes)
    at_end = {node.row for node in nodes if node.id == parent_id} == {block.head}
    if written == 1 or (written == 0 and at_end):
        return Tree(nodes, block.head, read_next_row(connection))
    return read_tree(connection, block)


def _node(row: Row) -> Node:
    number, message_id, parent, role, fingerprint, origin, status = row
    return Node(number, message_id, parent, role, fingerprint, ours=origin == "server", status=status)


def read_next_row(connection: Connection) -> int:
    ((row,),) = connection.execute("SELECT coalesce(max(row), 0) + 1 FROM messages")
    return int(row)


def write_tree(connection: Connection, block_id: str, tree: Tree, now: str) -> None:
    """Write what was added to the tree and what was hung elsewhere in it."""
    if not tree.added:
        return
    connection.executemany(
        """
        INSERT INTO messages
          (row, block_id, id, parent, role, fingerprint, origin, status, created_at, updated_at, text, body)
        VALUES
          (:row, :block_id, :id, :parent, :role, :fingerprint, :origin, :status, :now, :now, :text, :body)
        """,
        [
            {
                **_content(node.draft),
                "row": node.row,
                "block_id": block_id,
                "id": node.id,
                "parent": node.parent,
                "origin": "server" if node.ours else "client",
                "status": node.status,
                "now": now,
            }
            for node in tree.added
            if node.draft is not None
        ],
    )
    connection.executemany(
        """
        UPDATE messages SET (role, fingerprint, origin, status, text, body) = (
          SELECT role, fingerprint, origin, status, text, body FROM messages AS source WHERE source.row = :source
        ) WHERE row = :row
        """,
        [{"row": node.row, "source": node.source} for node in tree.added if node.source is not None],
    )
    connection.executemany(
        "UPDATE messages SET parent = :parent WHERE row = :row",
        [{"row": row, "parent": parent} for row, parent in tree.moved.items()],
    )


def write_answer(connection: Connection, row: int, draft: Draft, status: AnswerStatus, now: str) -> None:
    """Put an answer of ours in the place of what stands in `row`."""
    connection.execute(
        "UPDATE messages SET role = :role, fingerprint = :fingerprint, origin = 'server', status = :status,"
        " updated_at = :now, text = :text, body = :body WHERE row = :row",
        {**_content(draft), "row": row, "status": status, "now": now},
    )


def _content(draft: Draft) -> dict[str, Any]:
    return {"role": draft.role, "fingerprint": draft.fingerprint, "text": draft.text, "body": draft.body}


def title_of(drafts: Sequence[Draft]) -> str:
    """The beginning of the first thing that the user says, cut at the end of a word."""
    words = next((draft.text for draft in drafts if draft.role == "user" and draft.text.strip()), "")
    title = " ".join(words.split())
    if len(title) <= TITLE_LENGTH:
        return title
    whole_words, _, _ = title[:TITLE_LENGTH].rpartition(" ")
    return (whole_words or title[: TITLE_LENGTH - 1]) + "…"
