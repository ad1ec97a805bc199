"""Tools that break in every way that a function can: each costs its call, and nothing else."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.chat.execution import FAILED, MAX_PRELIMINARY, MOST_SOURCES
from app.chat.made_files import TOO_MUCH
from app.core.events import GeneratedFile, MessageFinish, SourceUrl, ToolOutputAvailable, ToolOutputError
from app.core.tools import ToolFile, ToolOutput, ToolSource
from tests.chat.scripted import SteppedProvider, calling, saying
from tests.chat.test_tool_turns import answer_of, play, results, tool

pytestmark = pytest.mark.anyio

CALL = ("call_000001", "weather", {"city": "Rome"})


class Collapse(BaseException):
    """Not an Exception: what ends a program."""


async def collapsing(arguments, context):
    raise Collapse


async def leaving(arguments, context):
    raise SystemExit(3)


async def leaving_in_the_middle(arguments, context):
    yield "so far"
    raise SystemExit(3)


async def ending_as_a_generator(arguments, context):
    raise GeneratorExit


async def cancelling_itself(arguments, context):
    raise asyncio.CancelledError


async def with_sources_that_are_none(arguments, context):
    return ToolOutput("x", sources=("https://a.example/",))


async def with_files_that_are_none(arguments, context):
    return ToolOutput("x", files=(ToolFile("text/plain", "text"),))


@pytest.mark.parametrize(
    "execute",
    [
        collapsing,
        leaving,
        leaving_in_the_middle,
        ending_as_a_generator,
        cancelling_itself,
        with_sources_that_are_none,
        with_files_that_are_none,
    ],
)
async def test_whatever_a_tool_does_the_turn_goes_on(house, execute):
    provider = SteppedProvider(calling(CALL), saying("Sorry."))
    events = await play(house, provider, tool(execute=execute))
    assert ToolOutputError("call_000001", FAILED) in events
    assert results(provider.requests[1])["call_000001"].is_error
    assert isinstance(events[-1], MessageFinish)


async def test_a_generator_without_end_that_waits_for_nothing_is_given_up(house):
    async def endless(arguments, context):
        while True:
            yield ""

    provider = SteppedProvider(calling(CALL), saying("x"))
    events = await play(house, provider, tool(execute=endless, timeout=0.3))
    assert ToolOutputError("call_000001", "The tool did not answer within 0.3 seconds.") in events
    assert isinstance(events[-1], MessageFinish)


async def test_outputs_that_say_nothing_are_not_shown_for_ever(house):
    async def counting(arguments, context):
        for _ in range(20_000):
            yield ""

    provider = SteppedProvider(calling(CALL), saying("x"))
    events = await play(house, provider, tool(execute=counting))
    shown = [event for event in events if isinstance(event, ToolOutputAvailable) and event.preliminary]
    assert len(shown) <= MAX_PRELIMINARY // 100
    assert ToolOutputAvailable("call_000001", "") in events


async def test_sources_hold_nothing_that_a_client_could_not_send_back_and_are_bounded(house):
    async def listing(arguments, context):
        odd = ToolSource("https://a.example/\0\ud83d", "a\0b")
        return ToolOutput(
            "x",
            sources=(
                odd,
                ToolSource("https://a.example/", 7),
                *(ToolSource(f"https://a.example/{n}") for n in range(1_000)),
            ),
        )

    provider = SteppedProvider(calling(CALL), saying("x"))
    events = await play(house, provider, tool(execute=listing))
    sources = [event for event in events if isinstance(event, SourceUrl)]
    assert len(sources) == MOST_SOURCES
    assert sources[1].title == "7"
    assert (sources[0].url, sources[0].title) == ("https://a.example/\ufffd\ufffd", "a\ufffdb")
    assert "\\u0000" not in json.dumps((await answer_of(house)).to_wire())


async def test_names_of_files_are_text_and_an_answer_makes_only_so_many_megabytes_of_them(house):
    async def drawing(arguments, context):
        files = [ToolFile("image/png", bytes([number]) * 9_000_000, f"a\0{number}") for number in range(12)]
        return ToolOutput("x", files=tuple(files))

    provider = SteppedProvider(calling(CALL), saying("x"))
    events = await play(house, provider, tool(execute=drawing))
    names = [event.filename for event in events if isinstance(event, GeneratedFile)]
    assert names == [f"a\ufffd{number}" for number in range(11)]
    assert events[-1].metadata["warnings"] == [{"setting": "files", "details": TOO_MUCH}]
