"""What is held back from a key's limit while its calls are under way: together they spend no more than one would."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.chat.answerers import Answerers
from app.chat.completions import Completions
from app.chat.gateway_keys import Limits
from app.chat.reservations import USUAL_TOKENS, most_of
from app.chat.usage import UsageBook
from app.core.errors import ProviderUnavailable, RateLimited, SpendLimitReached
from app.core.events import ModelFinish, TextDelta, TextEnd, TextStart, Usage
from app.core.gateway import Asked
from app.core.model import Configuration, ModelMessage, ModelRequest, Preset, Prices, Relayed, Text
from app.core.values import Values
from app.storage.usage import SqliteUsageLedger
from tests.chat.scripted import ScriptedProvider, saying

pytestmark = pytest.mark.anyio

PRESET = Preset("default", "echo", values=Values(model="m"))
FILE = {"type": "base64", "data": "x" * 1_000_000}
QUESTION = (ModelMessage("user", (Text("x" * 4_000),)),)
ENDS = [TextStart("t"), TextDelta("t", "Hello"), TextEnd("t"), ModelFinish("stop", Usage(1_000, 10))]


class Desk:
    """A gateway where a token of an answer costs a dollar, and a key that may spend 100."""

    def __init__(self, house):
        self.house = house
        self.ledger = SqliteUsageLedger(house.store.database)
        self.usage = UsageBook(self.ledger, lambda *_: Prices(0, 1e6), lambda: datetime(2026, 11, 21, tzinfo=UTC))

    async def make_key(self, dollars=100):
        _, self.secret = await self.house.keys.create("Editor", Limits(spend_limit=dollars))
        self.key = await self.house.keys.admit(self.secret)

    async def call(self, *script, max_tokens=60):
        provider = ScriptedProvider(*(script or (ENDS,)))
        completions = Completions(
            configuration=lambda: Configuration({"default": PRESET}),
            providers=provider,
            answerers=Answerers(provider, self.usage),
            prompts=self.house.prompts,
            usage=self.usage,
            keys=self.house.keys,
        )
        values = Values() if max_tokens is None else Values(max_tokens=max_tokens)
        return await completions.open(Asked("default", QUESTION, values), key=self.key)

    async def held(self):
        rows = await self.house.store.database.read("SELECT sum(dollars) FROM gateway_reservations", {})
        return rows[0][0] or 0


@pytest.fixture
async def desk(house):
    desk = Desk(house)
    await desk.make_key()
    return desk


async def test_calls_at_the_same_time_do_not_spend_what_is_left_for_one(desk):
    going = asyncio.Event()
    first = asyncio.create_task((await desk.call(going, ENDS)).answer())
    while not await desk.held():
        await asyncio.sleep(0)
    with pytest.raises(RateLimited) as refused:
        await (await desk.call()).answer()
    assert refused.value.retry_after
    assert (await (await desk.call(max_tokens=40)).answer()).text == "Hello"
    going.set()
    await first
    assert (await (await desk.call()).answer()).text == "Hello"
    assert await desk.held() == 0


async def test_the_only_call_may_hold_more_than_is_left(desk):
    assert (await (await desk.call(max_tokens=1_000)).answer()).text == "Hello"
    assert (await (await desk.call(max_tokens=None)).answer()).text == "Hello"


async def test_a_call_let_in_before_the_limit_was_reached_is_not_made_after(desk):
    late = await desk.call()
    await (await desk.call([ModelFinish("stop", Usage(0, 100))])).answer()
    with pytest.raises(RateLimited):
        await late.answer()
    with pytest.raises(SpendLimitReached):
        await desk.house.keys.admit(desk.secret)


async def test_nothing_is_held_once_the_end_is_told(desk):
    """Whoever asks again at once must not be in its own way."""
    async with aclosing((await desk.call(*saying("Hello"))).stream()) as batches:
        async for batch in batches:
            assert bool(await desk.held()) is not isinstance(batch[-1], ModelFinish)


async def test_a_call_that_fails_holds_nothing(desk):
    with pytest.raises(ProviderUnavailable):
        await (await desk.call(ProviderUnavailable("Down."))).answer()
    assert await desk.held() == 0


@pytest.mark.parametrize("steps", range(8))
async def test_a_call_that_is_cancelled_at_any_moment_holds_nothing(desk, steps):
    task = asyncio.create_task((await desk.call([TextStart("t")], asyncio.Event())).answer())
    for _ in range(steps):
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait([task])
    assert await desk.held() == 0


async def test_a_key_without_a_limit_holds_nothing(desk):
    desk.key = replace(desk.key, spend_limit=None)
    assert (await desk.call()).hold is None


@pytest.mark.parametrize(
    ("request_", "dollars"),
    [
        (ModelRequest("m", QUESTION, max_tokens=100), 1.25 + 0.2),
        (ModelRequest("m", QUESTION), 1.25 + USUAL_TOKENS * 0.002),
        (ModelRequest("m", (), relayed=Relayed({"max_tokens": 100, "messages": [{"content": "x" * 4_000}]})), 1.45),
        (ModelRequest("m", (), relayed=Relayed({"source": FILE, "max_tokens": 100})), 2.075),
    ],
    ids=["with a limit", "without", "relayed", "a file"],
)
def test_what_a_call_may_cost_goes_by_its_length_and_the_price(request_, dollars):
    usage = UsageBook(None, lambda *_: Prices(1_000, 2_000, cache_write=1_250), lambda: datetime.now(UTC))
    assert most_of(usage, PRESET, request_) == pytest.approx(dollars)
