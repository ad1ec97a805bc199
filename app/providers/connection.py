"""One HTTP/1.1 connection to a model service, one request after the other.

The parser is httptools', written in C. What a network read brings of a body is offered at once to whoever waits for it
(`Body.listen`), in the same step of the event loop: waking a task for each token would cost more than decoding it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

import httptools
import httpx2

from app.providers.reader import Offer

_MOST_HEADER_BYTES = 65_536
"""Without a piece of a body between them; trailers are headers, too."""
_MOST_BODY_BYTES = 131_072
"""Of a body that nobody reads: then the service has to wait."""
_SENT_AT_ONCE = 262_144
"""A longer request is written piece by piece, so that it does not hold up everybody else."""
_FIRST_FINAL = 200
_NO_BODY = frozenset({204, 304})

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[^\x00\r\n]*")


class Body(Protocol):
    """What a response consists of, read as it comes in."""

    async def read(self) -> bytes:
        """Everything that has come since the last call; empty at the end."""
        ...

    def listen(self, offer: Offer | None) -> None:
        """From now on `offer` may get what comes while somebody waits in `read`."""
        ...

    async def aclose(self) -> None:
        """Nobody reads on; what is under way is broken off."""
        ...


@dataclass(slots=True)
class Head:
    """How a response begins."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]


def head_of(request: httpx2.Request, size: int) -> bytes:
    """The beginning of a request with `size` bytes of content.

    Raises:
        httpx2.LocalProtocolError: a header could be taken for more than one.
    """
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    names = set()
    for name, value in request.headers.raw:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise httpx2.LocalProtocolError("A header of the request cannot be sent.", request=request)
        names.add(name.lower())
        if name.lower() != b"transfer-encoding":
            lines.append(b"%b: %b" % (name, value))
    if size and b"content-length" not in names:
        lines.append(b"content-length: %d" % size)
    return b"\r\n".join((*lines, b"", b""))


class Connection(asyncio.Protocol):
    def __init__(self, ended: Callable[[Connection], None]) -> None:
        """`ended` is called once an answer is whole, or the connection is closed: look at `is_free`."""
        self.is_free = True
        """Another request may be sent, unless the service has just hung up."""
        self.expires: asyncio.TimerHandle | None = None
        """Closes it, while it is free."""
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._writable: asyncio.Future[None] | None = None
        self._pieces: list[bytes] = []
        """Of the body, as one read has brought them."""
        self.on_body = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)
        self._head: asyncio.Future[Head] | None = None
        """Waited for, while a request is under way."""
        self._headers: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._header_bytes = 0
        """What has come since the request, or since the last piece of the body."""
        self._body: ReceivedBody | None = None
        self._until_close = False
        """Nothing but its end says where the body ends."""
        self._sent = False
        """The request has left as a whole."""
        self._whole = False
        """The answer has come to its end."""
        self._lasts = True
        """Whether another request may follow."""

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    async def ask(self, head: bytes, content: bytes) -> tuple[Head, ReceivedBody]:
        """Send a request; return when its answer has begun.

        Raises:
            httpx2.RemoteProtocolError: it has not, or was no HTTP.
        """
        self.is_free = self._sent = self._whole = False
        self._headers, self._header_bytes = [], 0
        begun = self._head = self._loop.create_future()
        body = self._body = ReceivedBody(self)
        self._transport.write(head + content[:_SENT_AT_ONCE])
        for start in range(_SENT_AT_ONCE, len(content), _SENT_AT_ONCE):
            if self._writable is not None:
                await asyncio.wait([self._writable, begun], return_when=asyncio.FIRST_COMPLETED)
            if begun.done():  # an answer to half a request
                break
            self._transport.write(content[start : start + _SENT_AT_ONCE])
        else:
            self._sent = True
        return await begun, body

    def close(self) -> None:
        """At once, whatever is under way."""
        if self._head is not None:
            self._head.cancel()
        self._transport.abort()

    def pause(self) -> None:
        self._transport.pause_reading()

    def resume(self) -> None:
        self._transport.resume_reading()

    # What the event loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        wrong = ""
        if self._body is None:
            wrong = "an answer that nobody asked for"
        else:
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade):
                wrong = "no HTTP/1.1"
                self._lasts = False
            self._header_bytes += len(data)
            if pieces := self._pieces:
                self._header_bytes = 0
                self._body.arrived(pieces[0] if len(pieces) == 1 else b"".join(pieces))
                pieces.clear()
        if self._whole:
            self._end()
        elif wrong:
            self._fail(wrong)
        elif self._header_bytes > _MOST_HEADER_BYTES:
            self._fail("headers without end")

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def connection_lost(self, error: Exception | None) -> None:
        self.is_free = False
        self.resume_writing()
        if self._head is None and self._until_close and error is None and self._body is not None:
            self._end()
        elif self._body is not None:
            self._fail("the connection was closed in mid-answer")
        else:
            self._ended(self)

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._whole:
            raise ValueError("two answers to one request")

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        headers, self._headers = self._headers, []
        reason, self._reason = self._reason, b""
        if self._head is None or status < _FIRST_FINAL:  # only the next one is the answer's
            return
        framing = {name.lower(): value.lower() for name, value in headers}
        chunked = b"chunked" in framing.get(b"transfer-encoding", b"")
        self._until_close = not chunked and b"content-length" not in framing and status not in _NO_BODY
        self._lasts = self._lasts and self._parser.should_keep_alive()
        if not self._head.done():
            self._head.set_result(Head(status, reason, headers))
        self._head = None

    def on_message_complete(self) -> None:
        self._whole = self._head is None and self._body is not None

    # Ends

    def _end(self) -> None:
        """The answer is whole."""
        body, self._body = self._body, None
        assert body is not None
        body.finish(None)
        self.is_free = self._sent and self._lasts and self.is_open
        if self.is_free:
            self.resume()  # an answer that nobody read may have ended while the service had to wait
        else:
            self._transport.abort()
        self._ended(self)

    def _fail(self, what: str) -> None:
        self.is_free = False
        head, self._head = self._head, None
        body, self._body = self._body, None
        if head is not None and not head.done():
            head.set_exception(httpx2.RemoteProtocolError(f"The service broke off: {what}."))
        if body is not None:
            body.finish(httpx2.ReadError(f"The service broke off: {what}."))
        self._transport.abort()
        self._ended(self)


class ReceivedBody(httpx2.AsyncByteStream):
    """Implements `Body`."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection
        """None once the body is at its end."""
        self._arrived: list[bytes] = []
        self._size = 0
        self._paused = False
        self._error: httpx2.ReadError | None = None
        self._offer: Offer | None = None
        self._reader: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def read(self) -> bytes:
        """Raises httpx2.ReadError where the service has broken off."""
        if not self._arrived and self._connection is not None:
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if self._arrived:
            data = b"".join(self._arrived)
            self._arrived.clear()
            self._size = 0
            if self._paused and self._connection is not None:
                self._connection.resume()
            self._paused = False
            return data
        if self._error is not None:
            raise self._error
        return b""

    def listen(self, offer: Offer | None) -> None:
        self._offer = offer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """For whoever reads it through httpx2: the SDKs, of errors."""
        while data := await self.read():
            yield data

    async def aclose(self) -> None:
        self._offer = None
        if self._connection is not None:
            self._connection.close()

    def arrived(self, data: bytes) -> None:
        waits = self._reader is not None and not self._reader.done()
        if waits and self._offer is not None:
            if not self._offer(data):
                self._wake()
            return
        self._arrived.append(data)
        self._size += len(data)
        if waits:
            self._wake()
        elif self._size > _MOST_BODY_BYTES and not self._paused and self._connection is not None:
            self._paused = True
            self._connection.pause()

    def finish(self, error: httpx2.ReadError | None) -> None:
        self._connection = None
        self._error = error
        if self._reader is not None and not self._reader.done():
            self._wake()

    def _wake(self) -> None:
        assert self._reader is not None
        self._reader.set_result(None)
