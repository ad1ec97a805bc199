"""Who may use the gateway, how often, and for how much.

As long as no key has been made, whoever may use the server may use its gateway. From the first key on a program needs
one, or the server's own access token.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_hex, token_urlsafe

from app.chat.reservations import Hold
from app.chat.usage import UsageBook
from app.core.errors import InvalidRequest, KeyNotAllowed, KeyRefused, NotFound, RateLimited, SpendLimitReached
from app.core.gateway_keys import PREFIX, GatewayKey, GatewayKeyStore, KeyUsage, Reservation
from app.core.model import Configuration, Preset

MAX_NAME = 100
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a new key may do; see GatewayKey."""

    presets: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    spend_limit: float | None = None


class GatewayKeys:
    def __init__(
        self,
        store: GatewayKeyStore,
        configuration: Callable[[], Configuration],
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """`now` is the time of day, UTC; `monotonic` gives seconds."""
        self._store = store
        self._configuration = configuration
        self._now = now
        self._monotonic = monotonic
        self._recent: dict[str, deque[float]] = {}
        """When each key was used in the last minute, in this process."""

    async def create(self, name: str, limits: Limits) -> tuple[GatewayKey, str]:
        """A new key and its secret, which nobody can be told again.

        Raises:
            InvalidRequest: the name or a limit cannot be.
        """
        _check(name, limits, self._configuration().presets)
        secret = PREFIX + token_urlsafe(32)
        key = GatewayKey(
            id=f"key_{token_hex(6)}",
            name=name.strip(),
            ending=secret[-4:],
            created_at=self._now().astimezone(UTC).isoformat(timespec="microseconds"),
            presets=tuple(dict.fromkeys(limits.presets)),
            requests_per_minute=limits.requests_per_minute,
            spend_limit=limits.spend_limit,
        )
        await self._store.add(key, _digest(secret))
        return key, secret

    async def admit(self, secret: str | None) -> GatewayKey | None:
        """The key that a request came with; None where none is needed.

        Raises:
            KeyRefused: it is no key, or there is none and one is needed.
            RateLimited, SpendLimitReached: the key has been used too much.
        """
        if secret is None:
            if await self._store.has_any():
                raise KeyRefused("This gateway needs a key: send it as `Authorization: Bearer plv_…` or `x-api-key`.")
            return None
        key = await self._store.find(_digest(secret))
        if key is None:
            raise KeyRefused("This key is not known here, or it has been removed.")
        if key.spend_limit is not None and await self._store.spent(key.id, self._month()) >= key.spend_limit:
            raise SpendLimitReached(
                f"The key {key.name!r} has spent its {key.spend_limit:g} dollars of this month. "
                "Its owner can make another one."
            )
        if key.requests_per_minute is not None:
            self._count(key, key.requests_per_minute)
        return key

    def hold(self, key: GatewayKey | None, dollars: float, seconds: float) -> Hold | None:
        """What a call with this key shall hold back while it is under way; None where nothing need be.

        Args:
            key: the one that it came with.
            dollars: what it may cost.
            seconds: how long it may take.
        """
        if key is None or key.spend_limit is None or dollars <= 0:
            return None
        now = self._now().astimezone(UTC)
        until = (now + timedelta(seconds=seconds + _MINUTE)).isoformat(timespec="milliseconds")
        reservation = Reservation(token_hex(8), key.id, dollars, until)
        return Hold(self._store, key, reservation, month=self._month(), now=now.isoformat(timespec="milliseconds"))

    async def all(self) -> Sequence[KeyUsage]:
        return await self._store.all(self._month())

    async def remove(self, key_id: str) -> None:
        """Raises NotFound."""
        if not await self._store.remove(key_id):
            raise NotFound("There is no key of this id.")
        self._recent.pop(key_id, None)

    def _count(self, key: GatewayKey, most: int) -> None:
        now = self._monotonic()
        times = self._recent.setdefault(key.id, deque())
        while times and now - times[0] >= _MINUTE:
            times.popleft()
        if len(times) >= most:
            raise RateLimited(
                f"The key {key.name!r} may be used {most} times a minute.", retry_after=times[0] + _MINUTE - now
            )
        times.append(now)

    def _month(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-01")


def check_use(
    key: GatewayKey,
    configuration: Configuration,
    preset: Preset,
    model: str,
    usage: UsageBook,
    *,
    chosen_by: Preset | None = None,
) -> None:
    """Raises KeyNotAllowed where a call with this key may not be made.

    Args:
        key: what the program asks with. One that is for certain presets asks their own models alone: a dearer one of
            the same service is nobody's to choose.
        configuration: says which those are.
        preset: who is asked, with `model`.
        model: its name.
        usage: where prices are known.
        chosen_by: the router that the program has named instead.
    """
    is_own = chosen_by is not None or not key.presets or _is_own(configuration, preset, model)
    if not (key.may_use((chosen_by or preset).name) and is_own):
        raise KeyNotAllowed(f"This key may use only: {', '.join(key.presets)}, with their own models.", param="model")
    if key.spend_limit is not None and not usage.knows_price(preset, model):
        raise KeyNotAllowed(
            f"This key has a spend limit, and the price of {preset.name} is not known. "
            "Add `prices` to the preset, or use another model.",
            param="model",
        )


def check_field(key: GatewayKey | None, field: str | None) -> None:
    """Raises KeyNotAllowed where a key with limits comes with a field that may lead around them: `field` asks another
    model than the one that is named, or at another price.
    """
    if field is not None and key is not None and (key.presets or key.spend_limit is not None):
        raise KeyNotAllowed(
            f"This key has limits, and {field} may ask another model or at another price. Leave it out.", param=field
        )


def _is_own(configuration: Configuration, preset: Preset, model: str) -> bool:
    """Whether the preset is one of the configuration's, with its model. One that names none may be asked for any.

    A service that no preset is of goes by its own name, which may be that of a preset of another one.
    """
    configured = configuration.presets.get(preset.name)
    if configured is None or replace(preset, values=configured.values) != configured:
        return False
    own = configured.values.model or configured.default_model or configuration.values.model
    return own in (None, model)


def _check(name: str, limits: Limits, presets: Collection[str]) -> None:
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"name: must be a text of at most {MAX_NAME} characters.", param="name")
    if not set(limits.presets) <= set(presets):
        raise InvalidRequest(
            f"presets: there is no preset of this name. The presets are: {', '.join(presets)}.", param="presets"
        )
    if limits.requests_per_minute is not None and not 1 <= limits.requests_per_minute <= 1_000_000:
        raise InvalidRequest("requestsPerMinute: must be a number from 1 to 1,000,000.", param="requestsPerMinute")
    if limits.spend_limit is not None and not 0 < limits.spend_limit <= 1_000_000:
        raise InvalidRequest("spendLimit: must be dollars above 0, at most 1,000,000.", param="spendLimit")


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
