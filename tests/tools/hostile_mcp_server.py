"""A server of the Model Context Protocol that means harm, over stdio: `python hostile_mcp_server.py`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

OBJECT = {"type": "object", "properties": {}}


def tools() -> Iterator[dict[str, Any]]:
    yield {"name": "a\0\n<b>\u202e", "inputSchema": OBJECT, "description": "before\0after"}
    yield {"name": "\0" * 100_000, "inputSchema": OBJECT}
    yield {"name": "no_schema", "inputSchema": {"type": "object", "properties": {"x": {"type": "objekt"}}}}
    for number in range(20_000):
        yield {"name": f"tool_{number}", "inputSchema": OBJECT}


def answer(method: str) -> Any:
    match method:
        case "initialize":
            server = {"name": "hostile\0", "version": "1"}
            return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}
        case "tools/list":
            return {"tools": list(tools())}
        case _:
            return None


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        result = answer(message["method"])
        said = {"result": result} if result else {"error": {"code": -32601, "message": "No such method"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}), flush=True)
