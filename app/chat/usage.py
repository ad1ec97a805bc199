"""What the model calls of a turn have used and cost: one line in the ledger each, and a sum for the message.

Every call counts, also one that no user sees, such as the one for a title. A call without a known price has no cost,
and neither has a turn with such a call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple, TypeAlias

from app.core.errors import AppError
from app.core.events import Answering, Usage
from app.core.model import Preset, Prices
from app.core.usage import Purpose, UsageEntry, UsageLedger
from app.core.values import Cache

log = logging.getLogger(__name__)

PricesOf: TypeAlias = Callable[[Preset, str, int, date], Prices | None]
"""Of one call the preset, the name of the model, the input tokens and the day → what its tokens cost."""

_MILLION = 1_000_000
_THOUSAND = 1_000
_DECIMALS = 9
"""Of a sum in dollars: below the price of one token, above what adding floats leaves behind."""


def cost_of(usage: Usage, prices: Prices, cache: Cache = "5m") -> float:
    """US dollars. Input is what is left of it beside the cache; thinking is part of the output, searches are none."""
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    read_price = prices.input if prices.cache_read is None else prices.cache_read
    write_price = prices.input if prices.cache_write is None else prices.cache_write
    if cache == "1h" and prices.cache_write_1h is not None:
        write_price = prices.cache_write_1h
    dollars = (
        max(0, usage.input_tokens - read - written) * prices.input
        + read * read_price
        + written * write_price
        + usage.output_tokens * prices.output
    )
    return dollars / _MILLION + (usage.searches or 0) * (prices.search or 0) / _THOUSAND


class UsageBook:
    def __init__(self, ledger: UsageLedger, prices_of: PricesOf, now: Callable[[], datetime]) -> None:
        """`now` is the time of day, UTC."""
        self._ledger = ledger
        self._prices_of = prices_of
        self._now = now

    def knows_price(self, preset: Preset, model: str) -> bool:
        return self._prices_of(preset, model, 0, self._now().date()) is not None

    def cost(self, preset: Preset, model: str, usage: Usage, cache: Cache = "5m") -> float | None:
        """US dollars of such a call today; None: nobody knows."""
        prices = self._prices_of(preset, model, usage.input_tokens, self._now().date())
        return None if prices is None else cost_of(usage, prices, cache)

    def account(
        self,
        *,
        block_id: str | None,
        preset: Preset,
        model: str,
        purpose: Purpose = "chat",
        message_id: str | None = None,
        cache: Cache = "5m",
        earlier: Any = None,
        gateway_key: str | None = None,
    ) -> Account:
        """The account of one turn.

        Args:
            block_id: None for a temporary chat.
            preset: who answers, unless the call says another (`Account.answered_by`).
            model: the one that is asked, which need not be the preset's.
            purpose: what for.
            message_id: the answer.
            cache: how long the service shall keep what it writes to its cache.
            earlier: the metadata of the stored answer that the turn goes on with; its sums go on too.
            gateway_key: the id of the key that a program asked with.
        """

        def entry(usage: Usage, called: Called) -> UsageEntry:
            return UsageEntry(
                at=self._now().isoformat(timespec="milliseconds"),
                block_id=block_id,
                message_id=message_id if block_id is not None else None,
                preset=called.preset.name,
                provider=called.preset.provider,
                model=called.model,
                purpose=purpose,
                usage=usage,
                cost_usd=self.cost(called.preset, called.model, usage, called.cache),
                gateway_key=gateway_key,
                first_token=called.first_token,
            )

        return Account(self._ledger, entry, Called(preset, model, cache), earlier)


class Called(NamedTuple):
    """Who was asked."""

    preset: Preset
    model: str
    cache: Cache
    first_token: float | None = None
    """Of what a router has handed on."""


class Account:
    """What one answer has used so far. Comes from `UsageBook.account`."""

    def __init__(
        self, ledger: UsageLedger, entry: Callable[[Usage, Called], UsageEntry], called: Called, earlier: Any
    ) -> None:
        self._ledger = ledger
        self._entry = entry
        self._called = called
        self._usage, self._cost = _sums(earlier)
        self._is_incomplete = _was_cut(earlier)
        self._writing: set[asyncio.Task[None]] = set()

    def answered_by(self, answering: Answering) -> None:
        """The calls that are entered from now on were made by whom a router has chosen."""
        self._called = Called(answering.preset, answering.model, answering.cache, answering.seconds)

    async def add(self, usage: Usage) -> Mapping[str, Any]:
        """Enter one model call, as `note` does; the ledger has it when this returns."""
        metadata = self.note(usage)
        await self.written()
        return metadata

    def note(self, usage: Usage) -> Mapping[str, Any]:
        """Enter one model call; the metadata of the message then: `usage`, `costUsd` where it is known, and
        `usageIncomplete` where a call before was stopped or failed: no service says what such a one has used.

        The entry is only on its way to the ledger when this returns: it reaches the disk together with the answer. One
        that cannot be written is missing there; the answer goes on.
        """
        entry = self._entry(usage, self._called)
        self._usage = usage if self._usage is None else self._usage + usage
        self._cost = None if self._cost is None or entry.cost_usd is None else self._cost + entry.cost_usd
        task = asyncio.ensure_future(self._write(entry))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        cost = {} if self._cost is None else {"costUsd": round(self._cost, _DECIMALS)}
        incomplete = {"usageIncomplete": True} if self._is_incomplete else {}
        return {"usage": self._usage.to_wire(), **cost, **incomplete}

    async def written(self) -> None:
        """When the ledger has everything that was noted."""
        if self._writing:
            await asyncio.wait(self._writing)

    async def _write(self, entry: UsageEntry) -> None:
        try:
            await self._ledger.add(entry)
        except AppError as error:
            log.warning("usage not written", extra={"preset": entry.preset, "code": error.code})
        except Exception:
            log.exception("usage not written", extra={"preset": entry.preset})


_FIGURES = ("inputTokens", "outputTokens", "reasoningTokens", "cachedInputTokens", "cacheWriteTokens")
"""Of a `usage` in metadata, in the order of the fields of Usage."""


def _sums(metadata: Any) -> tuple[Usage | None, float | None]:
    """The sums that `Account.add` gave before. Where there are none, or somebody else's, they begin at nothing."""
    said = metadata if isinstance(metadata, Mapping) else {}
    usage, cost = said.get("usage"), said.get("costUsd")
    figures: list[Any] = [usage.get(name) for name in _FIGURES] if isinstance(usage, Mapping) else []
    if not all(isinstance(figure, int | None) for figure in figures) or None in figures[:2] or not figures:
        return None, 0.0
    return Usage(*figures), float(cost) if isinstance(cost, int | float) else None


def _was_cut(metadata: Any) -> bool:
    """Whether the last model call of an answer was not told to its end."""
    return isinstance(metadata, Mapping) and metadata.get("status") in ("stopped", "interrupted", "error")
