"""A host with several addresses is reached by the one that answers, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator

import pytest

from app.providers.addresses import Address, connected, first_of, in_turns

pytestmark = pytest.mark.anyio

Connect = Callable[[Address], Awaitable[socket.socket]]

SIX = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (f"2001:db8::{n}", 80, 0, 0)) for n in range(3)]
FOUR = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{n}", 80)) for n in range(2)]


@pytest.fixture
def opened() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def connecting(answers: dict[Address, socket.socket | Exception | None], left: list[Address]) -> Connect:
    """None never answers."""

    async def connect(address: Address) -> socket.socket:
        answer = answers[address]
        if answer is None:
            try:
                await asyncio.Event().wait()
            finally:
                left.append(address)
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return answer

    return connect


def test_kinds_of_addresses_take_turns() -> None:
    assert in_turns([*SIX, *FOUR]) == [SIX[0], FOUR[0], SIX[1], FOUR[1], SIX[2]]
    assert in_turns(FOUR) == FOUR
    assert in_turns([]) == []


async def test_an_address_that_leads_nowhere_holds_nobody_up(opened: socket.socket) -> None:
    left: list[Address] = []
    found = await first_of([SIX[0], FOUR[0]], connecting({SIX[0]: None, FOUR[0]: opened}, left))
    assert found is opened
    await asyncio.sleep(0)
    assert left == [SIX[0]], "nobody goes on trying"


async def test_an_address_that_refuses_is_left_at_once(opened: socket.socket) -> None:
    refuses = ConnectionRefusedError()
    assert await first_of(FOUR, connecting({FOUR[0]: refuses, FOUR[1]: opened}, [])) is opened


async def test_where_none_answers_it_is_said_why() -> None:
    answers = {FOUR[0]: OSError("no route"), FOUR[1]: ConnectionRefusedError("refused")}
    with pytest.raises(ConnectionRefusedError):
        await first_of(FOUR, connecting(answers, []))
    with pytest.raises(OSError, match="no address"):
        await first_of([], connecting({}, []))


async def test_what_comes_about_too_late_is_closed(opened: socket.socket) -> None:
    with socket.socket() as late:
        assert await first_of([FOUR[0]], connecting({FOUR[0]: opened}, [])) is opened
        both = asyncio.Barrier(2)

        async def connect(address: Address) -> socket.socket:
            await both.wait()
            return opened if address is FOUR[0] else late

        found = await first_of(FOUR, connect)
        other = late if found is opened else opened
        assert other.fileno() == -1


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    left: list[Address] = []
    trying = asyncio.ensure_future(first_of(FOUR, connecting(dict.fromkeys(FOUR), left)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    await asyncio.sleep(0)
    assert left == [FOUR[0]]


async def test_a_port_of_this_machine_is_reached() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        with await connected("127.0.0.1", server.sockets[0].getsockname()[1]) as reached:
            assert reached.getpeername()[0] == "127.0.0.1"
    with pytest.raises(socket.gaierror):
        await connected("name.invalid", 80)
