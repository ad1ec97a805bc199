"""The usage ledger: sums, days, and what is left of a conversation that was deleted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.core.events import Usage
from app.core.usage import FirstToken, UsageEntry, UsageTotal
from app.storage.sqlite import SqliteStore
from app.storage.usage import SqliteUsageLedger
from tests.storage.messages import connect, user

pytestmark = pytest.mark.anyio

ENTRY = UsageEntry(
    at="2026-11-21T12:00:00.000+00:00",
    block_id="b",
    message_id="answer-1",
    preset="claude",
    provider="anthropic",
    model="sonnet",
    purpose="chat",
    usage=Usage(100, 10),
    cost_usd=0.5,
)


@pytest.fixture
async def ledger(store: SqliteStore) -> SqliteUsageLedger:
    for block_id in ("b", "c"):
        await store.save(block_id, [user("u1")], placement="merge")
    return SqliteUsageLedger(store.database)


def named(totals: list[UsageTotal]) -> list[tuple[str | None, int]]:
    return [(total.name, total.calls) for total in totals]


async def test_without_calls_everything_is_nothing(ledger: SqliteUsageLedger) -> None:
    report = await ledger.report()
    assert report.total == UsageTotal(None, 0, Usage(), 0.0, 0)
    assert report.conversations == report.presets == report.models == report.days == report.purposes == []


async def test_calls_add_up_in_every_way(ledger: SqliteUsageLedger) -> None:
    await ledger.add(ENTRY)
    await ledger.add(replace(ENTRY, usage=Usage(1, 2, 3, 4, 5), at="2026-11-22T00:00:00.000+00:00"))
    await ledger.add(replace(ENTRY, block_id="c", preset="cheap", model="haiku", purpose="title", cost_usd=None))
    report = await ledger.report()
    assert report.total == UsageTotal(None, 3, Usage(201, 22, 3, 4, 5), 1.0, 1)
    assert named(report.conversations) == [("b", 2), ("c", 1)]
    assert named(report.presets) == [("claude", 2), ("cheap", 1)]
    assert named(report.models) == [("anthropic/sonnet", 2), ("anthropic/haiku", 1)]
    assert named(report.days) == [("2026-11-21", 2), ("2026-11-22", 1)]
    assert named(report.purposes) == [("chat", 2), ("title", 1)]
    assert report.conversations[1] == UsageTotal("c", 1, Usage(100, 10), 0.0, 1)


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        (None, None, ["2026-11-20", "2026-11-21", "2026-11-22"]),
        ("2026-11-21", None, ["2026-11-21", "2026-11-22"]),
        (None, "2026-11-21", ["2026-11-20", "2026-11-21"]),
        ("2026-11-21", "2026-11-21", ["2026-11-21"]),
        ("2026-11-22", "2026-11-20", []),
    ],
)
async def test_a_period_has_its_first_and_its_last_day(
    ledger: SqliteUsageLedger, since: str | None, until: str | None, days: list[str]
) -> None:
    for at in ("2026-11-20T23:59:59.999", "2026-11-21T00:00:00.000", "2026-11-21T23:59:59.999", "2026-11-22T00:00:00"):
        await ledger.add(replace(ENTRY, at=f"{at}+00:00"))
    report = await ledger.report(since, until)
    assert [total.name for total in report.days] == days
    assert report.total.calls == sum(total.calls for total in report.days)


async def test_the_dearest_come_first(ledger: SqliteUsageLedger) -> None:
    for preset, cost, tokens in (("a", None, 10), ("b", 0.1, 1), ("c", 0.2, 1), ("d", None, 20)):
        await ledger.add(replace(ENTRY, preset=preset, cost_usd=cost, usage=Usage(tokens, 0)))
    assert [total.name for total in (await ledger.report()).presets] == ["c", "b", "d", "a"]


async def test_a_deleted_conversation_leaves_its_figures_and_nothing_that_names_it(
    ledger: SqliteUsageLedger, store: SqliteStore, path: Path
) -> None:
    await ledger.add(replace(ENTRY, block_id="c", message_id="another"))
    await ledger.add(ENTRY)
    await store.delete("b")
    report = await ledger.report()
    assert report.total.calls == 2
    assert sorted(named(report.conversations), key=str) == [("c", 1), (None, 1)]
    await store.close()
    assert b"answer-1" not in path.read_bytes()
    assert b"another" in path.read_bytes()


async def test_a_call_that_ends_after_its_conversation_was_deleted_does_not_name_it(
    ledger: SqliteUsageLedger, store: SqliteStore, path: Path
) -> None:
    await store.delete("b")
    await ledger.add(ENTRY)
    assert named((await ledger.report()).conversations) == [(None, 1)]
    with connect(path) as file:
        assert file.execute("SELECT block_id, message_id FROM usage").fetchall() == [(None, None)]
    file.close()


async def test_a_temporary_chat_is_counted_without_a_name(ledger: SqliteUsageLedger) -> None:
    await ledger.add(replace(ENTRY, block_id=None, message_id=None))
    assert named((await ledger.report()).conversations) == [(None, 1)]


async def test_half_a_character_in_a_name_does_no_harm(ledger: SqliteUsageLedger) -> None:
    await ledger.add(replace(ENTRY, model="m\ud83c"))
    assert named((await ledger.report()).models) == [("anthropic/m\ufffd", 1)]


async def test_how_long_first_tokens_took_of_routed_calls_alone(ledger: SqliteUsageLedger) -> None:
    for day, seconds in ((23, 0.5), (21, 9.0), (24, None), (22, 2.0)):
        await ledger.add(replace(ENTRY, at=f"2026-11-{day}T00:00:00.000+00:00", first_token=seconds))
    assert await ledger.first_tokens("2026-11-22T00:00:00.000+00:00") == [
        FirstToken("2026-11-22T00:00:00.000+00:00", "claude", "sonnet", 2.0),
        FirstToken("2026-11-23T00:00:00.000+00:00", "claude", "sonnet", 0.5),
    ]
