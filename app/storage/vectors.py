"""The vectors of what was said: `core.embeddings.VectorStore` over SQLite, and in memory for the search."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from hashlib import sha256
from sqlite3 import Connection
from typing import Any

from app.core.conversations import ConversationSummary, Match
from app.core.embeddings import Indexed, Passage, Progress, Unindexed, Vector
from app.storage.database import Database, Row
from app.storage.matrix import Matrix, empty_matrix, numpy_problem

MAX_MEMORY = 256 * 1024 * 1024
"""Bytes of vectors in memory; the newest that fit are searched."""
CANDIDATES = 300
"""Vectors that are looked at for one search: several may be of one conversation."""
LEAST_LIKE = 0.2
LEAST_SHARE = 0.8
"""What is found must be so near, and at least this share as near as the nearest."""

_SNIPPET = 160
_AT_ONCE = 32
"""Messages that `unindexed` answers."""
_WINDOW = 2_000
"""Rows that one question for unindexed messages goes through: others want to read too."""
_LOADED_AT_ONCE = 500

_INDEXABLE = """
FROM messages JOIN conversations ON conversations.block_id = messages.block_id
WHERE status <> 'streaming' AND role IN ('user', 'assistant') AND trim(text, char(9, 10, 13, 32)) <> ''
  AND head IS NOT NULL AND json_extract(metadata, '$."ai:store"') IS NOT 0
"""

_HAS_VECTORS = """
EXISTS (
  SELECT 1 FROM passages JOIN vectors ON vectors.number = passages.vector
  WHERE passages.row = messages.row AND vectors.model = :model
)
"""

_UNINDEXED = f"""
SELECT messages.row, text {_INDEXABLE}
  AND messages.row > :after AND messages.row <= :until AND (:block_id IS NULL OR messages.block_id = :block_id)
  AND NOT {_HAS_VECTORS}
ORDER BY messages.row LIMIT {_AT_ONCE}
"""

_PROGRESS = f"SELECT count(*), coalesce(sum({_HAS_VECTORS}), 0) {_INDEXABLE}"

_SAYS = "SELECT 1 FROM messages WHERE row = :row AND text = :text"

_FOUND = """
WITH RECURSIVE hits (number, score) AS MATERIALIZED (
  SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:hits)
),
found AS MATERIALIZED (
  SELECT messages.row, messages.block_id, messages.id, substr(text, start + 1, size) AS passage, score
  FROM hits JOIN passages ON passages.vector = hits.number JOIN messages ON messages.row = passages.row
  JOIN conversations ON conversations.block_id = messages.block_id
  WHERE head IS NOT NULL AND (:archived IS NULL OR archived = :archived)
),
branch (row, block_id, parent, status) AS (
  SELECT messages.row, messages.block_id, messages.parent, messages.status
  FROM conversations JOIN messages ON messages.row = conversations.head
  WHERE conversations.block_id IN (SELECT block_id FROM found)
  UNION ALL
  SELECT messages.row, messages.block_id, messages.parent, messages.status
  FROM branch JOIN messages ON messages.row = branch.parent
),
shown AS MATERIALIZED (SELECT row, block_id, status FROM branch),
counted AS MATERIALIZED (
  SELECT block_id, count(*) AS message_count FROM shown WHERE status <> 'streaming' GROUP BY block_id
)
SELECT conversations.block_id, title, created_at, updated_at, coalesce(message_count, 0), pinned, archived, found.id,
  iif(shown.row IS NULL, found.row, NULL), passage, score
FROM found
JOIN conversations ON conversations.block_id = found.block_id
LEFT JOIN shown ON shown.row = found.row
LEFT JOIN counted ON counted.block_id = found.block_id
ORDER BY score DESC, shown.row IS NULL, updated_at DESC
"""


class SqliteVectors:
    """Implements `core.embeddings.VectorStore`."""

    def __init__(self, database: Database, max_memory: int = MAX_MEMORY) -> None:
        self._database = database
        self._max_memory = max_memory
        self._lock = asyncio.Lock()
        self._matrix: Matrix | None = None
        self._state: tuple[str, int, int, int] = ("", 0, 0, 0)
        """What the matrix was made of: the model, the bytes of a vector, how many there were, the newest."""

    def problem(self) -> str | None:
        return numpy_problem()

    async def unindexed(
        self, model: str, after: int, block_id: str | None = None
    ) -> tuple[Sequence[Unindexed], int | None]:
        """As the port says; in all conversations it looks at some rows only, and may come back with none of them."""
        [(last,)] = await self._database.read("SELECT coalesce(max(row), 0) FROM messages", {})
        until = last if block_id is not None else min(last, after + _WINDOW)
        values = {"model": model, "after": after, "until": until, "block_id": block_id}
        rows = await self._database.read(_UNINDEXED, values)
        messages = [Unindexed(*row) for row in rows]
        if len(messages) == _AT_ONCE:
            return messages, messages[-1].row
        return messages, until if until < last else None

    async def known(self, model: str, texts: Sequence[str]) -> Sequence[Vector | None]:
        hashes = [_hash(text) for text in texts]

        def read(connection: Connection) -> list[Vector | None]:
            one = "SELECT vector FROM vectors WHERE model = :model AND hash = :hash"
            rows = (connection.execute(one, {"model": model, "hash": each}).fetchone() for each in hashes)
            return [row[0] if row is not None else None for row in rows]

        return await self._database.query(read)

    async def put(self, model: str, messages: Sequence[Indexed]) -> None:
        def put(connection: Connection) -> None:
            for message in messages:
                if connection.execute(_SAYS, {"row": message.row, "text": message.text}).fetchone():
                    for passage, vector in message.passages:
                        _put_passage(connection, model, message.row, passage, vector)

        await self._database.write(put)

    async def forget(self, model: str, *, others: bool = False) -> None:
        which = "model <> :model" if others else "model = :model"
        if await self._database.read(f"SELECT 1 FROM vectors WHERE {which} LIMIT 1", {"model": model}):  # noqa: S608

            def forget(connection: Connection) -> None:
                connection.execute(f"DELETE FROM vectors WHERE {which}", {"model": model})  # noqa: S608

            await self._database.write(forget)

    async def progress(self, model: str) -> Progress:
        [(total, done)] = await self._database.read(_PROGRESS, {"model": model})
        return Progress(done, total)

    async def nearest(
        self, model: str, query: Vector, *, archived: bool | None, limit: int
    ) -> Sequence[ConversationSummary]:
        matrix = await self._loaded(model, len(query))
        hits = await asyncio.to_thread(matrix.nearest, query, CANDIDATES)
        rows = await self._database.read(_FOUND, {"hits": json.dumps(hits), "archived": archived})
        found: dict[str, ConversationSummary] = {}
        for row in rows:
            block_id, score = row[0], row[-1]
            if score < max(LEAST_LIKE, LEAST_SHARE * rows[0][-1]):
                break
            found.setdefault(block_id, _summary(row))
        return list(found.values())[:limit]

    async def _loaded(self, model: str, size: int) -> Matrix:
        """The newest vectors of the model as they are in the file now; what is in memory already is not read again."""
        async with self._lock:
            counted = "SELECT count(*), coalesce(max(number), 0) FROM vectors WHERE model = :model"
            [(count, newest)] = await self._database.read(counted, {"model": model})
            state = (model, size, count, newest)
            if self._matrix is not None and state == self._state:
                return self._matrix
            same = self._matrix is not None and self._state[:2] == (model, size)
            matrix = self._matrix if same and self._matrix is not None else await asyncio.to_thread(empty_matrix, size)
            newest_first = "SELECT number FROM vectors WHERE model = :model ORDER BY number DESC LIMIT :limit"
            values = {"model": model, "limit": max(1, self._max_memory // size)}
            numbers = [number for (number,) in await self._database.read(newest_first, values)]
            held = matrix.numbers
            missing = [number for number in numbers if number not in held]
            added = await self._read(missing, size)
            self._matrix = await asyncio.to_thread(matrix.with_rows, numbers, added)
            self._state = state
            return self._matrix

    async def _read(self, numbers: Sequence[int], size: int) -> list[tuple[int, Vector]]:
        """Vectors of another size are of a model that has been replaced under the same name: they match nothing."""
        sql = (
            "SELECT number, vector FROM vectors"
            " WHERE number IN (SELECT value FROM json_each(:numbers)) AND length(vector) = :size"
        )
        found: list[tuple[int, Vector]] = []
        for start in range(0, len(numbers), _LOADED_AT_ONCE):
            some = json.dumps(numbers[start : start + _LOADED_AT_ONCE])
            rows = await self._database.read(sql, {"numbers": some, "size": size})
            found += [(number, vector) for number, vector in rows]
        return found


def _put_passage(connection: Connection, model: str, row: int, passage: Passage, vector: Vector) -> None:
    values: dict[str, Any] = {"model": model, "hash": _hash(passage.text), "vector": vector, "row": row}
    connection.execute(
        "INSERT INTO vectors (model, hash, vector) VALUES (:model, :hash, :vector) ON CONFLICT DO NOTHING", values
    )
    connection.execute(
        "INSERT INTO passages (row, vector, start, size) SELECT :row, number, :start, :size FROM vectors"
        " WHERE model = :model AND hash = :hash ON CONFLICT DO NOTHING",
        {**values, "start": passage.start, "size": len(passage.text)},
    )


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _summary(row: Row) -> ConversationSummary:
    block_id, title, created_at, updated_at, message_count, pinned, archived, message_id, other_row, passage, _ = row
    snippet = " ".join(passage.split())
    if len(snippet) > _SNIPPET:
        snippet = snippet[: _SNIPPET - 1].rstrip() + "…"
    return ConversationSummary(
        block_id,
        title,
        created_at,
        updated_at,
        message_count,
        pinned=bool(pinned),
        archived=bool(archived),
        match=Match(message_id, ((snippet, False),), None if other_row is None else str(other_row)),
    )
