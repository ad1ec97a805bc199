"""Fields of a request that OpenAI's two APIs for answers have in common: tools, schemas, effort."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from app.core.errors import InvalidRequest
from app.core.events import CallWarning
from app.core.model import JsonSchema, NamedTool, ToolChoice
from app.core.tools import ToolSpec, is_tool_name
from app.core.values import Thinking

MAX_TOOLS = 512
MAX_SCHEMA_CHARACTERS = 1_000_000
"""Of all tools together."""

MOST_WARNINGS = 20

_EFFORTS: Mapping[str, Thinking] = {
    "none": "off",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


def read_model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model.strip():
        raise InvalidRequest("`model` must be the name of a preset or a model.", param="model")
    return model


def left_out(body: Mapping[str, Any], known: Collection[str]) -> list[CallWarning]:
    """A word for each field that is not `known`."""
    return [
        CallWarning(name[:80], "This server passes it on to no service: it was left out.")
        for name, value in body.items()
        if name not in known and value not in (None, 0, False, {}, [])
    ]


def read_effort(effort: Any, field: str, warnings: list[CallWarning]) -> dict[str, Thinking]:
    """The value for it; none where nothing is said."""
    if effort is None:
        return {}
    if not isinstance(effort, str) or effort not in _EFFORTS:
        raise InvalidRequest(f"`{field}` must be one of {', '.join(_EFFORTS)}.", param=field)
    thinking = _EFFORTS[effort]
    if effort not in (thinking, "none"):
        warnings.append(CallWarning(field, f"The nearest effort here is {thinking}."))
    return {"thinking": thinking}


def read_json_schema(wanted: Mapping[str, Any], where: str) -> JsonSchema:
    """`wanted` has a `schema` that is an object."""
    schema, name = wanted["schema"], wanted.get("name", "answer")
    description, strict = wanted.get("description"), wanted.get("strict")
    if not isinstance(name, str) or not is_tool_name(name):
        raise InvalidRequest(f"{where}.name must be 1 to 64 letters, digits, _ and -.", param=f"{where}.name")
    if not isinstance(description, str | None) or not isinstance(strict, bool | None):
        raise InvalidRequest(f"{where}: `description` must be a text and `strict` true or false.", param=where)
    if len(json.dumps(schema)) > MAX_SCHEMA_CHARACTERS:
        raise InvalidRequest(
            f"{where}.schema may have at most {MAX_SCHEMA_CHARACTERS:,} characters.", param=f"{where}.schema"
        )
    return JsonSchema(name, schema, description, strict)


def read_tools(
    value: Any, read_tool: Callable[[Any, str], tuple[ToolSpec, Any]], warnings: list[CallWarning]
) -> tuple[ToolSpec, ...]:
    """`read_tool` gives a tool and its `strict`, or raises InvalidRequest."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_TOOLS:
        raise InvalidRequest(f"`tools` must be a list of at most {MAX_TOOLS} tools.", param="tools")
    found = [read_tool(tool, f"tools[{index}]") for index, tool in enumerate(value)]
    tools = tuple(tool for tool, _ in found)
    if len({tool.name for tool in tools}) < len(tools):
        raise InvalidRequest("Two of `tools` have the same name.", param="tools")
    if sum(len(json.dumps(tool.input_schema)) for tool in tools) > MAX_SCHEMA_CHARACTERS:
        raise InvalidRequest(
            f"The schemas of `tools` may have at most {MAX_SCHEMA_CHARACTERS:,} characters.", param="tools"
        )
    if any(strict for _, strict in found):
        warnings.append(CallWarning("tools", "`strict` is not passed on: arguments may not fit their schema."))
    return tools


def read_function(function: Mapping[str, Any], where: str) -> tuple[ToolSpec, Any]:
    """A function that has a `name`, and its `strict`."""
    name, description, schema = function["name"], function.get("description"), function.get("parameters")
    if not is_tool_name(name):
        raise InvalidRequest(f"{where}.name must be 1 to 64 letters, digits, _ and -.", param=f"{where}.name")
    if not isinstance(description, str | None):
        raise InvalidRequest(f"{where}.description must be a text.", param=f"{where}.description")
    if not isinstance(schema, dict | None) or (schema or {}).get("type", "object") != "object":
        raise InvalidRequest(f"{where}.parameters must be a JSON schema of type object.", param=f"{where}.parameters")
    spec = ToolSpec(name, description or "", {"type": "object", **(schema or {"properties": {}})})
    return spec, function.get("strict")


def read_tool_choice(value: Any, tools: tuple[ToolSpec, ...]) -> ToolChoice | None:
    """A tool is named as in either API."""
    match value:
        case None:
            return None
        case "none" | "auto":
            return value if tools else None
        case "required" if tools:
            return "required"
        case {"type": "function", "function": {"name": str(name)}} | {"type": "function", "name": str(name)} if any(
            tool.name == name for tool in tools
        ):
            return NamedTool(name)
    raise InvalidRequest(
        "`tool_choice` must be none, auto, required, or name a function that is one of `tools`.", param="tool_choice"
    )


def read_flag(body: Mapping[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if not isinstance(value, bool | None):
        raise InvalidRequest(f"`{name}` must be true or false.", param=name)
    return value
