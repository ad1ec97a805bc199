"""What a turn cost: in the ledger, call by call, and in the metadata of its message, as a sum."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from app.chat.usage import UsageBook, cost_of
from app.core.errors import StorageUnavailable
from app.core.events import Usage
from app.core.model import Preset, Prices

pytestmark = pytest.mark.anyio

PRICES = Prices(input=2, output=10, cache_read=0.2, cache_write=2.5, cache_write_1h=4)
CLAUDE = Preset("claude", "anthropic")


class Ledger:
    """Keeps entries, or fails."""

    def __init__(self, error=None):
        self.entries = []
        self.error = error

    async def add(self, entry):
        if self.error is not None:
            raise self.error
        self.entries.append(entry)


def account(ledger, prices=PRICES, **more):
    book = UsageBook(ledger, lambda *_: prices, lambda: datetime(2026, 11, 21, 12, tzinfo=UTC))
    return book.account(**{"block_id": "b", "preset": CLAUDE, "model": "sonnet", "message_id": "m", **more})


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(), 0),
        (Usage(1_000_000, 1_000_000), 12),
        (Usage(1_000_000, 0, cache_read_tokens=900_000), 0.1 * 2 + 0.9 * 0.2),
        (Usage(1_000_000, 0, cache_write_tokens=900_000), 0.1 * 2 + 0.9 * 2.5),
        (Usage(1_000_000, 0, cache_read_tokens=500_000, cache_write_tokens=500_000), 0.5 * 0.2 + 0.5 * 2.5),
        (Usage(0, 1_000_000, reasoning_tokens=900_000), 10),
    ],
)
def test_a_call_costs_what_its_tokens_cost(usage, dollars):
    assert cost_of(usage, PRICES) == pytest.approx(dollars)


def test_searches_cost_apart_from_tokens_where_their_price_is_known():
    searched = Usage(searches=3)
    assert cost_of(searched + Usage(searches=2), Prices(1, 2, search=10)) == pytest.approx(0.05)
    assert cost_of(searched, Prices(1, 2)) == 0


def test_what_is_kept_for_an_hour_has_a_price_of_its_own():
    written = Usage(1_000_000, 0, cache_write_tokens=1_000_000)
    assert cost_of(written, PRICES, "1h") == pytest.approx(4)
    assert cost_of(written, Prices(2, 10, cache_write=2.5), "1h") == pytest.approx(2.5)


def test_without_a_price_of_its_own_the_cache_costs_what_input_costs():
    usage = Usage(1_000_000, 0, cache_read_tokens=400_000, cache_write_tokens=400_000)
    assert cost_of(usage, Prices(2, 10)) == pytest.approx(2)


def test_more_from_the_cache_than_there_was_input_costs_no_less_than_nothing():
    assert cost_of(Usage(10, 0, cache_read_tokens=20), Prices(2, 10, cache_read=0)) == 0


async def test_every_call_is_entered_and_the_metadata_has_the_sum_so_far():
    ledger = Ledger()
    turn = account(ledger)
    assert await turn.add(Usage(1000, 100, cache_read_tokens=0)) == {
        "usage": {"inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100, "cachedInputTokens": 0},
        "costUsd": 0.003,
    }
    assert await turn.add(Usage(2000, 10, reasoning_tokens=5, cache_read_tokens=1000)) == {
        "usage": {
            "inputTokens": 3000,
            "outputTokens": 110,
            "totalTokens": 3110,
            "reasoningTokens": 5,
            "cachedInputTokens": 1000,
        },
        "costUsd": 0.0053,
    }
    first, second = ledger.entries
    assert (first.at, first.block_id, first.message_id) == ("2026-11-21T12:00:00.000+00:00", "b", "m")
    assert (first.preset, first.provider, first.model, first.purpose) == ("claude", "anthropic", "sonnet", "chat")
    assert (first.cost_usd, second.cost_usd) == (pytest.approx(0.003), pytest.approx(0.0023))


async def test_an_unknown_price_is_no_cost_and_no_zero():
    ledger = Ledger()
    metadata = await account(ledger, prices=None).add(Usage(1, 1))
    assert metadata == {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}
    assert ledger.entries[0].cost_usd is None


async def test_the_sum_of_a_known_and_an_unknown_cost_is_unknown():
    ledger = Ledger()
    book = UsageBook(ledger, lambda _, __, tokens, ___: PRICES if tokens < 10 else None, lambda: datetime.now(UTC))
    turn = book.account(block_id="b", preset=CLAUDE, model="sonnet")
    assert "costUsd" in await turn.add(Usage(9, 1))
    assert "costUsd" not in await turn.add(Usage(10, 1))
    assert "costUsd" not in await turn.add(Usage(9, 1))


async def test_an_answer_that_is_gone_on_with_goes_on_with_its_sums():
    before = await account(Ledger()).add(Usage(1000, 100, reasoning_tokens=7, cache_read_tokens=0))
    ledger = Ledger()
    metadata = await account(ledger, earlier={"model": "sonnet", **before}).add(Usage(2000, 10))
    assert metadata == {
        "usage": {
            "inputTokens": 3000,
            "outputTokens": 110,
            "totalTokens": 3110,
            "reasoningTokens": 7,
            "cachedInputTokens": 0,
        },
        "costUsd": 0.0071,
    }
    assert [entry.usage for entry in ledger.entries] == [Usage(2000, 10)], (
        "what was entered before stands there already"
    )


@pytest.mark.parametrize("status", ["stopped", "interrupted", "error"])
async def test_what_was_stopped_before_is_missing_in_the_sum_and_that_is_said(status):
    metadata = await account(Ledger(), earlier={"model": "sonnet", "status": status}).add(Usage(1000, 0))
    assert metadata["usageIncomplete"] is True
    assert metadata["usage"]["inputTokens"] == 1000
    whole = await account(Ledger(), earlier={"model": "sonnet", "status": "complete"}).add(Usage(1000, 0))
    assert "usageIncomplete" not in whole


async def test_what_went_before_at_an_unknown_price_leaves_the_sum_unknown():
    before = await account(Ledger(), prices=None).add(Usage(1, 1))
    assert "costUsd" not in await account(Ledger(), earlier=before).add(Usage(1, 1))


@pytest.mark.parametrize(
    "earlier",
    [None, [], {}, {"usage": None}, {"usage": {"inputTokens": 5}}, {"usage": {"inputTokens": "5", "outputTokens": {}}}],
)
async def test_metadata_that_are_not_ours_count_for_nothing(earlier):
    metadata = await account(Ledger(), earlier=earlier).add(Usage(1000, 0))
    assert metadata == {"usage": {"inputTokens": 1000, "outputTokens": 0, "totalTokens": 1000}, "costUsd": 0.002}


async def test_prices_are_asked_for_the_very_call():
    asked = []
    book = UsageBook(Ledger(), lambda *call: asked.append(call), lambda: datetime(2026, 11, 21, 23, tzinfo=UTC))
    await book.account(block_id="b", preset=CLAUDE, model="opus").add(Usage(7, 1))
    [(preset, model, input_tokens, day)] = asked
    assert (preset, model, input_tokens, day.isoformat()) == (CLAUDE, "opus", 7, "2026-11-21")


async def test_a_temporary_chat_counts_and_is_not_named():
    ledger = Ledger()
    await account(ledger, block_id=None).add(Usage(1, 1))
    [entry] = ledger.entries
    assert (entry.block_id, entry.message_id, entry.usage.total_tokens) == (None, None, 2)


@pytest.mark.parametrize("error", [StorageUnavailable("The disk is full."), RuntimeError("a bug")])
async def test_a_ledger_that_cannot_be_written_does_not_stop_the_answer(error, caplog):
    with caplog.at_level(logging.WARNING, "app.chat.usage"):
        metadata = await account(Ledger(error)).add(Usage(1000, 0))
    assert metadata["costUsd"] == 0.002
    assert [record.message for record in caplog.records] == ["usage not written"]
