"""The HTTP client that the SDKs get: no redirects, no compression, no endless bodies, no proxy for the own machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from app.core.errors import ProviderError
from app.core.model import Timeouts
from app.providers.endpoint import Endpoint
from app.providers.failures import Failures
from app.providers.reader import Incoming
from app.providers.retry import retry_after
from app.providers.transport import Transport, body_of

MAX_ERROR_BYTES = 1_000_000
"""An error's body is read as a whole by the SDKs."""


class UnreadableResponseError(Exception):
    """A response that is refused unread."""


def new_client(endpoint: Endpoint) -> httpx2.AsyncClient:
    """A client for many long answers at a time. Time limits come with each request (`limits`).

    Proxies of the environment are used, except for a model server on this machine.
    """
    is_encrypted = endpoint.base_url.startswith("https:")
    return httpx2.AsyncClient(
        follow_redirects=False,
        headers={"Accept-Encoding": "identity"},
        trust_env=not endpoint.is_loopback,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30),
        event_hooks={"response": [_guard]},
        transport=None if _is_behind_proxy(endpoint) else Transport(encrypted=is_encrypted),
    )


def _is_behind_proxy(endpoint: Endpoint) -> bool:
    """Proxies of every kind are httpx2's business, with its own connections."""
    address = urlsplit(endpoint.base_url)
    proxies = getproxies()
    if endpoint.is_loopback or not (address.scheme in proxies or "all" in proxies):
        return False
    return not proxy_bypass(address.hostname or "")


def incoming(response: httpx2.Response) -> Incoming:
    body = body_of(response)
    return Incoming(response.headers, body.read, body.listen)


def limits(timeouts: Timeouts) -> httpx2.Timeout:
    """The time limits of one request. Reading has none here: the reader of the answer knows what it waits for."""
    return httpx2.Timeout(None, connect=timeouts.connect)


def translate(error: Exception, failures: Failures, *, answering: bool) -> ProviderError:
    """The error to show for one that an SDK or the client raised.

    Both SDKs have an `APIStatusError` with `status_code`, `response` and `body`, and wrap what the client raises,
    though not always: a connection that breaks in mid-answer comes bare.

    Args:
        error: what was raised.
        failures: of the preset.
        answering: the answer had begun, so that a broken connection has cut it off.
    """
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        response = getattr(error, "response", None)
        wait = retry_after(response.headers) if isinstance(response, httpx2.Response) else None
        return failures.status(status, getattr(error, "body", None), wait)
    own = httpx2.TransportError | UnreadableResponseError | OSError
    cause = error if isinstance(error, own) else error.__cause__
    match cause:
        case UnreadableResponseError():
            return failures.unreadable(str(cause), cause)
        case httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError():
            return failures.unreadable("the request cannot be sent", cause)
        case httpx2.TransportError() | OSError():
            return failures.cut_off(cause) if answering else failures.unreachable(cause)
        case _:
            return failures.unexpected(error)


async def _guard(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise UnreadableResponseError("a compressed answer, although none was asked for")
    if not response.is_success:
        response.stream = _Limited(response.stream)


class _Limited(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream | httpx2.SyncByteStream) -> None:
        assert isinstance(stream, httpx2.AsyncByteStream)
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for data in self._stream:
            size += len(data)
            if size > MAX_ERROR_BYTES:
                raise UnreadableResponseError("an error without end")
            yield data

    async def aclose(self) -> None:
        await self._stream.aclose()
