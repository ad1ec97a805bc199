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
