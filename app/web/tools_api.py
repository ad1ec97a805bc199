"""`/api/ai/tools`: every tool that presets can name, what is wrong with others, and how MCP servers are."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.core.tools import ListedTool, McpStatus
from app.web.deps import State
from app.web.requests import deps_of
from app.web.responses import JSONAnswer


async def get_tools(request: Request[State]) -> Response:
    """Connects MCP servers that nobody has needed yet, and waits for them a moment."""
    overview = await deps_of(request).toolbox.overview()
    return JSONAnswer(
        {
            "tools": [_tool(listed) for listed in overview.tools],
            "problems": list(overview.problems),
            "mcp": [_server(status) for status in overview.servers],
        }
    )


def _tool(listed: ListedTool) -> dict[str, Any]:
    tool = listed.tool
    return {
        "name": tool.spec.name,
        "description": tool.spec.description,
        "parameters": tool.spec.input_schema,
        "policy": tool.policy,
        "source": listed.source,
        "runs": "client" if tool.execute is None else "server",
        "dynamic": tool.dynamic,
    }


def _server(status: McpStatus) -> dict[str, Any]:
    value: dict[str, Any] = {"name": status.name, "state": status.state, "tools": status.tools}
    return value if status.problem is None else {**value, "problem": status.problem}
