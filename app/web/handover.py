"""Which worker a request belongs to, and how its connection gets there.

A run and its log live in one process, so every request about a block must reach the same one. With several workers any
of them may accept a connection; the first line of each request tells whose it is, and the socket itself is handed over
(SCM_RIGHTS), together with what was read from it. So no byte of an answer passes through a second process, and the
owner sees the client as if it had accepted it: its address, its pace, its leaving.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import socket
from collections import deque
from collections.abc import Sequence
from urllib.parse import unquote
from zlib import crc32

import httptools

log = logging.getLogger(__name__)

MOST_BYTES = 400_000
"""Of one message: what one read brings at most, and a first line before it."""
MOST_WAITING = 4_096
"""Connections that wait for a worker that takes none, because it is being started again."""

_BLOCK = re.compile(r"/(?:api/ai/(?:chat|conversations|blocks|resolve)|c|temporary)/([^/]+)")
_REQUEST_LINE = re.compile(rb"[\r\n]*[A-Z]+ ([^ ]+) HTTP/")


def block_of(path: str) -> str | None:
    """The block that a path is about; None where any worker can answer."""
    match = _BLOCK.match(path)
    return match[1] if match is not None else None


def worker_of(block_id: str, workers: int) -> int:
    return crc32(block_id.encode("utf-8", "replace")) % workers


def path_of(request: bytes) -> str | None:
    """The path in the first line of a request, as the application will see it; None where there is none."""
    line = _REQUEST_LINE.match(request)
    if line is None:
        return None
    try:
        return unquote(httptools.parse_url(line[1]).path.decode("ascii"))
    except (httptools.HttpParserError, AttributeError, UnicodeDecodeError):
        return None


class Neighbours:
    """The workers from one worker's point of view: which requests are theirs, and a way to each."""

    def __init__(self, number: int, outboxes: Sequence[socket.socket]) -> None:
        """`outboxes[n]` leads to worker n; that to `number` itself is not used."""
        self._number = number
        self._outboxes = [_Outbox(outbox) for outbox in outboxes]

    def owner(self, path: str) -> int | None:
        """The worker that a request for `path` must be handed to; None where it may stay."""
        block_id = block_of(path)
        if block_id is None:
            return None
        owner = worker_of(block_id, len(self._outboxes))
        return owner if owner != self._number else None

    def send(self, owner: int, connection: int, received: bytes) -> bool:
        """Hand over the connection (a descriptor, which is ours from now on) and what was read from it.

        Returns:
            False where the owner takes no more of them.
        """
        return self._outboxes[owner].add(connection, received)


class _Outbox:
    """What is on its way to one worker. Its queue in the system is short, so the rest waits here for room."""

    def __init__(self, outbox: socket.socket) -> None:
        self._outbox = outbox
        self._waiting: deque[tuple[int, bytes]] = deque()

    def add(self, connection: int, received: bytes) -> bool:
        if len(self._waiting) >= MOST_WAITING:
            os.close(connection)
            return False
        self._waiting.append((connection, received))
        if len(self._waiting) == 1 and not self._flush():
            asyncio.get_running_loop().add_writer(self._outbox.fileno(), self._write)
        return True

    def _write(self) -> None:
        if self._flush():
            asyncio.get_running_loop().remove_writer(self._outbox.fileno())

    def _flush(self) -> bool:
        """Whether nothing waits any more."""
        while self._waiting:
            connection, received = self._waiting[0]
            try:
                socket.send_fds(self._outbox, [received], [connection])
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.ENOBUFS):
                    return False
                log.exception("connection not handed over", extra={"bytes": len(received)})
            self._waiting.popleft()
            os.close(connection)
        return True


def take(inbox: socket.socket) -> tuple[socket.socket, bytes] | None:
    """The next connection that was handed to us, and what was read from it; None where there is none now."""
    try:
        received, descriptors, _, _ = socket.recv_fds(inbox, MOST_BYTES, 1)
    except BlockingIOError:
        return None
    if not descriptors:  # this process may open no more files, and the system has dropped the connection
        log.error("connection lost on its way; raise the limit of open files (ulimit -n)")
        return take(inbox)
    connection = socket.socket(fileno=descriptors[0])
    connection.setblocking(False)
    return connection, received
