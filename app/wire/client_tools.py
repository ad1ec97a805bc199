"""`tools` of a chat request: what the client runs itself, declared by name, description and JSON schema.

A list, as the AI SDK and OpenAI spell its items, or an object from names to declarations, as assistant-ui sends it.
Nothing else about a tool can come from a request: whatever more stands there is ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.core.errors import InvalidRequest
from app.core.tools import ToolSpec

MAX_TOOLS = 64
MAX_DESCRIPTION = 4_000
MAX_SCHEMA_CHARACTERS = 20_000
MAX_CHARACTERS = 200_000
"""Of all schemas together."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCHEMA_KEYS = ("parameters", "inputSchema", "input_schema")
_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


def read_client_tools(value: Any) -> tuple[ToolSpec, ...]:
    """Raises InvalidRequest: `param` names the field, such as `tools[0].name`."""
    if value is None:
        return ()
    if isinstance(value, dict):
        value = [{**tool, "name": name} if isinstance(tool, dict) else tool for name, tool in value.items()]
    if not isinstance(value, list):
        raise InvalidRequest("`tools` must be a list of tools.", param="tools")
    if len(value) > MAX_TOOLS:
        raise InvalidRequest(f"At most {MAX_TOOLS} tools can be sent.", param="tools")
    specs = tuple(_read(tool, f"tools[{index}]") for index, tool in enumerate(value))
    for index, spec in enumerate(specs):
        if any(spec.name == other.name for other in specs[:index]):
            raise InvalidRequest("Two tools have the same name.", param=f"tools[{index}].name")
    if sum(len(json.dumps(spec.input_schema)) for spec in specs) > MAX_CHARACTERS:
        raise InvalidRequest(f"The schemas of `tools` may have at most {MAX_CHARACTERS:,} characters.", param="tools")
    return specs


def _read(tool: Any, where: str) -> ToolSpec:
    match tool:
        case {"type": "function", "function": dict(function)}:
            tool = function
        case dict():
            pass
        case _:
            raise InvalidRequest(f"{where} must be an object with `name` and `parameters`.", param=where)
    name = tool.get("name")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidRequest(f"{where}.name must be 1 to 64 letters, digits, _ and -.", param=f"{where}.name")
    description = tool.get("description") or ""
    if not isinstance(description, str) or len(description) > MAX_DESCRIPTION:
        raise InvalidRequest(
            f"{where}.description must be a text of at most {MAX_DESCRIPTION:,} characters.",
            param=f"{where}.description",
        )
    return ToolSpec(name, description, _read_schema(tool, where))


def _read_schema(tool: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    key = next((key for key in _SCHEMA_KEYS if tool.get(key) is not None), None)
    if key is None:
        return _NO_PARAMETERS
    schema = tool[key]
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise InvalidRequest(f"{where}.{key} must be a JSON schema of type object.", param=f"{where}.{key}")
    if len(json.dumps(schema)) > MAX_SCHEMA_CHARACTERS:
        raise InvalidRequest(
            f"{where}.{key} may have at most {MAX_SCHEMA_CHARACTERS:,} characters.", param=f"{where}.{key}"
        )
    return {"type": "object", **schema}
