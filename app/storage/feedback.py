"""Feedback on answers: `core.feedback.FeedbackStore` over SQLite. It goes with its conversation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from app.core.errors import InvalidRequest, NotFound
from app.core.feedback import Feedback, RatedAnswer
from app.core.times import written
from app.storage.database import Database
from app.storage.drafts import storable

_ROLES = """
SELECT role FROM messages
WHERE block_id = :block_id AND id = :message_id AND status <> 'streaming'
  AND EXISTS (SELECT 1 FROM conversations WHERE conversations.block_id = messages.block_id AND head IS NOT NULL)
"""

_PUT = """
INSERT INTO feedback (block_id, message_id, rating, comment, rated_at)
VALUES (:block_id, :message_id, :rating, :comment, :now)
ON CONFLICT (block_id, message_id) DO UPDATE SET
  rating = excluded.rating, comment = excluded.comment, rated_at = excluded.rated_at
"""

_SINCE = """
SELECT feedback.block_id, message_id, rating, comment, rated_at, json_extract(body, '$.metadata.model'),
  json_extract(body, '$.metadata.preset')
FROM feedback JOIN conversations ON conversations.block_id = feedback.block_id AND head IS NOT NULL
LEFT JOIN messages ON messages.row = (
  SELECT max(row) FROM messages WHERE messages.block_id = feedback.block_id AND id = message_id
)
WHERE rated_at > :moment ORDER BY rated_at LIMIT :limit
"""


class SqliteFeedbackStore:
    """Implements `core.feedback.FeedbackStore`."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def put(self, block_id: str, message_id: str, feedback: Feedback) -> None:
        values: dict[str, Any] = {
            "block_id": block_id,
            "message_id": message_id,
            "rating": feedback.rating,
            "comment": None if feedback.comment is None else storable(feedback.comment),
            "now": written(self._now()),
        }

        def put(connection: Connection) -> None:
            roles = {role for (role,) in connection.execute(_ROLES, values)}
            if not roles:
                raise NotFound("This conversation has no message with that id.")
            if "assistant" not in roles:
                raise InvalidRequest("Only answers can be rated.", param="messageId")
            connection.execute(_PUT, values)

        await self._database.write(put)

    async def remove(self, block_id: str, message_id: str) -> bool:
        """As the port says. What was said is then not in the file any more, either."""

        def remove(connection: Connection) -> bool:
            sql = "DELETE FROM feedback WHERE block_id = :block_id AND message_id = :message_id RETURNING rating"
            return bool(connection.execute(sql, {"block_id": block_id, "message_id": message_id}).fetchall())

        was_there = await self._database.write(remove)
        await self._database.checkpoint()
        return was_there

    async def of(self, block_id: str) -> Mapping[str, Feedback]:
        sql = "SELECT message_id, rating, comment FROM feedback WHERE block_id = :block_id"
        rows = await self._database.read(sql, {"block_id": block_id})
        return {message_id: Feedback(rating, comment) for message_id, rating, comment in rows}

    async def since(self, moment: str, limit: int) -> Sequence[RatedAnswer]:
        rows = await self._database.read(_SINCE, {"moment": moment, "limit": limit})
        return [
            RatedAnswer(block_id, message_id, Feedback(rating, comment), rated_at, _text(model), _text(preset))
            for block_id, message_id, rating, comment, rated_at, model, preset in rows
        ]


def _text(value: object) -> str | None:
    """A client's own metadata may hold anything."""
    return value if isinstance(value, str) else None
