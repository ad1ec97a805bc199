"""Which tools there are: built in, in own modules, declared for front ends, on MCP servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from fnmatch import fnmatchcase

from app.core.conversations import ConversationStore
from app.core.model import Configuration
from app.core.ports import Files
from app.core.tools import ListedTool, Offered, Tool, ToolOverview, names_tool
from app.tools.built_in import built_in_tools
from app.tools.mcp import McpServers
from app.tools.mcp_connection import McpConnection
from app.tools.modules import Modules, shown
from app.tools.public_http import PublicWeb

MCP = "mcp:"


@asynccontextmanager
async def open_toolbox(
    configuration: Callable[[], Configuration],
    environ: Mapping[str, str],
    now: Callable[[], datetime],
    store: ConversationStore,
    files: Files,
) -> AsyncGenerator[ConfiguredTools, None]:
    """All tools of the server, until the block is left: that ends MCP servers.

    Own modules are loaded at once, so that what is wrong with them stands in the log of the start.
    """
    async with asyncio.TaskGroup() as tasks:
        servers = McpServers(tasks, environ)
        modules = Modules()
        loading = tasks.create_task(modules.load(configuration().tools.modules), name="load tools")
        try:
            yield ConfiguredTools(configuration, built_in_tools(now, store, files, PublicWeb()), modules, servers)
        finally:
            loading.cancel()
            await servers.close()


class ConfiguredTools:
    """Implements `core.ports.ToolBox`. Follows a configuration that changes, and files that do."""

    def __init__(
        self, configuration: Callable[[], Configuration], built_in: Sequence[Tool], modules: Modules, mcp: McpServers
    ) -> None:
        self._configuration = configuration
        self._built_in = built_in
        self._modules = modules
        self._mcp = mcp

    async def tools(self, names: Sequence[str]) -> Offered:
        """In the order in which tools are known, whatever the order of `names`: prompts keep their beginning."""
        if not names:
            return Offered(())
        connections = self._mcp.follow(self._configuration().tools.mcp)
        near, broken = await self._near()
        here = [name for name in names if not name.startswith(MCP)]
        far, problems = await _on_servers([name for name in names if name.startswith(MCP)], connections)
        listed = [found for found in near if any(names_tool(name, found.tool.spec.name) for name in here)] + far
        missing = [name for name in names if not any(names_tool(name, found.tool.spec.name) for found in listed)]
        if any(name in missing or "*" in name for name in here):
            problems += broken
        explained = [name for name in missing if name.startswith(MCP) and problems]
        problems += [f"There is no tool {shown(name)}." for name in missing if name not in explained]
        chosen, double = _once(listed)
        return Offered(tuple(found.tool for found in chosen), (*problems, *double))

    async def overview(self) -> ToolOverview:
        connections = self._mcp.follow(self._configuration().tools.mcp)
        near, broken = await self._near()
        far, problems = await _on_servers([f"{MCP}*/*"] if connections else [], connections)
        chosen, double = _once([*near, *far])
        return ToolOverview(tuple(chosen), (*broken, *problems, *double), tuple(self._mcp.status()))

    async def _near(self) -> tuple[list[ListedTool], list[str]]:
        """What is known without asking anybody, and what is wrong with own modules."""
        settings = self._configuration().tools
        listed = [ListedTool(tool, "built-in") for tool in self._built_in]
        problems: list[str] = []
        for module in await self._modules.load(settings.modules):
            listed += [ListedTool(tool, module.name) for tool in module.tools]
            problems += module.problems
        listed += [ListedTool(Tool(spec, None), "configuration") for spec in settings.client]
        return listed, problems


async def _on_servers(
    patterns: Sequence[str], connections: Mapping[str, McpConnection]
) -> tuple[list[ListedTool], list[str]]:
    """The tools that `mcp:server/tool` patterns mean. Only the servers that they name are asked, all at once."""
    named = dict(_named(patterns, connections))
    offers = await asyncio.gather(*(connection.tools() for connection in named.values()))
    listed: list[ListedTool] = []
    problems: list[str] = []
    for server, offered in zip(named, offers, strict=True):
        listed += [
            ListedTool(tool, f"{MCP}{server}")
            for tool in offered.tools
            if any(names_tool(pattern, tool.spec.name) for pattern in patterns)
        ]
        problems += offered.problems
    return listed, problems


def _named(patterns: Sequence[str], connections: Mapping[str, McpConnection]) -> Iterator[tuple[str, McpConnection]]:
    servers = [pattern.removeprefix(MCP).partition("/")[0] for pattern in patterns]
    for name, connection in connections.items():
        if any(fnmatchcase(name, server) for server in servers):
            yield name, connection


def _once(listed: Sequence[ListedTool]) -> tuple[list[ListedTool], list[str]]:
    """Of tools with the same name the first."""
    first: dict[str, ListedTool] = {}
    problems: list[str] = []
    for found in listed:
        name = found.tool.spec.name
        if (other := first.setdefault(name, found)) is not found:
            problems.append(f"{found.source}: there is a tool {name} already, from {other.source}.")
    return list(first.values()), problems
