"""The MCP servers of the configuration, as it is now: a server that is new or changed gets a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from app.core.tools import McpServer, McpStatus
from app.tools.mcp_connection import McpConnection

PATIENCE = 5.0
"""Seconds that a turn waits for a server that is not there yet, before it goes on without its tools."""


class McpServers:
    def __init__(self, tasks: asyncio.TaskGroup, environ: Mapping[str, str], patience: float = PATIENCE) -> None:
        self._tasks = tasks
        self._environ = environ
        self._patience = patience
        self._connections: dict[str, McpConnection] = {}

    def follow(self, servers: Mapping[str, McpServer]) -> Mapping[str, McpConnection]:
        """The connections of just these servers, in this order; what is not among them any more is closed."""
        for name, connection in list(self._connections.items()):
            if servers.get(name) != connection.server:
                del self._connections[name]
                self._tasks.create_task(connection.close(), name=f"close mcp {name}")
        for name, server in servers.items():
            if name not in self._connections:
                self._connections[name] = McpConnection(server, self._tasks, self._environ, self._patience)
        return {name: self._connections[name] for name in servers}

    def status(self) -> Sequence[McpStatus]:
        return [connection.status() for connection in self._connections.values()]

    async def close(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._connections.values()))
        self._connections.clear()
