"""Conversations that were deleted a moment ago: nobody sees them, and for a while they can be brought back.

A conversation in the trash keeps its row and its messages, but its head stands aside. A block without a head is no
conversation: not for `load`, not for the list, not for the search.
"""

from __future__ import annotations

from sqlite3 import Connection

from app.storage.references import named_files


def put_in_trash(connection: Connection, block_id: str, now: str) -> bool:
    """False where there is no such conversation."""
    moved = connection.execute(
        "UPDATE conversations SET trashed_head = head, head = NULL, trashed_at = :now"
        " WHERE block_id = :block_id AND head IS NOT NULL RETURNING block_id",
        {"block_id": block_id, "now": now},
    ).fetchall()
    return bool(list(moved))


def take_from_trash(connection: Connection, block_id: str) -> bool:
    """False where it is not there: it was deleted for good, or a new conversation has taken its place."""
    moved = connection.execute(
        "UPDATE conversations SET head = trashed_head, trashed_head = NULL, trashed_at = NULL"
        " WHERE block_id = :block_id AND trashed_head IS NOT NULL RETURNING block_id",
        {"block_id": block_id},
    ).fetchall()
    return bool(list(moved))


def clear_place(connection: Connection, block_id: str) -> None:
    """Whoever writes to the id of a deleted conversation begins a new one."""
    connection.execute(
        "DELETE FROM conversations WHERE block_id = :block_id AND trashed_at IS NOT NULL", {"block_id": block_id}
    )


def empty_trash(connection: Connection, before: str) -> frozenset[str] | None:
    """Delete for good what was put there before that time; the files that it named, or None if there was nothing."""
    old = {"before": before}
    bodies = connection.execute(
        "SELECT body FROM messages WHERE block_id IN (SELECT block_id FROM conversations WHERE trashed_at < :before)"
        " AND instr(body, '/files/') > 0",
        old,
    ).fetchall()
    named = named_files(body for (body,) in bodies)
    gone = connection.execute("DELETE FROM conversations WHERE trashed_at < :before RETURNING block_id", old).fetchall()
    return named if gone else None
