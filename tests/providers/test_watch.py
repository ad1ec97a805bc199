from __future__ import annotations

import asyncio

import pytest

from app.providers.watch import Watch

pytestmark = pytest.mark.anyio


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_a_wait_that_takes_too_long_is_cut_off() -> None:
    watch = Watch()
    with pytest.raises(TimeoutError), watch.until(soon(0.01)):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def later() -> None:
    """Some turns of the loop, long enough for a timer that is due to ring."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.03, event.set)
    await event.wait()


async def test_a_timer_of_an_earlier_wait_does_not_end_a_later_one() -> None:
    watch = Watch()
    with watch.until(soon(0.01)):
        pass
    with watch.until(soon(60)):
        await later()
    with pytest.raises(TimeoutError), watch.until(soon(0.01)):
        await asyncio.Event().wait()


async def test_a_later_limit_may_be_nearer() -> None:
    watch = Watch()
    with watch.until(soon(60)):
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError), watch.until(soon(0.01)):
        await asyncio.Event().wait()


async def test_nothing_happens_between_two_waits() -> None:
    watch = Watch()
    with watch.until(soon(0)):
        pass
    await later()
    with watch.until(soon(60)):
        await later()
    watch.close()


async def test_a_limit_in_the_past_is_over_at_once() -> None:
    with pytest.raises(TimeoutError), Watch().until(soon(-1)):
        await asyncio.Event().wait()


async def test_a_limit_holds_for_whoever_waits() -> None:
    """An answer may begin in one task and go on in another."""

    async def begin() -> Watch:
        watch = Watch()
        with watch.until(soon(60)):
            await asyncio.sleep(0)
        return watch

    watch = await asyncio.create_task(begin())
    with pytest.raises(TimeoutError), watch.until(soon(0.01)):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_being_cancelled_is_not_a_timeout() -> None:
    started = asyncio.Event()

    async def wait() -> None:
        watch = Watch()
        try:
            with watch.until(soon(60)):
                started.set()
                await asyncio.Event().wait()
        finally:
            watch.close()

    task = asyncio.create_task(wait())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_another_error_stays_what_it_is() -> None:
    watch = Watch()
    with pytest.raises(KeyError), watch.until(soon(60)):
        raise KeyError
    watch.close()
