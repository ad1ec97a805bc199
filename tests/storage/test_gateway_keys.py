"""Keys of the gateway on the disk: only their digests, and what they have used."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.core.events import Usage
from app.core.gateway_keys import GatewayKey, Reservation
from app.core.usage import UsageEntry
from app.storage.gateway_keys import _SPENT, SqliteGatewayKeys
from app.storage.usage import SqliteUsageLedger
from tests.storage.messages import Opened

pytestmark = pytest.mark.anyio

KEY = GatewayKey("key_1", "Editor", "abcd", "2026-11-01T10:00:00+00:00", ("small", "claude"), 20, 5.0)
DIGEST = bytes(range(32))
MONTH = "2026-11-01"
NOW = "2026-11-20T12:00:00.000+00:00"


def call(at: str, cost: float | None, key: str | None = "key_1") -> UsageEntry:
    return UsageEntry(at, None, None, "small", "openai", "m", "gateway", Usage(1, 1), cost, key)


async def test_a_key_is_found_by_its_digest_as_it_was_made(opened: Opened) -> None:
    keys = SqliteGatewayKeys((await opened()).database)
    assert not await keys.has_any()
    await keys.add(KEY, DIGEST)
    assert await keys.has_any()
    assert await keys.find(DIGEST) == KEY
    assert await keys.spent(KEY.id, MONTH) == 0.0
    assert await keys.find(bytes(32)) is None


async def test_what_a_key_has_spent_is_that_of_the_month(opened: Opened) -> None:
    database = (await opened()).database
    keys, ledger = SqliteGatewayKeys(database), SqliteUsageLedger(database)
    await keys.add(KEY, DIGEST)
    for entry in (
        call("2026-10-31T23:59:59.000+00:00", 100.0),
        call("2026-11-01T00:00:00.000+00:00", 0.5),
        call("2026-11-20T12:00:00.000+00:00", 0.25),
        call("2026-11-20T12:00:01.000+00:00", None),
        call("2026-11-21T12:00:00.000+00:00", 7.0, None),
    ):
        await ledger.add(entry)
    assert await keys.spent(KEY.id, MONTH) == 0.75
    assert await keys.spent("key_2", MONTH) == 0.0
    [listed] = await keys.all(MONTH)
    assert (listed.calls, listed.spent, listed.last_used_at) == (4, 0.75, "2026-11-20T12:00:01.000+00:00")


async def test_a_removed_key_opens_nothing_and_its_usage_stays(opened: Opened) -> None:
    database = (await opened()).database
    keys, ledger = SqliteGatewayKeys(database), SqliteUsageLedger(database)
    await keys.add(KEY, DIGEST)
    await ledger.add(call("2026-11-20T12:00:00.000+00:00", 0.25))
    assert await keys.remove("key_1")
    assert not await keys.remove("key_1")
    assert await keys.find(DIGEST) is None
    assert (await ledger.report()).total.calls == 1


async def test_the_key_itself_is_nowhere_in_the_file(path: Path, opened: Opened) -> None:
    store = await opened()
    await SqliteGatewayKeys(store.database).add(KEY, DIGEST)
    await store.close()
    assert DIGEST in path.read_bytes()
    assert b"plv_" not in path.read_bytes()


async def test_what_a_key_has_spent_is_added_up_in_the_index_alone(opened: Opened) -> None:
    """It is asked before every call, and a key may have made a hundred thousand."""
    plan = await (await opened()).database.read(
        f"EXPLAIN QUERY PLAN {_SPENT}",
        {"id": "key_1", "month": MONTH},
    )
    assert ["COVERING INDEX usage_gateway_key" in row[-1] for row in plan] == [True]


def held(name: str, dollars: float, until: str = "2026-11-20T12:15:00.000+00:00") -> Reservation:
    return Reservation(name, KEY.id, dollars, until)


async def test_what_is_held_back_counts_as_if_it_was_spent(opened: Opened) -> None:
    keys = SqliteGatewayKeys((await opened()).database)
    assert await keys.reserve(held("one", 3.0), 5.0, MONTH, NOW)
    assert not await keys.reserve(held("two", 3.0), 5.0, MONTH, NOW)
    assert await keys.reserve(held("three", 2.0), 5.0, MONTH, NOW)
    await keys.release("one")
    assert await keys.reserve(held("two", 3.0), 5.0, MONTH, NOW)


async def test_two_processes_hold_back_from_one_limit(opened: Opened) -> None:
    one, two = SqliteGatewayKeys((await opened()).database), SqliteGatewayKeys((await opened()).database)
    tries = [
        keys.reserve(held(name, 2.0), 5.0, MONTH, NOW)
        for keys, name in ((one, "a"), (two, "b"), (one, "c"), (two, "d"))
    ]
    assert sum(await asyncio.gather(*tries)) == 2


async def test_the_only_call_of_a_key_fits_as_long_as_anything_is_left(opened: Opened) -> None:
    database = (await opened()).database
    keys, ledger = SqliteGatewayKeys(database), SqliteUsageLedger(database)
    await ledger.add(call("2026-11-20T11:00:00.000+00:00", 4.99))
    assert await keys.reserve(held("one", 3.0), 5.0, MONTH, NOW)
    await keys.release("one")
    await ledger.add(call("2026-11-20T11:30:00.000+00:00", 0.01))
    assert not await keys.reserve(held("two", 0.1), 5.0, MONTH, NOW)


async def test_what_a_killed_process_has_held_goes_by_itself(opened: Opened) -> None:
    keys = SqliteGatewayKeys((await opened()).database)
    assert await keys.reserve(held("one", 5.0), 5.0, MONTH, NOW)
    assert not await keys.reserve(held("two", 1.0), 5.0, MONTH, "2026-11-20T12:14:59.999+00:00")
    assert await keys.reserve(held("two", 1.0), 5.0, MONTH, "2026-11-20T12:15:00.000+00:00")
    await keys.release_all()
    assert await keys.reserve(held("three", 5.0), 5.0, MONTH, NOW)
