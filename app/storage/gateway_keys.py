"""Keys of the gateway: `core.gateway_keys.GatewayKeyStore` over SQLite. Of a key its digest alone is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from app.core.gateway_keys import GatewayKey, KeyUsage, Reservation
from app.storage.database import Database
from app.storage.drafts import storable

_ADD = """
INSERT INTO gateway_keys (id, digest, name, ending, created_at, presets, requests_per_minute, spend_limit)
VALUES (:id, :digest, :name, :ending, :created_at, :presets, :requests_per_minute, :spend_limit)
"""

_COLUMNS = "id, name, ending, created_at, presets, requests_per_minute, spend_limit"
_FIND = f"SELECT {_COLUMNS} FROM gateway_keys WHERE digest = :digest"  # noqa: S608 - the columns are ours

# Asked before every call of a key with a limit: the index has all that it reads.
_SPENT = "SELECT coalesce(sum(cost_usd), 0.0) FROM usage WHERE gateway_key = :id AND at >= :month"

_ALL = f"""
SELECT {_COLUMNS}, count(at), coalesce(sum(iif(at >= :month, cost_usd, 0)), 0.0), max(at)
FROM gateway_keys LEFT JOIN usage ON gateway_key = id
GROUP BY id ORDER BY created_at, id
"""  # noqa: S608 - the columns are ours

# One statement in a transaction that writes: of several processes that try it at once, each sees what the others hold.
_RESERVE = f"""
INSERT INTO gateway_reservations (id, gateway_key, dollars, until)
SELECT :reservation, :id, :dollars, :until
FROM (SELECT ({_SPENT}) AS spent),
  (SELECT coalesce(sum(dollars), 0.0) AS held FROM gateway_reservations WHERE gateway_key = :id)
WHERE spent < :limit AND (held = 0 OR spent + held + :dollars <= :limit)
RETURNING id
"""  # noqa: S608 - our own statement


class SqliteGatewayKeys:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: GatewayKey, digest: bytes) -> None:
        values: dict[str, Any] = {
            "id": key.id,
            "digest": digest,
            "name": storable(key.name),
            "ending": key.ending,
            "created_at": key.created_at,
            "presets": json.dumps(key.presets),
            "requests_per_minute": key.requests_per_minute,
            "spend_limit": key.spend_limit,
        }

        def add(connection: Connection) -> None:
            connection.execute(_ADD, values)

        await self._database.write(add)

    async def find(self, digest: bytes) -> GatewayKey | None:
        rows = await self._database.read(_FIND, {"digest": digest})
        return _key(rows[0]) if rows else None

    async def spent(self, key_id: str, month: str) -> float:
        [(spent,)] = await self._database.read(_SPENT, {"id": key_id, "month": month})
        return float(spent)

    async def has_any(self) -> bool:
        [(found,)] = await self._database.read("SELECT EXISTS (SELECT 1 FROM gateway_keys)", {})
        return bool(found)

    async def all(self, month: str) -> Sequence[KeyUsage]:
        rows = await self._database.read(_ALL, {"month": month})
        return [KeyUsage(_key(row[:-3]), *row[-3:]) for row in rows]

    async def remove(self, key_id: str) -> bool:
        def remove(connection: Connection) -> bool:
            sql = "DELETE FROM gateway_keys WHERE id = :id RETURNING id"
            return bool(connection.execute(sql, {"id": key_id}).fetchall())

        return await self._database.write(remove)

    async def reserve(self, reservation: Reservation, limit: float, month: str, now: str) -> bool:
        values: dict[str, Any] = {
            "reservation": reservation.id,
            "id": reservation.key_id,
            "dollars": reservation.dollars,
            "until": reservation.until,
            "limit": limit,
            "month": month,
        }

        def reserve(connection: Connection) -> bool:
            connection.execute("DELETE FROM gateway_reservations WHERE until <= :now", {"now": now})
            return bool(connection.execute(_RESERVE, values).fetchall())

        return await self._database.write(reserve)

    async def release(self, reservation_id: str) -> None:
        def release(connection: Connection) -> None:
            connection.execute("DELETE FROM gateway_reservations WHERE id = :id", {"id": reservation_id})

        await self._database.write(release)

    async def release_all(self) -> None:
        def release(connection: Connection) -> None:
            connection.execute("DELETE FROM gateway_reservations")

        await self._database.write(release)


def _key(row: Sequence[Any]) -> GatewayKey:
    key_id, name, ending, created_at, presets, per_minute, spend_limit = row
    return GatewayKey(key_id, name, ending, created_at, tuple(json.loads(presets)), per_minute, spend_limit)
