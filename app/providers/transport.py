"""httpx2 over aiohttp's connections, whose parser is written in C.

The SDKs build, sign and check their requests with httpx2; what httpx2 reads a response with costs more per network read
than all that is done with it afterwards. So a body is read here past httpx2: `body_of(response).read()`.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Protocol

import aiohttp
import httpx2
from yarl import URL

_KEEP_SECONDS = 30.0
"""How long a connection that nobody uses stays open for the next request."""
_MAX_HEADER_BYTES = 65_536
_SENT_AT_ONCE = 500_000
"""A longer request is written piece by piece, so that it does not hold up everybody else."""


class Body(Protocol):
    """What a response consists of, read as it comes in."""

    async def read(self) -> bytes:
        """Everything that has come since the last call, at least a byte; empty at the end."""
        ...


def body_of(response: httpx2.Response) -> Body:
    body: Body = response.extensions.get("body") or _AnyBody(response)
    return body


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Connections to one service, kept open between requests, TLS sessions included."""

    def __init__(self, *, encrypted: bool) -> None:
        """`encrypted`: whether certificates will be needed, which take a while to read."""
        self._context = httpx2.create_ssl_context() if encrypted else True
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        content = await request.aread()
        connect = request.extensions.get("timeout", {}).get("connect")
        with _mapped_errors():
            response = await self._opened().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=io.BytesIO(content) if len(content) > _SENT_AT_ONCE else content or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect),
            )
        body = _AiohttpBody(response)
        return httpx2.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=body,
            extensions={"body": body, "http_version": b"HTTP/1.1", "reason_phrase": (response.reason or "").encode()},
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_SECONDS, ssl=self._context)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("accept", "accept-encoding", "user-agent", "content-type"),
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
            )
        return self._session


class _AiohttpBody(httpx2.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.read = response.content.readany
        """Past httpx2, so it raises aiohttp's errors; adapters translate them (`Adapter.translate`)."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """For whoever reads it through httpx2: the SDKs, of errors."""
        try:
            while data := await self.read():
                yield data
        except (aiohttp.ClientError, OSError) as error:
            raise httpx2.ReadError(str(error)) from error

    async def aclose(self) -> None:
        self._response.close()


class _AnyBody:
    """Of a response that came through a proxy, and so over httpx2's own connections."""

    def __init__(self, response: httpx2.Response) -> None:
        self._pieces = response.aiter_raw()

    async def read(self) -> bytes:
        return await anext(self._pieces, b"")


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise httpx2.ConnectTimeout(str(error)) from error
    except aiohttp.InvalidURL as error:
        raise httpx2.UnsupportedProtocol(str(error)) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx2.ConnectError(str(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise httpx2.RemoteProtocolError(str(error)) from error
    except ValueError as error:
        raise httpx2.LocalProtocolError(str(error)) from error
