"""Listening: the socket, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from starlette.types import ASGIApp

from app.chat.live import LiveRuns
from app.settings.errors import ConfigurationError
from app.web.protocol import HttpProtocol

DEFAULT_PORT = 8000
DRAIN_SECONDS = 5.0
"""What running answers get at shutdown before they are stopped and saved."""


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
            listener.listen(2048)
        except OSError as error:
            listener.close()
            if port is not None:
                reason = error.strerror or "it cannot be used"
                raise ConfigurationError(
                    f"Cannot listen on {host} port {port}: {reason}. Choose another --port."
                ) from None
            continue
        listener.setblocking(False)
        return listener
    raise ConfigurationError(f"No free port from {DEFAULT_PORT} to {DEFAULT_PORT + 99}. Choose one with --port.")


class Server(uvicorn.Server):
    """uvicorn, with running answers drained while it waits for their streams to end."""

    def __init__(self, app: ASGIApp, runs: LiveRuns) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=HttpProtocol,
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=int(DRAIN_SECONDS) + 2,
            )
        )
        self._runs = runs

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        draining = asyncio.create_task(self._runs.drain(DRAIN_SECONDS))
        await super().shutdown(sockets)
        await draining
        self._captured_signals.clear()  # uvicorn would raise them again, and the process would not end with 0
