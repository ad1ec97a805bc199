"""Keys that let programs use the gateway: what they may do, and the store that keeps them.

A key is shown once, when it is made. What is kept is its SHA-256: it has 256 random bits, so nobody finds it by trying.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

PREFIX = "plv_"
"""How every key begins."""


@dataclass(frozen=True, slots=True)
class GatewayKey:
    id: str
    """Names it in lists and in the usage; opens nothing."""
    name: str
    """For people: which program has it."""
    ending: str
    """Its last four characters, to tell it from others."""
    created_at: str
    """ISO 8601, UTC."""
    presets: tuple[str, ...] = ()
    """Those that it may use. Empty: all."""
    requests_per_minute: int | None = None
    """None: no limit."""
    spend_limit: float | None = None
    """US dollars of a calendar month (UTC). None: no limit."""

    def may_use(self, preset: str) -> bool:
        return not self.presets or preset in self.presets


@dataclass(frozen=True, slots=True)
class KeyUsage:
    key: GatewayKey
    calls: int
    spent: float
    """US dollars in the month that is asked about, of the calls whose price is known."""
    last_used_at: str | None
    """ISO 8601, UTC, to the end of the last call."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a call that is under way may still cost, held back from the limit of its key."""

    id: str
    key_id: str
    dollars: float
    until: str
    """ISO 8601, UTC: it holds nothing any more, whatever has become of its process."""


class GatewayKeyStore(Protocol):
    """Every method may raise StorageUnavailable."""

    async def add(self, key: GatewayKey, digest: bytes) -> None: ...

    async def find(self, digest: bytes) -> GatewayKey | None: ...

    async def spent(self, key_id: str, month: str) -> float:
        """US dollars since the day `month`, as `2026-11-01`."""
        ...

    async def has_any(self) -> bool: ...

    async def all(self, month: str) -> Sequence[KeyUsage]:
        """The oldest first."""
        ...

    async def remove(self, key_id: str) -> bool:
        """It opens nothing any more; its usage stays. False where there is none of this id."""
        ...

    async def reserve(self, reservation: Reservation, limit: float, month: str, now: str) -> bool:
        """Hold back what a call may cost: all at once or, where it is False, not at all.

        Args:
            reservation: it fits where the key has so much left beside what is spent and what is held. The only call of
                a key fits as long as anything is left: what it will cost is less, nearly always.
            limit: the key's, of the month.
            month: its first day.
            now: as `Reservation.until`.
        """
        ...

    async def release(self, reservation_id: str) -> None: ...

    async def release_all(self) -> None:
        """At a start, when no call is under way: of those that a crash has cut off."""
        ...
