"""The tools of an MCP server as ours: `read_file` of the server `files` becomes `files__read_file`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from app.core.tools import Execute, McpServer, Offered, Tool, ToolContext, ToolOutput, ToolSpec, is_tool_name
from app.tools.mcp_results import read_call_result, read_resource_result

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import Tool as McpTool

MAX_TOOLS = 128
MAX_DESCRIPTION = 2_000
MAX_SCHEMA_CHARACTERS = 50_000
MAX_RESOURCES = 200

_RESOURCE_SCHEMA = {
    "type": "object",
    "properties": {"uri": {"type": "string", "description": "as `list_resources` shows it"}},
    "required": ["uri"],
    "additionalProperties": False,
}
_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}

T = TypeVar("T")

Use: TypeAlias = Callable[[Callable[["Client"], Awaitable[Any]]], Awaitable[Any]]
"""McpConnection.use: asks whatever client is connected when the call comes."""


async def list_tools(server: McpServer, client: Client, use: Use) -> Offered:
    """What the server has. A tool that cannot be offered is a problem."""
    tools: list[Tool] = []
    problems: list[str] = []
    there = await _all_tools(client)
    for found in there[:MAX_TOOLS]:
        name = f"{server.name}__{re.sub(r'[^A-Za-z0-9_-]', '_', found.name)}"
        reason = await asyncio.to_thread(_refused, name, found)  # the largest schemas take a second
        if reason is not None:
            problems.append(f"mcp:{server.name}/{_shown(found.name)}: {reason}.")
            continue
        spec = ToolSpec(name, _described(found), found.input_schema)
        tools.append(_tool(server, spec, _calling(found.name, use)))
    if client.server_capabilities.resources is not None:
        tools += _resource_tools(server, use)
    if len(there) > MAX_TOOLS:
        problems.append(f"The MCP server {server.name} has {len(there)} tools; the first {MAX_TOOLS} are used.")
    return Offered(tuple(tools), tuple(problems))


async def _all_tools(client: Client) -> Sequence[McpTool]:
    tools: list[McpTool] = []
    cursor: str | None = None
    while len(tools) <= MAX_TOOLS:
        page = await client.list_tools(cursor=cursor, cache_mode="refresh")
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None or not page.tools:
            break
    return tools


def _refused(name: str, found: McpTool) -> str | None:
    from jsonschema import Draft202012Validator, SchemaError

    if not is_tool_name(name):
        return "its name is too long"
    if found.input_schema.get("type") != "object" or len(json.dumps(found.input_schema)) > MAX_SCHEMA_CHARACTERS:
        return "its schema is too long or not of type object"
    try:
        Draft202012Validator.check_schema(found.input_schema)
    except (SchemaError, RecursionError):
        return "its schema is no JSON schema"
    return None


def _shown(name: str) -> str:
    """A name that a server chose, for people."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:80])


def _described(found: McpTool) -> str:
    description = (found.description or found.title or found.name.replace("_", " ")).replace("\0", "").strip()
    return description if len(description) <= MAX_DESCRIPTION else f"{description[: MAX_DESCRIPTION - 1]}…"


def _tool(server: McpServer, spec: ToolSpec, execute: Execute) -> Tool:
    # The connection gives a call up itself, a little earlier, and says which server it was.
    return Tool(spec, execute, policy=server.policy, dynamic=True, timeout=server.timeout + 10)


def _calling(name: str, use: Use) -> Execute:
    async def execute(arguments: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        return read_call_result(await use(lambda client: client.call_tool(name, dict(arguments))))

    return execute


def _resource_tools(server: McpServer, use: Use) -> Sequence[Tool]:
    async def list_resources(arguments: Mapping[str, Any], context: ToolContext) -> Any:
        found = await use(lambda client: client.list_resources())
        return [
            {"uri": resource.uri, "name": resource.title or resource.name, "description": resource.description or ""}
            for resource in found.resources[:MAX_RESOURCES]
        ]

    async def read_resource(arguments: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        return read_resource_result(await use(lambda client: client.read_resource(arguments["uri"])))

    name = server.name
    listing = ToolSpec(f"{name}__list_resources", f"List what can be read from {name}.", _NO_ARGUMENTS)
    reading = ToolSpec(f"{name}__read_resource", f"Read one of the resources of {name}.", _RESOURCE_SCHEMA)
    return [_tool(server, listing, list_resources), _tool(server, reading, read_resource)]
