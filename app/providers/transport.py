"""httpx2 over connections of our own (`providers/connection`).

The SDKs build, sign and check their requests with httpx2; what httpx2 reads a response with costs more per network read
than all that is done with it afterwards, and a general HTTP client as much again. So a body is read here past httpx2:
`body_of(response)`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

import httpx2

from app.providers.addresses import connected
from app.providers.connection import Body, Connection, head_of
from app.providers.reader import Offer

_KEEP_SECONDS = 30.0
"""How long a connection that nobody uses stays open for the next request."""

Origin = tuple[str, str, int]


def body_of(response: httpx2.Response) -> Body:
    body: Body = response.extensions.get("body") or _AnyBody(response)
    return body


class Transport(httpx2.AsyncBaseTransport):
    """Connections to one service, kept open between requests."""

    def __init__(self, *, encrypted: bool) -> None:
        """`encrypted`: whether certificates will be needed, which take a while to read."""
        self._context = httpx2.create_ssl_context() if encrypted else None
        if self._context is not None:
            self._context.set_alpn_protocols(["http/1.1"])
        self._free: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._origins: dict[Connection, Origin] = {}
        """All that are open."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        content = await request.aread()
        head = head_of(request, len(content))
        origin = _origin(request)
        if (kept := self._kept(origin)) is None:
            timeouts = request.extensions.get("timeout", {})
            return await _answer(await self._connected(origin, timeouts.get("connect")), head, content)
        try:
            return await _answer(kept, head, content)
        except httpx2.RemoteProtocolError:
            # The service may have hung up long ago, as after a laptop has slept: others have ended with it. Whether it
            # has heard the request nobody knows, so to ask again is for those who count how often.
            for other in tuple(self._free[origin]):
                other.close()
            raise

    async def aclose(self) -> None:
        for connection in tuple(self._origins):
            connection.close()
        await asyncio.sleep(0)  # they are closed in the next step of the loop

    def _kept(self, origin: Origin) -> Connection | None:
        """One that is free, the one that was used last."""
        while self._free[origin]:
            connection = self._free[origin].pop()
            if connection.expires is not None:
                connection.expires.cancel()
            if connection.is_open:
                return connection
        return None

    async def _connected(self, origin: Origin, seconds: float | None) -> Connection:
        scheme, host, port = origin
        context = (self._context or True) if scheme == "https" else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._ended),
                    sock=await connected(host, port),
                    ssl=context,
                    server_hostname=host if context else None,
                )
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(str(error)) from error
        except (OSError, ValueError) as error:  # of names that are none, too
            raise httpx2.ConnectError(str(error)) from error
        self._origins[connection] = origin
        return connection

    def _ended(self, connection: Connection) -> None:
        """Its answer is whole, or it is closed."""
        origin = self._origins.get(connection)
        if origin is None:
            return
        if connection.expires is not None:
            connection.expires.cancel()
        if connection.is_free:
            connection.expires = asyncio.get_running_loop().call_later(_KEEP_SECONDS, connection.close)
            self._free[origin].append(connection)
            return
        del self._origins[connection]
        if connection in self._free[origin]:
            self._free[origin].remove(connection)


async def _answer(connection: Connection, head: bytes, content: bytes) -> httpx2.Response:
    try:
        begun, body = await connection.ask(head, content)
    except BaseException:
        connection.close()
        raise
    more = {"body": body, "http_version": b"HTTP/1.1", "reason_phrase": begun.reason}
    return httpx2.Response(begun.status, headers=begun.headers, stream=body, extensions=more)


def _origin(request: httpx2.Request) -> Origin:
    url = request.url
    if url.scheme not in ("http", "https") or not url.host:
        raise httpx2.UnsupportedProtocol("Only http and https addresses can be asked.", request=request)
    return url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


class _AnyBody:
    """Of a response that came through a proxy, and so over httpx2's own connections."""

    def __init__(self, response: httpx2.Response) -> None:
        self._pieces = response.aiter_raw()
        self.aclose = response.aclose

    async def read(self) -> bytes:
        return await anext(self._pieces, b"")

    def listen(self, offer: Offer | None) -> None:
        """It is only ever read."""
