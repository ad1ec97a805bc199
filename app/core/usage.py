"""What model calls have used: one entry each, sums of them, and the ledger that keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from app.core.events import Usage

Purpose = Literal["chat", "title", "routing", "gateway", "embedding"]
"""What a model call was for."""


@dataclass(frozen=True, slots=True)
class UsageEntry:
    """One model call in the books."""

    at: str
    """When it ended: ISO 8601, UTC."""
    block_id: str | None
    """None for a temporary chat."""
    message_id: str | None
    """The answer that it was made for."""
    preset: str
    provider: str
    model: str
    purpose: Purpose
    usage: Usage
    cost_usd: float | None
    """None: nobody knows the price."""
    gateway_key: str | None = None
    """The id of the key that a program asked with."""
    first_token: float | None = None
    """The seconds until it came, of a call that a router has handed on."""


@dataclass(frozen=True, slots=True)
class FirstToken:
    """How long a preset's model took to begin."""

    at: str
    """As `UsageEntry.at`."""
    preset: str
    model: str
    seconds: float


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """Some calls added up."""

    name: str | None
    """What they have in common: a block id, a preset, a model, a day, a purpose. No block id: temporary chats and
    conversations that were deleted."""
    calls: int
    usage: Usage
    cost_usd: float
    """Of the calls whose price is known."""
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    total: UsageTotal
    conversations: Sequence[UsageTotal]
    """At most 1,000, the dearest first."""
    presets: Sequence[UsageTotal]
    models: Sequence[UsageTotal]
    """Named `provider/model`."""
    days: Sequence[UsageTotal]
    """`2026-11-21`, UTC, oldest first."""
    preset_days: Sequence[UsageTotal]
    """Of each day each preset: `2026-11-21 claude`, oldest first."""
    model_days: Sequence[UsageTotal]
    """Of each day each model: `2026-11-21 provider/model`, oldest first."""
    purposes: Sequence[UsageTotal]


class UsageLedger(Protocol):
    """What model calls have used. Entries stay when a conversation is deleted, but no longer name it.

    Every method may raise StorageUnavailable.
    """

    async def add(self, entry: UsageEntry) -> None: ...

    async def first_tokens(self, since: str) -> Sequence[FirstToken]:
        """Of calls that routers have handed on since the moment `since`, the oldest first; at most the last 1,000."""
        ...

    async def report(self, since: str | None = None, until: str | None = None) -> UsageReport:
        """What was used from the day `since` to the day `until`, both included; both as `UsageReport.days` has them."""
        ...
