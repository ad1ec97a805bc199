"""The stream log: every reader sees everything, whenever it comes and however slow it is."""

from __future__ import annotations

import asyncio

import pytest

from app.chat.channel import batches
from app.core.events import TextDelta
from app.streams.memory import MemoryStreamLog

pytestmark = pytest.mark.anyio


def delta(n):
    return TextDelta("t", str(n))


async def collect(reader):
    return [event for batch in [batch async for batch in reader] for event in batch]


async def test_first_view_second_tab_and_late_reader_see_the_same():
    log = MemoryStreamLog()
    await log.open("r")
    early = asyncio.ensure_future(collect(batches(log.tail("r"))))
    await asyncio.sleep(0)
    log.append("r", [delta(1)])
    middle = asyncio.ensure_future(collect(batches(log.tail("r"))))
    log.append("r", [delta(2), delta(3)])
    await log.close("r")
    late = collect(batches(log.tail("r")))
    assert await early == await middle == await late == [delta(1), delta(2), delta(3)]


async def test_what_piled_up_comes_in_one_batch():
    log = MemoryStreamLog()
    await log.open("r")
    reader = batches(log.tail("r"))
    for n in range(3):
        log.append("r", [delta(n)])
    assert await anext(reader) == [delta(0), delta(1), delta(2)]
    await reader.aclose()


async def test_readers_are_counted_while_they_read():
    log = MemoryStreamLog()
    await log.open("r")
    log.append("r", [delta(0)])
    assert log.readers("r") == 0
    reader = batches(log.tail("r"))
    await anext(reader)
    assert log.readers("r") == 1
    await reader.aclose()
    assert log.readers("r") == 0


async def test_a_reader_that_leaves_while_it_waits_is_gone():
    log = MemoryStreamLog()
    await log.open("r")
    waiting = asyncio.ensure_future(collect(batches(log.tail("r"))))
    await asyncio.sleep(0)
    assert log.readers("r") == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert log.readers("r") == 0


async def test_an_ended_log_is_forgotten_after_a_while():
    log = MemoryStreamLog(keep_seconds=0)
    await log.open("r")
    log.append("r", [delta(0)])
    reader = batches(log.tail("r"))
    await log.close("r")
    while await collect(batches(log.tail("r"))):
        await asyncio.sleep(0)
    assert await collect(reader) == [delta(0)], "whoever holds it still reads it to its end"


async def test_an_unknown_run_has_nothing_to_say():
    assert await collect(batches(MemoryStreamLog().tail("nobody"))) == []
