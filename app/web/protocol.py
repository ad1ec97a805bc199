"""uvicorn's HTTP/1.1, with our own answer to what is no HTTP: it never reaches the application.

Where there are several workers, a connection whose next request is about another one's block is handed to that one.
"""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop, Transport
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.web.handover import Neighbours, path_of
from app.web.streaming import WRITE
from app.wire.json import dump_json

MOST_LINE_BYTES = 16_384
"""Of a first line that is waited for; the guard refuses shorter ones already."""


_HEADERS = (
    (b"content-type", b"application/json"),
    (b"connection", b"close"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)


def _body(kind: str, code: str, message: str) -> bytes:
    error = {"type": kind, "code": code, "message": message, "param": None}
    return dump_json({"type": "error", "error": error, "request_id": ""})


def _answer(status: bytes, body: bytes) -> bytes:
    headers = [*_HEADERS, (b"content-length", b"%d" % len(body))]
    return b"\r\n".join([b"HTTP/1.1 " + status, *(b"%b: %b" % header for header in headers), b"", body])


_INVALID = _answer(
    b"400 Bad Request", _body("invalid_request_error", "invalid_http", "This is not a valid HTTP request.")
)
_BUSY = _answer(
    b"503 Service Unavailable",
    _body("overloaded_error", "worker_busy", "This conversation cannot be reached now. Try again in a moment."),
)
_PIPELINED = _body(
    "invalid_request_error",
    "pipelined_request",
    "Wait for each answer before the next request on a connection, or send it on another one.",
)


class HttpProtocol(HttpToolsProtocol):
    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        neighbours: Neighbours | None = None,
        received: bytes = b"",
    ) -> None:
        """`received` is what another worker has read from the connection already."""
        super().__init__(config, server_state, app_state, _loop)
        self._neighbours = neighbours
        self._received = received
        self._in_message = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if self._received:
            received, self._received = self._received, b""
            self.data_received(received)

    def data_received(self, data: bytes) -> None:
        if self._neighbours is None or self._in_message or not (self.cycle is None or self.cycle.response_complete):
            super().data_received(data)
            return
        received = self._received + data
        if b"\n" not in received.lstrip(b"\r\n") and len(received) < MOST_LINE_BYTES:
            self._received = received
            return
        self._received = b""
        path = path_of(received)
        owner = None if path is None else self._neighbours.owner(path)
        # What is left to write belongs to an answer that the client waits for while it asks for more: that is
        # pipelining, and `only_own` says no to it.
        if owner is None or self.transport.get_write_buffer_size():
            super().data_received(received)
        elif self._neighbours.send(owner, os.dup(self.transport.get_extra_info("socket").fileno()), received):
            self.transport.abort()  # closes our descriptor of the connection; the owner has another one
        else:
            self.transport.write(_BUSY)
            self.transport.close()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.cycle is not None:
            self.cycle.scope["extensions"] = {WRITE: {"write": partial(_write, self.cycle)}}

    def on_message_begin(self) -> None:
        self._in_message = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self.transport.write(_INVALID)
        self.transport.close()


def _write(cycle: RequestResponseCycle, data: bytes) -> bool:
    """What `WRITE` is."""
    if not cycle.chunked_encoding or cycle.response_complete or cycle.disconnected:
        return False
    # Where another request waits on the connection, uvicorn tells only that one of a disconnect; and uvloop raises at a
    # write to what is closed.
    if cycle.flow.write_paused or cycle.transport.is_closing():
        return False
    cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
    return True


def only_own(app: ASGIApp, neighbours: Neighbours) -> ASGIApp:
    """Refuse what should have been handed over and could not be, because its connection still had another answer to
    give. Nothing about a block is done by two workers, whatever a client sends.
    """

    async def own(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and neighbours.owner(scope["path"]) is not None:
            await send({"type": "http.response.start", "status": 421, "headers": list(_HEADERS)})
            await send({"type": "http.response.body", "body": _PIPELINED})
        else:
            await app(scope, receive, send)

    return own
