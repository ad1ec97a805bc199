"""GET a page of the public web, and of nothing else: the one place where the server goes where a model sends it.

A name is resolved first, every address it has must be public, and the connection goes to the very address that was
checked: a name that answers differently the second time gains nothing. Each redirect starts from the beginning. No
cookies, no credentials, no proxy, nothing of the caller's goes along.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from app.core.tools import ToolFailure

if TYPE_CHECKING:  # else imported when a page is fetched
    import httpx2

MAX_BYTES = 2_000_000
"""Of a body, as it comes: no compression is asked for, and none is taken."""
MAX_REDIRECTS = 5
SECONDS = 10.0
"""For all of it, redirects included."""
MAX_URL = 2_000
PORTS = frozenset({80, 443, 8080, 8443})
TEXT_TYPES = re.compile(r"text/(?!event-stream)[\w.+-]+|application/(?:xhtml\+xml|xml|json|[\w.-]+\+(?:xml|json))")

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Name and port → its IP addresses. Raises OSError where there are none."""

_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # what virtual machines at Azure are told about themselves
        "192.0.0.0/24",  # protocol assignments; Oracle's cloud tells its machines about themselves there
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",
    )
)
"""Not for the public web, whatever Python's tables of this version say of them."""
_UNICAST = ipaddress.ip_network("2000::/3")
"""The only IPv6 that is handed out. Mapped, translated (64:ff9b::/96), local and multicast addresses are elsewhere."""


@dataclass(frozen=True, slots=True)
class Page:
    url: str
    """Where it was in the end."""
    media_type: str
    content: bytes
    charset: str | None
    cut: bool
    """There is more than MAX_BYTES of it."""


def is_public(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # an IPv6 address with a zone is none either
        return False
    if any(ip in network for network in _SPECIAL if network.version == ip.version):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and (ip.version == 4 or ip in _UNICAST)


async def resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _new_transport() -> httpx2.AsyncBaseTransport:
    import httpx2

    return httpx2.AsyncHTTPTransport()


class PublicWeb:
    def __init__(
        self,
        resolve: Resolve = resolve,
        new_transport: Callable[[], httpx2.AsyncBaseTransport] = _new_transport,
        seconds: float = SECONDS,
    ) -> None:
        self._resolve = resolve
        self._new_transport = new_transport
        self._seconds = seconds

    async def get(self, url: str) -> Page:
        """Raises ToolFailure, with the reason."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(url)
        except TimeoutError:
            raise ToolFailure(f"The page did not come within {self._seconds:g} seconds.") from None

    async def _follow(self, url: str) -> Page:
        for _ in range(MAX_REDIRECTS + 1):
            found = await self._get(read_url(url))
            if isinstance(found, Page):
                return found
            url = found
        raise ToolFailure("The page redirects too often.")

    async def _get(self, url: httpx2.URL) -> Page | str:
        """The page, or where it redirects to."""
        import httpx2

        name = url.raw_host.decode("ascii")  # as it goes over the wire: two spellings could be two servers
        address = await self._checked_address(url.scheme, name, url.port)
        request = httpx2.Request(
            "GET",
            url.copy_with(host=address),
            headers={
                "Host": url.netloc.decode("ascii"),
                "User-Agent": "Palaver (a person's chat server, fetching one page)",
                "Accept": "text/html, text/*;q=0.9, application/json;q=0.8",
                "Accept-Encoding": "identity",
                "Connection": "close",
            },
            extensions={"sni_hostname": name, "timeout": httpx2.Timeout(self._seconds).as_dict()},
        )
        try:
            async with self._new_transport() as transport:
                response = await transport.handle_async_request(request)
                try:
                    return await _read(url, response)
                finally:
                    await response.aclose()
        except (httpx2.TransportError, httpx2.InvalidURL, OSError):
            raise ToolFailure("The page's server cannot be reached, or broke the connection.") from None

    async def _checked_address(self, scheme: str, name: str, port: int | None) -> str:
        try:
            addresses = await self._resolve(name, port or (443 if scheme == "https" else 80))
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise ToolFailure("There is no server of this name.")
        if not all(map(is_public, addresses)):
            raise ToolFailure("This address is not on the public web; only public pages can be fetched.")
        return addresses[0]


def read_url(url: str) -> httpx2.URL:
    """Raises ToolFailure unless it is an http(s) address on a usual port, without credentials."""
    import httpx2

    try:
        parsed = httpx2.URL(url if len(url) <= MAX_URL else "")
        port, host = parsed.port, parsed.host
    except (httpx2.InvalidURL, ValueError):
        raise ToolFailure("This is no address of a page.") from None
    if parsed.scheme not in ("http", "https") or not host:
        raise ToolFailure("Only addresses that begin with http:// or https:// can be fetched.")
    if parsed.userinfo:
        raise ToolFailure("An address with a name or a password in it is not fetched.")
    if port is not None and port not in PORTS:
        raise ToolFailure("Only pages on the usual ports can be fetched.")
    return parsed.copy_with(fragment=None)


async def _read(url: httpx2.URL, response: httpx2.Response) -> Page | str:
    import httpx2

    location = response.headers.get("location")
    if 300 <= response.status_code < 400 and location is not None:
        try:
            return str(url.join(location))
        except (httpx2.InvalidURL, ValueError):
            raise ToolFailure("The page redirects to what is no address.") from None
    if response.status_code != 200:
        raise ToolFailure(f"The page's server answered with status {response.status_code}.")
    media_type, _, parameters = response.headers.get("content-type", "").lower().partition(";")
    if not TEXT_TYPES.fullmatch(media_type.strip()):
        raise ToolFailure("This is no page of text.")
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ToolFailure("The page came compressed, which was not asked for.")
    content = bytearray()
    async for chunk in response.stream:  # type: ignore[union-attr]
        content += chunk
        if len(content) > MAX_BYTES:
            break
    charset = re.search(r"charset=\"?([\w.:-]+)", parameters)
    cut = len(content) > MAX_BYTES
    return Page(str(url), media_type.strip(), bytes(content[:MAX_BYTES]), charset[1] if charset else None, cut)
