"""Messages that were deleted a moment ago: for a while they can be brought back.

They wait in the trash as a block of their own without a head, which is no conversation for anybody (`storage/trash`).
Its metadata say where they were.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import replace
from sqlite3 import Connection

from app.core.errors import NotFound
from app.storage.rows import Block, read_block, read_conversation, read_tree, write_block

_PLACE = "palaver:removed"
_THESE = "row IN (SELECT value FROM json_each(:rows))"
_NOT_THERE = "message_id NOT IN (SELECT id FROM messages WHERE block_id = :source)"
_MOVE = "UPDATE {table} SET block_id = :target WHERE block_id = :source"


def put_aside(connection: Connection, block_id: str, rows: Sequence[int], parent: int | None, now: str) -> str:
    """Move a message and what is below it, `rows`, out of the conversation. The key to bring them back by."""
    key = f"removed-{secrets.token_hex(12)}"
    root = rows[0]
    place = {"block": block_id, "parent": parent, "root": root}
    write_block(connection, Block(key, now, now, metadata={_PLACE: place}))
    connection.execute("UPDATE conversations SET trashed_at = :now WHERE block_id = :key", {"now": now, "key": key})
    values = {"target": key, "source": block_id, "rows": json.dumps(rows), "root": root}
    connection.execute(f"{_MOVE.format(table='messages')} AND {_THESE}", values)
    connection.execute("UPDATE messages SET parent = NULL WHERE row = :root", values)
    for table in ("tool_calls", "feedback"):
        connection.execute(f"{_MOVE.format(table=table)} AND {_NOT_THERE}", values)
    return key


def bring_back(connection: Connection, block_id: str, key: str) -> Block:
    """Put them where they were, and show them: the block as it is then.

    Raises:
        NotFound: they are gone for good, or what they stood below is.
    """
    aside = read_block(connection, key)
    place = aside.metadata.get(_PLACE) if aside is not None else None
    block = read_conversation(connection, block_id)
    if not isinstance(place, dict) or place.get("block") != block_id or not _is_there(connection, block_id, place):
        raise NotFound("This message cannot be brought back any more.")
    values = {"target": block_id, "source": key, "root": place["root"], "parent": place["parent"]}
    connection.execute(_MOVE.format(table="messages"), values)
    for table in ("tool_calls", "feedback"):
        connection.execute(_MOVE.format(table=f"OR IGNORE {table}"), values)  # what is there by now counts
    connection.execute("UPDATE messages SET parent = :parent WHERE row = :root", values)
    connection.execute("DELETE FROM conversations WHERE block_id = :source", values)
    tree = read_tree(connection, block)
    tree.choose(place["root"])
    block = replace(block, head=tree.head, version=block.version + 1)
    write_block(connection, block)
    return block


def _is_there(connection: Connection, block_id: str, place: dict[str, int | None]) -> bool:
    """Whether what they stood below still is."""
    if place["parent"] is None:
        return True
    sql = "SELECT 1 FROM messages WHERE row = :parent AND block_id = :block_id"
    return bool(connection.execute(sql, {"parent": place["parent"], "block_id": block_id}).fetchall())
