"""A run as an HTTP response: wait for its first word, then tail its log into one of the wire formats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from sse_starlette import EventSourceResponse
from sse_starlette.sse import AppStatus
from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import RunFailed
from app.core.events import StreamError, StreamEvent
from app.core.ports import Encoder
from app.web.deps import State

Events = AsyncGenerator[Sequence[StreamEvent], None]

KEEP_ALIVE_SECONDS = 12
FIRST_EVENT_SECONDS = 10
"""How long an answer may be silent before it is committed to a 200, so that keep-alives can flow."""
SEND_TIMEOUT_SECONDS = 60
"""A client that takes nothing for so long is dropped; it can come back and resume."""

# Streams end when their runs end, and those are drained by `app.main`: cutting them at SIGTERM would lose their ends.
AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]


async def stream_run(request: Request[State], events: Events, encoder: Encoder) -> Response:
    """The response for `events`. A client that leaves before the first one is noticed, and its reader is gone.

    Raises:
        RunFailed: the run ended before its first event; nothing has been sent yet.
    """
    first = asyncio.ensure_future(next_batch(events))
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        # Without keep-alives there is nothing to send, so nothing is gained by committing early.
        patience = FIRST_EVENT_SECONDS if encoder.keep_alive else None
        await asyncio.wait([first, gone], timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            first.cancel()
            await asyncio.wait([first])
            await events.aclose()
            return Response()
    except asyncio.CancelledError:
        first.cancel()
        raise
    finally:
        gone.cancel()
    if first.done():
        failure = next(iter(first.result()), None)
        if isinstance(failure, StreamError):
            await events.aclose()
            raise RunFailed(failure.text, code=failure.code, status=failure.status, retry_after=failure.retry_after)
    return stream_response(_encoded(first, events, encoder), encoder)


def stream_response(body: AsyncGenerator[bytes, None], encoder: Encoder) -> Response:
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


async def _encoded(
    first: asyncio.Future[Sequence[StreamEvent]], events: Events, encoder: Encoder
) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        if not first.done():
            yield encoder.keep_alive
        yield encoder.encode(await first)
        async for batch in events:
            yield encoder.encode(batch)
    yield encoder.end()


async def _disconnected(request: Request[State]) -> None:
    """Returns when the client has left; its body has been read already."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def next_batch(events: Events) -> Sequence[StreamEvent]:
    """The next batch, or an empty one: `anext` with a tuple as default is a SystemError in CPython 3.11."""
    async for batch in events:
        return batch
    return ()
