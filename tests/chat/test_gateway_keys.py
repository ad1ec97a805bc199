"""Who may use the gateway, how often, and for how much."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.chat.gateway_keys import GatewayKeys, Limits
from app.core.errors import InvalidRequest, KeyRefused, NotFound, RateLimited, SpendLimitReached
from app.core.model import Configuration, Preset
from tests.chat.key_store import KeyStore

pytestmark = pytest.mark.anyio


class Time:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def store() -> KeyStore:
    return KeyStore()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def keys(store: KeyStore, time: Time) -> GatewayKeys:
    presets = {name: Preset(name, "echo") for name in ("default", "small")}
    return GatewayKeys(store, lambda: Configuration(presets), lambda: datetime(2026, 11, 22, 3, tzinfo=UTC), time)


async def test_without_any_key_everybody_comes_in(keys: GatewayKeys) -> None:
    assert await keys.admit(None) is None


async def test_from_the_first_key_on_one_is_needed(keys: GatewayKeys) -> None:
    key, secret = await keys.create("Editor", Limits())
    with pytest.raises(KeyRefused):
        await keys.admit(None)
    with pytest.raises(KeyRefused):
        await keys.admit(secret[:-1])
    assert await keys.admit(secret) == key


async def test_a_wrong_key_is_refused_even_where_none_is_needed(keys: GatewayKeys) -> None:
    with pytest.raises(KeyRefused):
        await keys.admit("plv_wrong")


async def test_a_key_is_long_and_kept_as_its_digest_alone(keys: GatewayKeys, store: KeyStore) -> None:
    key, secret = await keys.create(" Editor ", Limits())
    assert secret.startswith("plv_")
    assert len(secret) > 40
    assert (key.name, key.ending) == ("Editor", secret[-4:])
    assert secret not in repr(store.keys)
    assert [len(digest) for digest in store.keys] == [32]


async def test_a_removed_key_opens_nothing(keys: GatewayKeys) -> None:
    await keys.create("Other", Limits())
    key, secret = await keys.create("Editor", Limits())
    await keys.remove(key.id)
    with pytest.raises(KeyRefused):
        await keys.admit(secret)
    with pytest.raises(NotFound):
        await keys.remove(key.id)


async def test_a_key_is_good_for_so_many_requests_in_any_minute(keys: GatewayKeys, time: Time) -> None:
    _, secret = await keys.create("Editor", Limits(requests_per_minute=2))
    await keys.admit(secret)
    time.seconds += 40
    await keys.admit(secret)
    with pytest.raises(RateLimited) as refused:
        await keys.admit(secret)
    assert refused.value.retry_after == 20
    time.seconds += 20
    await keys.admit(secret)


async def test_one_key_does_not_use_up_another(keys: GatewayKeys) -> None:
    _, one = await keys.create("One", Limits(requests_per_minute=1))
    _, other = await keys.create("Other", Limits(requests_per_minute=1))
    await keys.admit(one)
    await keys.admit(other)


async def test_a_key_stops_when_its_money_of_the_month_is_spent(keys: GatewayKeys, store: KeyStore) -> None:
    _, secret = await keys.create("Editor", Limits(spend_limit=5))
    store.dollars = 4.99
    await keys.admit(secret)
    store.dollars = 5.0
    with pytest.raises(SpendLimitReached):
        await keys.admit(secret)
    assert set(store.months) == {"2026-11-01"}


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb"])
async def test_a_name_is_a_short_line(keys: GatewayKeys, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await keys.create(name, Limits())


@pytest.mark.parametrize(
    "limits",
    [
        Limits(requests_per_minute=0),
        Limits(spend_limit=0),
        Limits(spend_limit=float("nan")),
        Limits(presets=("small", "gone")),
    ],
)
async def test_limits_that_cannot_be_are_refused(keys: GatewayKeys, limits: Limits) -> None:
    with pytest.raises(InvalidRequest):
        await keys.create("Editor", limits)
