"""A run as an HTTP response: wait for its first word, send what its receiver lacks, and let the run write the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol, TypeVar

from sse_starlette import EventSourceResponse
from sse_starlette.sse import AppStatus
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

# Streams end when their runs end, and those are drained by `app.main`: cutting them at SIGTERM would lose their ends.
AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]


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
    return _Reading(receiver, stream_response(_body(receiver, encoder, write), encoder))


class _Reading(Response):
    """A response whose reader leaves with it, even if its body never began."""

    def __init__(self, receiver: Receiver, response: Response) -> None:
        super().__init__()
        self._receiver = receiver
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._response(scope, receive, send)
        finally:
            self._receiver.close()


async def _has_begun(request: Request[State], receiver: Receiver, encoder: Encoder) -> bool:
    """Wait for the run's first word, or until keep-alives must flow; False if the client has left meanwhile."""
    begun = asyncio.ensure_future(receiver.begin())
    gone = asyncio.ensure_future(disconnected(request))
    try:
        # Without keep-alives there is nothing to send, so nothing is gained by committing early.
        patience = FIRST_EVENT_SECONDS if encoder.keep_alive else None
        await asyncio.wait([begun, gone], timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        return not gone.done()
    finally:
        begun.cancel()
        gone.cancel()


class Format(Protocol):
    """What a response must know of the format that its body is in: see `app.core.ports.Encoder`."""

    media_type: str
    headers: Mapping[str, str]
    keep_alive: bytes


def stream_response(body: AsyncGenerator[bytes, None], encoder: Format) -> Response:
    """Bytes as they come, with the format's headers and keep-alives."""
    return EventSourceResponse(
        body,
        media_type=encoder.media_type,
        headers=dict(encoder.headers),
        sep="\n",
        ping=KEEP_ALIVE_SECONDS if encoder.keep_alive else 0,
        ping_message_factory=lambda: encoder.keep_alive,  # type: ignore[arg-type,return-value]  # bytes pass through
        send_timeout=SEND_TIMEOUT_SECONDS,
    )


async def _body(receiver: Receiver, encoder: Encoder, write: Write | None) -> AsyncGenerator[bytes, None]:
    try:
        if not receiver.channel.begun:
            yield encoder.keep_alive
        async with aclosing(receiver.pieces(write)) as pieces:
            async for data in pieces:
                yield data
    finally:
        receiver.close()


async def disconnected(request: Request[State]) -> None:
    """Returns when the client has left; its body has been read already."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def next_batch(events: AsyncGenerator[Sequence[_Event], None]) -> Sequence[_Event]:
    """The next batch, or an empty one: `anext` with a tuple as default is a SystemError in CPython 3.11."""
    async for batch in events:
        return batch
    return ()
