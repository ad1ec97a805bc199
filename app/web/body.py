"""Request bodies: how much, for how long, and as what they are read."""

from __future__ import annotations

from typing import Any

import anyio
from starlette.requests import Request
from starlette.types import Message, Receive

from app.chat.apart import MANY_BYTES, apart
from app.web.errors import Refusal
from app.wire.json import parse_object

LINGER_SECONDS = 1.0
LINGER_BYTES = 64 * 1024 * 1024


async def read_object(request: Request[Any]) -> dict[str, Any]:
    """The JSON object in the body.

    Raises:
        InvalidJson: see `app.wire.json`.
        Refusal: 413 or 408, from the `LimitedBody` that the guard puts in front.
    """
    return await apart(await is_large(request), parse_object, await request.body())


async def is_large(request: Request[Any]) -> bool:
    """Whether making something of the body is work for a thread."""
    return len(await request.body()) > MANY_BYTES


def too_large(limit: int) -> Refusal:
    message = f"The request is too large; at most {limit:,} bytes are accepted."
    return Refusal(413, "request_too_large", message, headers={"connection": "close"})


class LimitedBody:
    """A `receive` that counts bytes and watches the clock until the body is complete, then steps aside."""

    def __init__(self, receive: Receive, *, limit: int, seconds: float) -> None:
        self.complete = False
        self._receive = receive
        self._limit = limit
        self._left = limit
        self._deadline = anyio.current_time() + seconds

    async def __call__(self) -> Message:
        if self.complete:
            return await self._receive()
        with anyio.CancelScope(deadline=self._deadline) as scope:
            message = await self._receive()
        if scope.cancelled_caught:
            raise Refusal(
                408,
                "request_timeout",
                "The body of the request took too long to arrive.",
                headers={"connection": "close"},
            )
        self._left -= len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        if self._left < 0:
            raise too_large(self._limit)
        return message


async def drain(receive: Receive, seconds: float) -> None:
    """Take, for a while, what a client is still sending after its answer: closing the connection on it would reset it,
    and the client might never see the answer.
    """
    left = LINGER_BYTES
    with anyio.move_on_after(seconds):
        while left > 0:
            message: Message = {}
            with anyio.move_on_after(LINGER_SECONDS):
                message = await receive()
            if not message.get("more_body"):
                return
            left -= len(message["body"])
