"""Listening: the socket, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
import sys
import time
from contextlib import suppress
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from app.chat.live import LiveRuns
from app.garbage import Collector
from app.settings.errors import ConfigurationError
from app.settings.server import Certificate
from app.web.handover import Neighbours, take
from app.web.protocol import HttpProtocol, only_own
from app.workers import Seat

log = logging.getLogger(__name__)

DEFAULT_PORT = 8000
BACKLOG = 2048
DRAIN_SECONDS = 5.0
"""What running answers get at shutdown before they are stopped and saved."""
KEEP_ALIVE_SECONDS = 75
"""How long a connection may rest. Longer than reverse proxies let theirs, else one closes under a request of theirs."""
FEW_FILES = 4_096
"""A stream takes two open files: the client's connection and the model service's."""

_OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)
"""It is taken, or not for us; whatever else goes wrong is for the address."""

_TICKS_BETWEEN_CHECKS = 10
"""Of uvicorn's ten ticks a second."""


def listen(host: str, port: int | None) -> socket.socket:
    """A listening socket; without a port the first free one from 8000 on.

    Raises:
        ConfigurationError: the port is taken, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(DEFAULT_PORT, DEFAULT_PORT + 100) if port is None else [port]:
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(BACKLOG)
        except (OSError, UnicodeError) as error:
            listener.close()
            number = error.errno if isinstance(error, OSError) else None
            if number in _OF_THE_PORT and port is None:
                continue
            reason = (isinstance(error, OSError) and error.strerror) or "it cannot be used"
            other = "--port" if number in _OF_THE_PORT else "--host"
            raise ConfigurationError(
                f"Cannot listen on {host} port {candidate}: {reason}. Choose another {other}."
            ) from None
        listener.setblocking(False)
        return listener
    raise ConfigurationError(f"No free port from {DEFAULT_PORT} to {DEFAULT_PORT + 99}. Choose one with --port.")


def tls_context(certificate: Certificate) -> ssl.SSLContext:
    """For HTTP/1.1 over TLS. HTTP/2 is a proxy's work: the libraries for it keep in memory what a client does not read.

    Raises:
        ConfigurationError: a file cannot be read, or they do not belong together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate.chain, certificate.key, password="")
    except OSError as error:  # as are those of OpenSSL
        reason = (
            "they are no PEM files, or do not belong together" if isinstance(error, ssl.SSLError) else error.strerror
        )
        raise ConfigurationError(f"The TLS certificate and its key cannot be used: {reason}.") from None
    return context


def raise_file_limit() -> None:
    """Take as many open files as the system lets us have: what shells give by default is soon used up by streams."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and soft != resource.RLIM_INFINITY:
        with suppress(ValueError, OSError):  # macOS says that there is no limit, and then has one
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < FEW_FILES:
        log.warning(
            "few open files allowed; raise the limit (ulimit -n, or LimitNOFILE)",
            extra={"files": files, "streams": files // 2},
        )


class Server(uvicorn.Server):
    """uvicorn, with running answers drained while it waits for their streams to end."""

    def __init__(
        self, app: ASGIApp, runs: LiveRuns, *, tls: ssl.SSLContext | None = None, seat: Seat | None = None
    ) -> None:
        """`seat` is this process's place among several workers."""
        self._neighbours = None if seat is None else Neighbours(seat.number, seat.outboxes)
        super().__init__(
            uvicorn.Config(
                app if self._neighbours is None else only_own(app, self._neighbours),
                http=partial(HttpProtocol, neighbours=self._neighbours),  # type: ignore[arg-type]  # called, no more
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                ssl_context_factory=None if tls is None else lambda config, default: tls,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=int(DRAIN_SECONDS) + 2,
            )
        )
        self._runs = runs
        self._seat = seat
        self._is_full = False
        self._arriving = set[asyncio.Task[object]]()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._garbage = Collector(time.monotonic)
        if self._seat is not None:
            loop = asyncio.get_running_loop()
            loop.add_reader(self._seat.inbox, self._take, self._seat.inbox)
            loop.add_reader(self._seat.lifeline, self._leave, self._seat.lifeline)
            self._seat.tell_ready()

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_BETWEEN_CHECKS == 0:
            self._say_if_full()
            self._garbage.look()
        return await super().on_tick(counter)

    def _say_if_full(self) -> None:
        """What cannot be accepted is reset by uvloop, which says nothing: nobody shall search long for the reason."""
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            if not self._is_full:
                log.error(  # noqa: TRY400  # a traceback would say less
                    "no more files may be opened: connections are refused; raise the limit (ulimit -n)",
                    extra={"connections": len(self.server_state.connections)},
                )
            self._is_full = True
        else:
            self._is_full = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        draining = asyncio.create_task(self._runs.drain(DRAIN_SECONDS))
        await super().shutdown(sockets)
        await draining
        self._captured_signals.clear()  # uvicorn would raise them again, and the process would not end with 0

    def _take(self, inbox: socket.socket) -> None:
        """Go on with connections that other workers have handed over."""
        loop = asyncio.get_running_loop()
        while (handed_over := take(inbox)) is not None:
            connection, received = handed_over
            protocol = partial(
                HttpProtocol,
                self.config,
                self.server_state,
                self.lifespan.state,
                neighbours=self._neighbours,
                received=received,
            )
            task = loop.create_task(loop.connect_accepted_socket(protocol, connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    def _leave(self, lifeline: int) -> None:
        """The parent has died: nobody could end or replace this worker any more."""
        asyncio.get_running_loop().remove_reader(lifeline)
        log.error("parent process is gone; ending")
        self.should_exit = True
