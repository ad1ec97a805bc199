"""The tables `[tools]` and `[mcp.NAME]` of `palaver.toml` → ToolSettings.

[tools]
modules = ["./my_tools.py"]

[tools.client.ask_user]
description = "Ask the user a question"
parameters = { type = "object", properties = { question = { type = "string" } }, required = ["question"] }

[mcp.files]
command = "npx"
args = ["-y", "@modelcontextprotocol/server-filesystem", "."]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.core.tools import McpServer, Policy, ToolSettings, ToolSpec, is_tool_name
from app.settings.errors import ConfigurationError
from app.settings.fields import (
    check_keys,
    is_json,
    read_address,
    read_headers,
    read_path,
    read_seconds,
    read_table,
    shown,
)

TOOLS_KEYS = ("modules", "client")
CLIENT_TOOL_KEYS = ("description", "parameters")
MCP_KEYS = ("command", "args", "env", "url", "headers", "policy", "timeout")

_SERVER_NAME = re.compile(r"(?=.{1,32}$)[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_DESCRIPTION = 10_000
_POLICIES: tuple[Policy, ...] = ("auto", "ask", "off")


def read_tool_settings(document: Mapping[str, Any], name: str, folder: Path) -> ToolSettings:
    """What the document says of tools.

    Args:
        document: the whole file.
        name: what it is called in complaints.
        folder: where relative paths in it start.
    """
    tools = read_table(document.get("tools", {}), f"{name}: tools")
    check_keys(tools, TOOLS_KEYS, f"{name}: tools.")
    client = read_table(tools.get("client", {}), f"{name}: tools.client")
    servers = read_table(document.get("mcp", {}), f"{name}: mcp")
    return ToolSettings(
        modules=_read_modules(tools.get("modules", []), f"{name}: tools.modules", folder),
        client=tuple(_read_client_tool(key, value, f"{name}: tools.client.") for key, value in client.items()),
        mcp={key: _read_server(key, value, f"{name}: mcp.", folder) for key, value in servers.items()},
    )


def _read_modules(value: Any, place: str, folder: Path) -> tuple[str, ...]:
    paths = _read_texts(value, place)
    if not all(path.endswith(".py") for path in paths):
        raise ConfigurationError(f"{place}: must be a list of Python files, such as ./my_tools.py")
    return tuple(str(folder / read_path(path, place)) for path in paths)


def _read_client_tool(key: str, value: Any, prefix: str) -> ToolSpec:
    if not is_tool_name(key):
        raise ConfigurationError(f"{prefix}{shown(key)}: a tool's name has at most 64 letters, digits, _ and -")
    table = read_table(value, prefix + key)
    check_keys(table, CLIENT_TOOL_KEYS, f"{prefix}{key}.")
    description = table.get("description", "")
    if not isinstance(description, str) or not 0 < len(description.strip()) <= _MAX_DESCRIPTION:
        raise ConfigurationError(f"{prefix}{key}.description: must tell the model what the tool is for")
    parameters = table.get("parameters", {"type": "object", "properties": {}})
    return ToolSpec(key, description.strip(), _read_schema(parameters, f"{prefix}{key}.parameters"))


def _read_schema(value: Any, place: str) -> Mapping[str, Any]:
    from jsonschema import Draft202012Validator, SchemaError

    table = read_table(value, place)
    try:
        Draft202012Validator.check_schema(table)
    except (SchemaError, RecursionError):
        sound = False
    else:
        sound = table.get("type") == "object" and is_json(table)
    if not sound:
        raise ConfigurationError(f"{place}: must be a JSON schema of type object")
    return table


def _read_server(key: str, value: Any, prefix: str, folder: Path) -> McpServer:
    if not _SERVER_NAME.fullmatch(key):
        raise ConfigurationError(
            f"{prefix}{shown(key)}: a server's name has at most 32 letters and digits, with single _ or - between them"
        )
    table = read_table(value, prefix + key)
    prefix = f"{prefix}{key}."
    check_keys(table, MCP_KEYS, prefix)
    if ("command" in table) == ("url" in table):
        raise ConfigurationError(f"{prefix}command: an MCP server has either a command or a url")
    kind, foreign = ("command", ("headers",)) if "command" in table else ("url", ("args", "env"))
    for other in foreign:
        if other in table:
            raise ConfigurationError(f"{prefix}{other}: an MCP server with a {kind} has none")
    return McpServer(
        name=key,
        command=_read_command(table, prefix, folder) if "command" in table else (),
        env=_read_env(table.get("env", {}), f"{prefix}env"),
        url=read_address(table["url"], f"{prefix}url", "headers") if "url" in table else None,
        headers=read_headers(table.get("headers", {}), f"{prefix}headers"),
        policy=_read_policy(table.get("policy", "ask"), f"{prefix}policy"),
        timeout=read_seconds(table.get("timeout", 60), f"{prefix}timeout"),
    )


def _read_command(table: Mapping[str, Any], prefix: str, folder: Path) -> tuple[str, ...]:
    """Program and arguments. A program with a slash in its name is a file, relative to the configuration's folder."""
    command = table["command"]
    if not isinstance(command, str) or not command.strip() or "\0" in command:
        raise ConfigurationError(f"{prefix}command: must be the name of a program; its arguments belong in args")
    program = str(folder / read_path(command, f"{prefix}command")) if "/" in command else command
    return (program, *_read_texts(table.get("args", []), f"{prefix}args"))


def _read_texts(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and "\0" not in item for item in value):
        raise ConfigurationError(f"{place}: must be a list of texts")
    return tuple(value)


def _read_env(value: Any, place: str) -> Mapping[str, str]:
    variables = read_table(value, place)
    for name, content in variables.items():
        if not _VARIABLE.fullmatch(name) or not isinstance(content, str) or "\0" in content:
            raise ConfigurationError(f"{place}.{shown(name)}: must be an environment variable with a text")
    return variables


def _read_policy(value: Any, place: str) -> Policy:
    for policy in _POLICIES:
        if value == policy:
            return policy
    raise ConfigurationError(f"{place}: must be one of {', '.join(_POLICIES)}")
