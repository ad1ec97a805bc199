"""The official SDK's own server, for tests: `python mcp_server.py` speaks over stdio, `python mcp_server.py PORT` over
streamable HTTP. `PALAVER_TEST_FOLDER` is where it leaves its process id.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image

server = MCPServer("demo")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def say(text: str) -> str:
    """Say it."""
    return text


@server.tool()
async def hang() -> str:
    """Never answer."""
    await asyncio.sleep(3600)
    return ""


@server.tool()
def die() -> str:
    """End in the middle of the call."""
    os._exit(3)


@server.tool(structured_output=False)
def big(megabytes: int) -> str:
    """Say a lot."""
    return "x" * (megabytes * 1_000_000)


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("a secret of the server")


@server.tool()
def picture() -> Image:
    """Draw."""
    return Image(data=base64.b64decode("iVBORw0KGgo="), format="png")


@server.tool()
def environment() -> dict[str, str]:
    """Tell which variables there are."""
    return dict(os.environ)


@server.tool(name="with.dots")
def with_dots() -> str:
    """Have a name that no service takes."""
    return "dots"


@server.tool(name="x" * 70)
def long_name() -> str:
    """Have a name that is too long."""
    return ""


@server.tool(description="very long " * 1_000)
def talkative() -> str:
    return ""


@server.tool()
async def grow(context: Context) -> str:
    """Get one more tool."""
    server.add_tool(say, name="grown", description="New")
    await context.notify_tools_changed()
    return "grown"


@server.resource("notes://one")
def note() -> str:
    """A note."""
    return "the note"


if __name__ == "__main__":
    if folder := os.environ.get("PALAVER_TEST_FOLDER"):
        Path(folder, f"{os.getpid()}.pid").touch()
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")
