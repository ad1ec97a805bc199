"""Keys of the gateway in memory."""

from __future__ import annotations

from app.core.gateway_keys import GatewayKey, KeyUsage, Reservation


class KeyStore:
    """The port in memory; `dollars` is what every key has used."""

    def __init__(self) -> None:
        self.keys: dict[bytes, GatewayKey] = {}
        self.dollars = 0.0
        self.months: list[str] = []
        self.held: dict[str, Reservation] = {}

    async def add(self, key: GatewayKey, digest: bytes) -> None:
        self.keys[digest] = key

    async def find(self, digest: bytes) -> GatewayKey | None:
        return self.keys.get(digest)

    async def spent(self, key_id: str, month: str) -> float:
        self.months.append(month)
        return self.dollars

    async def has_any(self) -> bool:
        return bool(self.keys)

    async def all(self, month: str) -> list[KeyUsage]:
        return [KeyUsage(key, 0, self.dollars, None) for key in self.keys.values()]

    async def remove(self, key_id: str) -> bool:
        found = [digest for digest, key in self.keys.items() if key.id == key_id]
        for digest in found:
            del self.keys[digest]
        return bool(found)

    async def reserve(self, reservation: Reservation, limit: float, month: str, now: str) -> bool:
        held = sum(each.dollars for each in self.held.values())
        fits = self.dollars < limit and (not held or self.dollars + held + reservation.dollars <= limit)
        if fits:
            self.held[reservation.id] = reservation
        return fits

    async def release(self, reservation_id: str) -> None:
        self.held.pop(reservation_id, None)

    async def release_all(self) -> None:
        self.held.clear()
