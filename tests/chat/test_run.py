"""One run: what it emits, and that it always ends well."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime
from itertools import count

import pytest

from app.chat import run as run_module
from app.chat.ledger import CallBook, TemporaryLedger
from app.chat.made_files import MadeFiles
from app.chat.open_parts import OpenParts
from app.chat.run import Clock, Turn, run
from app.chat.tools import Toolset
from app.core.convert import Prompt
from app.core.errors import ProviderRateLimited
from app.core.events import (
    MessageFinish,
    MessageStart,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    Status,
    StepFinish,
    StepStart,
    StreamError,
    TextDelta,
    TextEnd,
    TextStart,
    Usage,
)
from app.core.model import ModelRequest
from tests.chat.scripted import ScriptedProvider, saying

pytestmark = pytest.mark.anyio


def clock():
    ticks = count()
    return Clock(now=lambda: datetime(2026, 11, 21, tzinfo=UTC), monotonic=lambda: float(next(ticks)))


class Account:
    """Adds up and writes nothing."""

    def __init__(self):
        self.usage = Usage()

    def note(self, usage):
        self.usage += usage
        return {"usage": self.usage.to_wire()}


class QuickProvider(ScriptedProvider):
    """Offers what it has at once before it yields it, as those on the network do."""

    async def stream(self, request):
        async with aclosing(super().stream(request)) as batches:
            async for batch in batches:
                if not request.at_once(batch):
                    yield batch


async def play(*script):
    return await play_with(ScriptedProvider(*script))


async def play_with(provider, broken_at=None):
    """The events of a run; `broken_at` is a delta with which `say` fails."""
    turn = Turn(
        block_id="b",
        message_id="m1",
        preset_name="p",
        provider=provider,
        request=ModelRequest("x", ()),
        prompt=lambda message: Prompt(()),
        account=Account(),
        tools=Toolset(),
        calls=CallBook(TemporaryLedger(), "b", {}),
        files=MadeFiles(None),
        new_id=lambda: "id",
    )
    events = []

    def say(batch):
        assert batch
        if broken_at is not None and TextDelta("t", broken_at) in batch:
            raise ZeroDivisionError("sk-secret")
        events.extend(batch)

    async def tell(batch):
        say(batch)

    await run(turn, clock(), OpenParts(), tell, say)
    assert provider.closed.is_set()
    return events


async def test_a_whole_answer_in_order():
    assert await play(*saying("Hel", "lo")) == [
        MessageStart("m1", {"model": "x", "preset": "p", "createdAt": "2026-11-21T00:00:00.000+00:00"}),
        StepStart(),
        TextStart("t"),
        TextDelta("t", "Hel"),
        TextDelta("t", "lo"),
        TextEnd("t"),
        StepFinish(),
        MessageFinish(
            "stop",
            Usage(2, 2),
            {
                "usage": {"inputTokens": 2, "outputTokens": 2, "totalTokens": 4},
                "finishReason": "stop",
                "timeToFirstTokenMs": 1000,
                "durationMs": 2000,
            },
        ),
    ]


async def test_a_failure_before_the_first_event_is_all_there_is():
    assert await play(ProviderRateLimited("Too many.", retry_after=7)) == [
        StreamError("Too many.", "provider_rate_limited", 429, 7)
    ]


async def test_a_failure_in_mid_stream_closes_what_is_open_first():
    script = [TextStart("t"), ReasoningStart("r"), TextDelta("t", "a"), ReasoningDelta("r", "b")]
    events = await play(script, ProviderRateLimited("Too many."))
    assert events[-3:] == [TextEnd("t"), ReasoningEnd("r"), StreamError("Too many.", "provider_rate_limited", 429)]


async def test_a_bug_is_told_without_its_text():
    events = await play([TextStart("t")], ZeroDivisionError("sk-secret"))
    assert events[-1].code == "internal_error"
    assert "secret" not in events[-1].text


@pytest.mark.parametrize("script", [[], [[TextStart("t"), TextDelta("t", "half an ans")]]])
async def test_an_answer_without_its_end_mark_is_an_error(script):
    events = await play(*script)
    assert isinstance(events[-1], StreamError)
    assert events[-1].code == "provider_broken"


async def test_an_empty_answer_is_an_answer():
    kinds = [type(event) for event in await play([ModelFinish("content-filter", Usage())])]
    assert kinds == [MessageStart, StepStart, StepFinish, MessageFinish]


async def test_an_upstream_that_never_stops_is_cut():
    page = "x" * 1_000_000
    endless = [[TextStart("t")], *[[TextDelta("t", page)]] * 9]
    events = await play(*endless)
    assert events[-1].text.startswith("The answer was cut off")
    assert sum(isinstance(event, TextDelta) for event in events) == run_module.MAX_ANSWER_CHARACTERS // 1_000_000 + 1


# The short way


async def test_deltas_that_are_told_at_once_are_told_in_order_and_once():
    assert await play_with(QuickProvider(*saying(*"abc"))) == await play(*saying(*"abc"))


async def test_only_deltas_take_the_short_way():
    script = [
        [Status("waiting", "Wait.")],
        [TextDelta("t", "before its part")],
        [ReasoningStart("r")],
        [ReasoningDelta("r", "b"), ReasoningEnd("r")],
        [TextStart("t"), TextDelta("t", "c")],
        [TextDelta("t", "d"), TextDelta("t", "e")],
        [TextEnd("t"), ModelFinish("stop", Usage())],
    ]
    assert await play_with(QuickProvider(*script)) == await play(*script)


async def test_an_upstream_that_never_stops_is_cut_on_the_short_way_too():
    endless = [[TextStart("t")], *[[TextDelta("t", "x" * 1_000_000)]] * 9]
    assert await play_with(QuickProvider(*endless)) == await play(*endless)


@pytest.mark.parametrize("provider", [ScriptedProvider, QuickProvider])
async def test_what_goes_wrong_on_the_short_way_ends_the_run_and_is_told(provider):
    events = await play_with(provider(*saying("a", "b", "c")), broken_at="b")
    assert [event.delta for event in events if isinstance(event, TextDelta)] == ["a"]
    assert events[-1].code == "internal_error"
    assert "secret" not in events[-1].text
