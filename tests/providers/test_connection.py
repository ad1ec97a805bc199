"""One connection to a model service: what HTTP allows it to say, what it does not, and what is read at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import httpx2
import pytest

from app.providers.transport import Transport, body_of

pytestmark = pytest.mark.anyio

Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LARGE = 20_000_000
"""More than all buffers between two sockets hold."""


class Service:
    """A server that plays one script per connection."""

    def __init__(self, play: Play) -> None:
        self.connections = 0
        self._play = play
        self.closed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._play(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.closed.set()


@asynccontextmanager
async def asking(play: Play) -> AsyncIterator[tuple[Service, Callable[..., Awaitable[httpx2.Response]]]]:
    """A service, and how to ask it."""
    service, transport = Service(play), Transport(encrypted=False)
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    async def ask(content: bytes = b"{}", headers: Sequence[tuple[bytes, bytes]] = ()) -> httpx2.Response:
        request = httpx2.Request("POST", url, content=content, headers=[(b"host", b"here"), *headers])
        return await transport.handle_async_request(request)

    async with server, transport:
        yield service, ask


async def heard(reader: asyncio.StreamReader) -> bytes:
    """The next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    return head + await reader.readexactly(size)


def saying(*answers: bytes) -> Play:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await heard(reader)
            writer.write(answer)
            await writer.drain()
        await reader.read()

    return play


async def whole(response: httpx2.Response) -> bytes:
    return await response.aread()


async def test_an_answer_that_was_announced_is_waited_for() -> None:
    async with asking(saying(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK)) as (
        _,
        ask,
    ):
        response = await ask()
        assert (response.status_code, await whole(response)) == (200, b"ok")
        assert "link" not in response.headers


async def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    async with asking(saying(OK, CHUNKED + b"2\r\nok\r\n0\r\n\r\n", OK)) as (service, ask):
        assert [await whole(await ask()) for _ in range(3)] == [b"ok"] * 3
        assert service.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"),
        OK.replace(b"1.1", b"1.0"),
        OK + b"and more",
        OK + OK,
        b"HTTP/1.1 204 Nothing\r\nconnection: close\r\n\r\n",
    ],
    ids=["said so", "old", "more than was announced", "two answers", "empty"],
)
async def test_a_connection_is_not_used_again_where_that_is_not_safe(answer: bytes) -> None:
    async with asking(saying(answer)) as (service, ask):
        first, second = await whole(await ask()), await whole(await ask())
        assert first == second
        assert first in (b"ok", b"")
        assert service.connections == 2


async def test_a_connection_that_the_service_has_closed_meanwhile_is_not_used() -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(OK)

    async with asking(play) as (service, ask):
        await whole(await ask())
        await service.closed.wait()
        for _ in range(10):  # its end arrives
            await asyncio.sleep(0)
        assert await whole(await ask()) == b"ok"
        assert service.connections == 2


async def test_after_a_connection_has_broken_under_a_request_none_of_its_age_is_used() -> None:
    """As after a laptop has slept: nothing has told us that all are closed. A request that may have been heard is not
    sent again.
    """

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(OK)
        await reader.read(1)

    async with asking(play) as (service, ask):
        open_at_once = await asyncio.gather(*(ask() for _ in range(4)))
        assert [await whole(response) for response in open_at_once] == [b"ok"] * 4
        assert service.connections == 4
        with pytest.raises(httpx2.RemoteProtocolError):
            await ask()
        assert service.connections == 4
        assert await whole(await ask()) == b"ok"
        assert service.connections == 5


async def test_a_broken_answer_is_not_asked_for_again_on_another_connection() -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(OK)
        await heard(reader)
        writer.write(b"HTTP/1.1 200")

    async with asking(play) as (service, ask):
        assert await whole(await ask()) == b"ok"
        with pytest.raises(httpx2.RemoteProtocolError):
            await ask()
        assert service.connections == 1


async def test_a_connection_is_readable_again_after_an_answer_that_was_read_late() -> None:
    late = b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + b"x" * 200_000
    async with asking(saying(late, OK)) as (service, ask):
        response = await ask()
        for _ in range(200):  # all of it arrives
            await asyncio.sleep(0)
        assert len(await whole(response)) == 200_000
        assert await whole(await ask()) == b"ok"
        assert service.connections == 1


async def test_trailers_without_end_are_not_kept() -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(CHUNKED + b"2\r\nok\r\n0\r\n")
        while True:
            writer.write(b"more: and more\r\n" * 1000)
            await writer.drain()

    async with asking(play) as (_, ask):
        with pytest.raises(httpx2.ReadError):
            await whole(await ask())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000,
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    ],
    ids=["an endless header", "endless headers", "another protocol", "two framings", "two lengths"],
)
async def test_what_is_not_to_be_trusted_is_refused(answer: bytes) -> None:
    async with asking(saying(answer)) as (_, ask):
        with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            await whole(await ask())


async def test_an_answer_in_the_middle_of_a_long_request_is_taken_and_ends_the_connection() -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK.replace(b"200 OK", b"413 Too much"))
        await writer.drain()
        await reader.read()

    async with asking(play) as (service, ask):
        for _ in range(2):
            response = await ask(b"x" * LARGE)
            assert (response.status_code, await whole(response)) == (413, b"ok")
        assert service.connections == 2


@pytest.mark.parametrize("header", [(b"x", b"a\r\nevil: yes"), (b"x", b"a\nb"), (b"x y", b"a"), (b"x", b"\0")])
async def test_a_header_that_could_be_taken_for_two_never_leaves(header: tuple[bytes, bytes]) -> None:
    async with asking(saying(OK)) as (service, ask):
        with pytest.raises(httpx2.LocalProtocolError):
            await ask(headers=[header])
        assert service.connections == 0


async def test_a_service_waits_while_nobody_reads() -> None:
    sent = 0
    blocked = asyncio.Event()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await heard(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % LARGE)
        asyncio.get_running_loop().call_later(0.2, blocked.set)
        while sent < LARGE:
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with asking(play) as (_, ask):
        response = await ask()
        await blocked.wait()
        assert sent < LARGE
        size = 0
        while data := await body_of(response).read():
            size += len(data)
        assert size == LARGE


async def test_what_comes_while_somebody_reads_is_offered_and_wakes_nobody_who_does_not_want_it() -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(CHUNKED)
        for piece in pieces:
            await gates.get()
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await gates.get()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    pieces = [b"one", b"two", b"wake up", b"four"]
    offered: list[bytes] = []
    gates: asyncio.Queue[None] = asyncio.Queue()
    arrived = asyncio.Event()

    def offer(data: bytes) -> bool:
        offered.append(data)
        arrived.set()
        return data != b"wake up"

    async def next_one() -> None:
        arrived.clear()
        gates.put_nowait(None)
        await arrived.wait()

    async with asking(play) as (_, ask):
        body = body_of(await ask())
        body.listen(offer)
        reading = asyncio.ensure_future(body.read())
        await asyncio.sleep(0)
        await next_one()
        await next_one()
        assert not reading.done()
        await next_one()
        assert await reading == b"", "what was offered is not read again"
        assert offered == pieces[:3]
        body.listen(None)
        gates.put_nowait(None)
        assert await body.read() == b"four"
        gates.put_nowait(None)
        assert await body.read() == b""
        assert offered == pieces[:3]
