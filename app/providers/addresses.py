"""A socket to a host that may have several addresses: where one does not answer, the next is tried beside it.

RFC 8305, "Happy Eyeballs": many networks hand out IPv6 addresses that lead nowhere. uvloop has nothing for that.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest
from typing import Any, TypeAlias

_HEAD_START = 0.25
"""Seconds that an address has for itself."""

Address: TypeAlias = tuple[int, int, int, str, Any]
"""As `getaddrinfo` tells them."""


async def connected(host: str, port: int) -> socket.socket:
    """Raises OSError: the name has no address, or none of them answers."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await first_of(in_turns(found), _connect)


def in_turns(found: Sequence[Address]) -> list[Address]:
    """One of each kind of address after the other, in the order of the system's preference."""
    first = [address for address in found if address[0] == found[0][0]]
    other = [address for address in found if address[0] != found[0][0]]
    return [address for address in chain.from_iterable(zip_longest(first, other)) if address is not None]


async def first_of(
    addresses: Sequence[Address], connect: Callable[[Address], Awaitable[socket.socket]]
) -> socket.socket:
    """The first to come about.

    Raises:
        OSError: none has; why not, of the one that failed last.
    """
    waiting = list(addresses)
    tries: set[asyncio.Future[socket.socket]] = set()
    failure = OSError("no address")
    try:
        while waiting or tries:
            if waiting:
                tries.add(asyncio.ensure_future(connect(waiting.pop(0))))
            limit = _HEAD_START if waiting else None
            done, _ = await asyncio.wait(tries, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                tries.remove(attempt)
                try:
                    return attempt.result()
                except OSError as error:
                    failure = error
        raise failure
    finally:
        for attempt in tries:
            if not attempt.cancel() and attempt.exception() is None:
                attempt.result().close()


async def _connect(address: Address) -> socket.socket:
    family, kind, protocol, _, where = address
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, where)
    except BaseException:
        opened.close()
        raise
    return opened
