"""One MCP server: connected when it is first needed, kept, connected again after a failure, each time a little later.

A task of the application's group holds the connection, because the SDK wants it closed by the task that opened it.
Nothing that happens in it gets out: a server that dies is a status and a sentence.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import math
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO, TypeVar

import anyio
from pydantic import ValidationError

from app.core.tools import McpServer, McpStatus, Offered, ToolFailure
from app.tools.mcp_tools import list_tools
from app.tools.threads import in_thread

if TYPE_CHECKING:
    from mcp import Client

CONNECT_SECONDS = 60.0
"""What a server gets to start and to list its tools: `npx` may have to load it first. Turns do not wait that long."""
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
_MAX_MESSAGE = 500
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})

T = TypeVar("T")

_log = logging.getLogger(__name__)


class McpConnection:
    def __init__(
        self,
        server: McpServer,
        tasks: asyncio.TaskGroup,
        environ: Mapping[str, str],
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`patience`: seconds that a turn waits for a server that is on its way."""
        self.server = server
        self._tasks = tasks
        self._environ = environ
        self._patience = patience
        self._clock = clock
        self._state: Literal["idle", "connecting", "ready", "failed"] = "idle"
        self._problem: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._listing = Offered(())
        self._begun = 0.0
        self._retry_at = -math.inf
        self._failures = 0
        self._settled = asyncio.Event()
        """Connected or failed."""
        self._lost = asyncio.Event()
        self._changed = asyncio.Event()

    def status(self) -> McpStatus:
        return McpStatus(self.server.name, self._state, len(self._listing.tools), self._problem)

    async def tools(self) -> Offered:
        """Its tools; or none, and a sentence that says why."""
        await self._connected()
        return self._listing if self._state == "ready" else Offered((), (self._sentence(),))

    async def use(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        """What the server answers.

        Raises:
            ToolFailure: it is not there, does not answer in time, refuses, or dies over it.
        """
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST

        await self._connected()
        client = self._client
        if client is None:
            raise ToolFailure(self._sentence())
        name = self.server.name
        try:
            async with asyncio.timeout(self.server.timeout):
                return await ask(client)
        except TimeoutError:
            raise ToolFailure(f"The MCP server {name} did not answer within {self.server.timeout:g} seconds.") from None
        except ValidationError:
            raise ToolFailure(f"The MCP server {name} answered with what is no valid result.") from None
        except MCPError as error:
            if error.code not in (CONNECTION_CLOSED, INVALID_REQUEST):  # the latter: it has forgotten our session
                raise ToolFailure(f"The MCP server {name} refused: {error.message[:_MAX_MESSAGE]}") from None
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass
        self._lost.set()
        raise ToolFailure(f"The connection to the MCP server {name} broke; whether the call was done is not known.")

    async def close(self) -> None:
        """End the connection, and with it the server's process."""
        self._retry_at, self._problem = math.inf, "it is not in the configuration any more"
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _connected(self) -> None:
        """Connect if there is a point in trying, and wait for it for as long as a turn may."""
        if self._task is None and self._clock() >= self._retry_at:
            self._state, self._begun = "connecting", self._clock()
            self._settled, self._lost, self._changed = asyncio.Event(), asyncio.Event(), asyncio.Event()
            self._task = self._tasks.create_task(self._serve(), name=f"mcp {self.server.name}")
        left = self._begun + self._patience - self._clock()
        if self._state == "connecting" and left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._settled.wait()

    def _sentence(self) -> str:
        if self._problem is None:
            return f"The MCP server {self.server.name} is still starting; its tools are missing for now."
        return f"The MCP server {self.server.name} cannot be used: {self._problem}."

    async def _serve(self) -> None:
        """The connection's whole life."""
        try:
            with anyio.fail_after(CONNECT_SECONDS) as limit:
                await in_thread(importlib.import_module, "mcp")
                async with self._open() as client:
                    self._listing = await list_tools(self.server, client, self.use)
                    limit.deadline = math.inf
                    self._client = client
                    self._state, self._problem, self._failures = "ready", None, 0
                    self._settled.set()
                    _log.info("MCP server ready", extra={"server": self.server.name, "tools": len(self._listing.tools)})
                    await self._watch(client)
            self._fail("the connection was lost")
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the others of the group
            self._fail(_explained(error))
        finally:
            self._client = self._task = None
            self._state = "failed" if self._state == "failed" else "idle"
            self._settled.set()

    def _fail(self, problem: str) -> None:
        """A server that was there is tried again at once, one that never was after a pause."""
        pause = 0.0 if self._state == "ready" else min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE)
        self._failures += self._state != "ready"
        self._retry_at = max(self._retry_at, self._clock() + pause)
        self._state, self._problem, self._listing = "failed", problem, Offered(())
        _log.warning("MCP server failed", extra={"server": self.server.name, "problem": problem, "pause": pause})

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Client, None]:
        import httpx2
        from mcp import Client, StdioServerParameters, stdio_client
        from mcp.client.streamable_http import streamable_http_client

        server = self.server
        if server.url is not None:
            timeout = httpx2.Timeout(30.0, read=None)
            proxied = httpx2.URL(server.url).host not in _THIS_MACHINE
            async with httpx2.AsyncClient(headers=dict(server.headers), timeout=timeout, trust_env=proxied) as http:
                transport = streamable_http_client(server.url, http_client=http)
                async with Client(transport, message_handler=self._notice) as client:
                    yield client
            return
        program, *arguments = server.command
        language = {"LANG": self._environ["LANG"]} if "LANG" in self._environ else {}
        parameters = StdioServerParameters(command=program, args=arguments, env={**language, **server.env})
        with _nowhere() as stderr:  # what servers say there may be anything, private things included
            async with Client(stdio_client(parameters, stderr), message_handler=self._notice) as client:
                yield client

    async def _notice(self, message: object) -> None:
        """Servers before 2026-07-28 say unasked that their tools have changed."""
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            self._changed.set()

    async def _watch(self, client: Client) -> None:
        """Return when the connection is lost; until then keep the list of tools as it is."""
        async with anyio.create_task_group() as watchers:
            watchers.start_soon(self._listen, client)
            watchers.start_soon(self._list_again, client)
            await self._lost.wait()
            watchers.cancel_scope.cancel()

    async def _listen(self, client: Client) -> None:
        """Newer servers say it to those who listen; such a stream that breaks off is how a dead one is noticed."""
        from mcp import MCPError
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

        try:
            async with client.listen(tools_list_changed=True) as changes:
                self._changed.set()  # they may have changed since they were listed
                async for _ in changes:
                    self._changed.set()
        except ListenNotSupportedError:
            pass
        except (MCPError, SubscriptionLost):
            self._lost.set()

    async def _list_again(self, client: Client) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            with anyio.fail_after(CONNECT_SECONDS):
                self._listing = await list_tools(self.server, client, self.use)


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _explained(error: BaseException) -> str:
    """Why a connection failed, without the addresses and texts that errors quote."""
    import httpx2

    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case ModuleNotFoundError():
            return "the package `mcp` is not installed; `make mcp` installs it"
        case FileNotFoundError() | PermissionError():
            return "its program cannot be started; check `command`"
        case TimeoutError():
            return f"it did not answer within {CONNECT_SECONDS:g} seconds"
        case httpx2.TransportError():
            return "it cannot be reached; check `url`"
        case _ if type(error).__name__ == "MCPError":
            return "it ended, or does not speak the Model Context Protocol"
        case _:
            return f"it failed ({type(error).__name__})"
