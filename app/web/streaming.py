"""A run as an HTTP response: wait for its first word, send what its receiver lacks, and let the run write the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol, TypeVar

import anyio
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.chat.channel import Receiver, Write
from app.core.errors import RunFailed
from app.core.ports import Encoder
from app.web.deps import State

KEEP_ALIVE_SECONDS = 12
FIRST_EVENT_SECONDS = 10
"""How long an answer may be silent before it is committed to a 200, so that keep-alives can flow."""
SEND_TIMEOUT_SECONDS = 60
"""A client that takes nothing for so long is dropped; it can come back and resume."""

_Event = TypeVar("_Event")

WRITE = "palaver.write"
"""An ASGI extension of our server: `write(data)` sends a piece of a streamed body at once, waiting for nothing. False
where that cannot be, because the client is slow or the response has not begun; then nothing was sent.
"""


async def stream_run(request: Request[State], receiver: Receiver, encoder: Encoder) -> Response:
    """The response for what `receiver` gets. A client that leaves before the first word is noticed.

    Raises:
        RunFailed: the run ended before its first event; nothing has been sent yet.
    """
    try:
        if not receiver.channel.begun and not await _has_begun(request, receiver, encoder):
            receiver.close()
            return Response()
    except BaseException:
        receiver.close()
        raise
    if (failure := receiver.channel.refusal) is not None:
        receiver.close()
        raise RunFailed(failure.text, code=failure.code, status=failure.status, retry_after=failure.retry_after)
    write = request.scope.get("extensions", {}).get(WRITE, {}).get("write")
    return stream_response(_body(receiver, encoder, write), encoder, receiver.close)


async def _has_begun(request: Request[State], receiver: Receiver, encoder: Encoder) -> bool:
    """Wait for the run's first word, or until keep-alives must flow; False if the client has left meanwhile."""
    # Without keep-alives there is nothing to send, so nothing is gained by committing early.
    with anyio.move_on_after(FIRST_EVENT_SECONDS if encoder.keep_alive else None) as waiting:
        gone = asyncio.ensure_future(disconnected(request.receive))
        gone.add_done_callback(lambda _: waiting.cancel())
        try:
            await receiver.begin()
        finally:
            left = gone.done()
            gone.cancel()
    return not left


class Format(Protocol):
    """What a response must know of the format that its body is in: see `app.core.ports.Encoder`."""

    media_type: str
    headers: Mapping[str, str]
    keep_alive: bytes


class EventStream(EventSourceResponse):
    """sse-starlette's response, sent by the task of its request.

    As it comes it starts four tasks for each stream, which cost more time and memory than all else of a response. Here
    is one beside it: it notices that the client leaves, and keeps a quiet connection alive.
    """

    def __init__(self, body: AsyncGenerator[bytes, None], encoder: Format, ended: Callable[[], None]) -> None:
        """`ended` is called when the client has been served, or has left, even if the body never began."""
        super().__init__(
            body,
            media_type=encoder.media_type,
            headers=dict(encoder.headers),
            ping=KEEP_ALIVE_SECONDS if encoder.keep_alive else 0,
            send_timeout=SEND_TIMEOUT_SECONDS,
        )
        self._body = body
        self._keep_alive = encoder.keep_alive
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises SendTimeoutError where the client takes nothing."""
        try:
            if scope["method"] == "HEAD":
                await super().__call__(scope, receive, send)
            else:
                await self._serve(receive, send)
        finally:
            self._ended()

    async def _serve(self, receive: Receive, send: Send) -> None:
        with anyio.CancelScope() as streaming:
            companion = asyncio.ensure_future(self._accompany(receive, send))
            companion.add_done_callback(lambda _: streaming.cancel())
            try:
                async with aclosing(self._body):
                    await self._stream(send)
            finally:
                companion.cancel()
        if companion.done() and not companion.cancelled():
            companion.result()

    async def _stream(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for data in self._body:
            await self._send(send, data)
        self.active = False
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _accompany(self, receive: Receive, send: Send) -> None:
        """Return when the client has left."""
        while True:
            with anyio.move_on_after(self.ping_interval or None):
                await disconnected(receive)
                return
            if self.active:
                await self._send(send, self._keep_alive)

    async def _send(self, send: Send, data: bytes) -> None:
        try:
            async with asyncio.timeout(self.send_timeout):
                await send({"type": "http.response.body", "body": data, "more_body": True})
        except TimeoutError:
            raise SendTimeoutError from None


def stream_response(
    body: AsyncGenerator[bytes, None], encoder: Format, ended: Callable[[], None] = lambda: None
) -> Response:
    """Bytes as they come, with the format's headers and keep-alives; `ended` as `EventStream` has it."""
    return EventStream(body, encoder, ended)


async def _body(receiver: Receiver, encoder: Encoder, write: Write | None) -> AsyncGenerator[bytes, None]:
    try:
        if not receiver.channel.begun:
            yield encoder.keep_alive
        async with aclosing(receiver.pieces(write)) as pieces:
            async for data in pieces:
                yield data
    finally:
        receiver.close()


async def disconnected(receive: Receive) -> None:
    """Returns when the client has left; its body has been read already."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def next_batch(events: AsyncGenerator[Sequence[_Event], None]) -> Sequence[_Event]:
    """The next batch, or an empty one: `anext` with a tuple as default is a SystemError in CPython 3.11."""
    async for batch in events:
        return batch
    return ()
