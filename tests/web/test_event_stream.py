"""One streamed response and its client, without a server between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping

import pytest
from sse_starlette.sse import SendTimeoutError
from starlette.types import Message, Scope

from app.web.streaming import EventStream

pytestmark = pytest.mark.anyio

GET: Scope = {"type": "http", "method": "GET"}
SOON = 0.01
KEEP_ALIVE = b": keep-alive\n\n"


class Format:
    media_type = "text/event-stream"
    headers: Mapping[str, str] = {}
    keep_alive = KEEP_ALIVE


class Client:
    """Takes what is sent, as long as it wants to."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()
        self.got: asyncio.Queue[Message] = asyncio.Queue()

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        self.got.put_nowait(message)

    async def piece(self) -> bytes:
        """The next piece of the body; empty at its end."""
        message = await self.got.get()
        return (await self.got.get() if message["type"] == "http.response.start" else message)["body"]


class Service:
    """A body that says a word, waits, and ends when it is told to."""

    def __init__(self, *pieces: bytes) -> None:
        self.ends = asyncio.Event()
        self.closed = False
        self.left = False
        self._pieces = pieces

    async def body(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self._pieces:
                yield piece
            await self.ends.wait()
        finally:
            self.closed = True

    def stream(self) -> EventStream:
        return EventStream(self.body(), Format(), self.leave)

    def leave(self) -> None:
        self.left = True


async def test_a_quiet_stream_is_kept_alive_until_it_ends() -> None:
    service, client = Service(b"word"), Client()
    stream = service.stream()
    stream.ping_interval = SOON
    sending = asyncio.ensure_future(stream(GET, client.receive, client.send))
    assert [await client.piece() for _ in range(3)] == [b"word", KEEP_ALIVE, KEEP_ALIVE]
    service.ends.set()
    await sending
    rest = [client.got.get_nowait()["body"] for _ in range(client.got.qsize())]
    assert rest[-1] == b""
    assert set(rest[:-1]) <= {KEEP_ALIVE}
    assert (service.closed, service.left) == (True, True)


async def test_when_the_client_leaves_the_body_is_closed_and_nothing_more_is_sent() -> None:
    service, client = Service(b"word"), Client()
    sending = asyncio.ensure_future(service.stream()(GET, client.receive, client.send))
    assert await client.piece() == b"word"
    client.leaves.set()
    await sending
    assert (service.closed, service.left, client.got.empty()) == (True, True, True)


@pytest.mark.parametrize("pieces", [(b"word", b"another"), (b"word",)], ids=["of a body", "of keep-alives"])
async def test_a_client_that_takes_nothing_is_dropped(pieces: tuple[bytes, ...]) -> None:
    service, client = Service(*pieces), Client()
    stream = service.stream()
    stream.send_timeout = stream.ping_interval = SOON

    async def send(message: Message) -> None:
        await client.send(message)
        if message.get("body"):
            client.takes.clear()

    with pytest.raises(SendTimeoutError):
        await stream(GET, client.receive, send)
    assert await client.piece() == b"word"
    assert (service.closed, service.left) == (True, True)


async def test_a_stream_that_is_cancelled_is_cancelled() -> None:
    service, client = Service(b"word"), Client()
    sending = asyncio.ensure_future(service.stream()(GET, client.receive, client.send))
    assert await client.piece() == b"word"
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert (service.closed, service.left) == (True, True)


async def test_a_stream_takes_one_task_beside_that_of_its_request() -> None:
    service, client = Service(b"word"), Client()
    before = asyncio.all_tasks()
    sending = asyncio.ensure_future(service.stream()(GET, client.receive, client.send))
    assert await client.piece() == b"word"
    assert len(asyncio.all_tasks() - before - {sending}) == 1
    service.ends.set()
    await sending


async def test_an_answer_to_head_has_no_body() -> None:
    service, client = Service(b"word"), Client()
    await service.stream()({**GET, "method": "HEAD"}, client.receive, client.send)
    sent = [client.got.get_nowait() for _ in range(client.got.qsize())]
    assert [message.get("body") for message in sent] == [None, b""]
    assert service.left
