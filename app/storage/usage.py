"""What model calls have used: `core.usage.UsageLedger` over SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from app.core.events import Usage
from app.core.usage import FirstToken, UsageEntry, UsageReport, UsageTotal
from app.storage.database import Database, Row
from app.storage.drafts import storable

_MOST_CONVERSATIONS = 1_000

# A conversation that has been deleted while the call was made is not named again.
_ADD = """
INSERT INTO usage
  (at, block_id, message_id, preset, provider, model, purpose, input_tokens, output_tokens, reasoning_tokens,
   cache_read_tokens, cache_write_tokens, cost_usd, gateway_key, first_token)
SELECT :at, block_id, iif(block_id IS NULL, NULL, :message_id), :preset, :provider, :model, :purpose, :input_tokens,
  :output_tokens, :reasoning_tokens, :cache_read_tokens, :cache_write_tokens, :cost_usd, :gateway_key, :first_token
FROM (SELECT (SELECT block_id FROM conversations WHERE block_id = :block_id) AS block_id)
"""

_FIRST_TOKENS = """
SELECT at, preset, model, first_token FROM (
  SELECT * FROM usage WHERE at >= :since AND first_token IS NOT NULL ORDER BY at DESC LIMIT 1000
) ORDER BY at
"""

_TOTALS = """
SELECT {name} AS name, count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), sum(reasoning_tokens),
  sum(cache_read_tokens), sum(cache_write_tokens), coalesce(sum(cost_usd), 0.0) AS cost, count(*) - count(cost_usd)
FROM usage
WHERE at >= :since AND at < :until
"""

_GROUPED = _TOTALS + "GROUP BY name ORDER BY {order} LIMIT {limit}"

_DEAREST = "cost DESC, sum(input_tokens + output_tokens) DESC, name"


class SqliteUsageLedger:
    """Implements `core.usage.UsageLedger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, entry: UsageEntry) -> None:
        usage = entry.usage
        values: dict[str, Any] = {
            "at": entry.at,
            "block_id": entry.block_id,
            "message_id": entry.message_id,
            "preset": storable(entry.preset),
            "provider": entry.provider,
            "model": storable(entry.model),
            "purpose": entry.purpose,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "cost_usd": entry.cost_usd,
            "gateway_key": entry.gateway_key,
            "first_token": entry.first_token,
        }

        def add(connection: Connection) -> None:
            connection.execute(_ADD, values)

        await self._database.write(add)

    async def first_tokens(self, since: str) -> Sequence[FirstToken]:
        return [FirstToken(*row) for row in await self._database.read(_FIRST_TOKENS, {"since": since})]

    async def report(self, since: str | None = None, until: str | None = None) -> UsageReport:
        # Everything that happens on a day sorts behind the day and before the day with a `~`.
        days = {"since": since or "", "until": f"{until or ''}~"}
        return UsageReport(
            total=await self._total(days),
            conversations=await self._totals("block_id", days, limit=_MOST_CONVERSATIONS),
            presets=await self._totals("preset", days),
            models=await self._totals("provider || '/' || model", days),
            days=await self._totals("substr(at, 1, 10)", days, order="name"),
            preset_days=await self._totals("substr(at, 1, 10) || ' ' || preset", days, order="name"),
            model_days=await self._totals("substr(at, 1, 10) || ' ' || provider || '/' || model", days, order="name"),
            purposes=await self._totals("purpose", days),
        )

    async def _total(self, days: dict[str, str]) -> UsageTotal:
        [row] = await self._database.read(_TOTALS.format(name="NULL"), days)
        return _to_total(row)

    async def _totals(
        self, name: str, days: dict[str, str], *, order: str = _DEAREST, limit: int = -1
    ) -> Sequence[UsageTotal]:
        sql = _GROUPED.format(name=name, order=order, limit=limit)
        return [_to_total(row) for row in await self._database.read(sql, days)]


def _to_total(row: Row) -> UsageTotal:
    name, calls, *tokens, cost, unpriced = row
    return UsageTotal(name, calls, Usage(*tokens), cost, unpriced)
