"""The body of `POST /v1/chat/completions` → `Asked`: OpenAI's chat completions as its SDKs (openai 3) write them.

What of a request has no meaning here is said in the answer's `warnings`; what would change its form and cannot be
honoured is refused. docs/http-api.md lists both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.errors import InvalidRequest
from app.core.events import CallWarning
from app.core.gateway import Asked
from app.core.model import JsonSchema, NamedTool, ToolChoice
from app.core.tools import ToolSpec, is_tool_name
from app.core.values import Thinking, parse_values
from app.wire.openai_messages import read_messages

MAX_TOOLS = 512
MAX_SCHEMA_CHARACTERS = 1_000_000
"""Of all tools together."""

_VALUES: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "stop": "stop",
}
"""Field → value. Of two for one value the later counts."""

_EFFORTS: Mapping[str, Thinking] = {
    "none": "off",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}

_READ = frozenset(
    {"model", "messages", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort"}
    | {"stream", "stream_options", "n", *_VALUES}
)

REFUSED: Mapping[str, str] = {
    "functions": "Use `tools`.",
    "function_call": "Use `tool_choice`.",
    "logprobs": "No service behind this server is asked for them.",
    "top_logprobs": "No service behind this server is asked for them.",
    "audio": "Answers are text.",
    "web_search_options": "Give the preset the service's own search as one of its `provider_tools`.",
    "moderation": "Nothing is moderated here.",
}
"""Fields without which the answer would be another, and what to do instead. At their defaults they are welcome."""

IGNORED = frozenset(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prediction"}
    | {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
)
"""Fields that change no answer: nothing is said of them. Of any other, a warning is."""

_MOST_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class ChatCompletionRequest:
    asked: Asked
    include_usage: bool = False
    """A stream ends with what it has used."""


def read_chat_completion(body: Mapping[str, Any]) -> ChatCompletionRequest:
    """What the program wants.

    Raises:
        InvalidRequest: `param` names the field, such as `messages[2].role`.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model.strip():
        raise InvalidRequest("`model` must be the name of a preset or a model.", param="model")
    _check_refused(body)
    warnings = _left_out(body)
    system, messages = read_messages(body.get("messages"))
    response_format, json_schema = _response_format(body.get("response_format"))
    said = {name: body[name] for name in _VALUES if body.get(name) is not None}
    values = parse_values(said, _VALUES).model_copy(
        update=parse_values(
            {"messages": system, "response_format": response_format},
            {"messages": "system", "response_format": "response_format"},
        ).said()
        | _thinking(body.get("reasoning_effort"), warnings)
    )
    tools = _tools(body.get("tools"), warnings)
    stream, include_usage = _stream(body)
    asked = Asked(
        model=model,
        messages=messages,
        values=values,
        tools=tools,
        tool_choice=_tool_choice(body.get("tool_choice"), tools),
        parallel_tools=_flag(body, "parallel_tool_calls"),
        json_schema=json_schema,
        stream=stream,
        notes=tuple(warnings[:_MOST_WARNINGS]),
    )
    return ChatCompletionRequest(asked, include_usage)


def _check_refused(body: Mapping[str, Any]) -> None:
    for name, instead in REFUSED.items():
        if body.get(name):
            raise InvalidRequest(f"`{name}` is not supported. {instead}", param=name)
    if body.get("n") not in (None, 1):
        raise InvalidRequest("`n` must be 1: a request has one answer.", param="n")
    if body.get("modalities") not in (None, ["text"]):
        raise InvalidRequest("`modalities` must be text alone: answers are text.", param="modalities")


def _left_out(body: Mapping[str, Any]) -> list[CallWarning]:
    known = _READ | IGNORED | REFUSED.keys() | {"modalities"}
    return [
        CallWarning(name[:80], "This server passes it on to no service: it was left out.")
        for name, value in body.items()
        if name not in known and value not in (None, 0, False, {}, [])
    ]


def _thinking(effort: Any, warnings: list[CallWarning]) -> dict[str, Thinking]:
    if effort is None:
        return {}
    if not isinstance(effort, str) or effort not in _EFFORTS:
        raise InvalidRequest(f"`reasoning_effort` must be one of {', '.join(_EFFORTS)}.", param="reasoning_effort")
    thinking = _EFFORTS[effort]
    if effort not in (thinking, "none"):
        warnings.append(CallWarning("reasoning_effort", f"The nearest effort here is {thinking}."))
    return {"thinking": thinking}


def _response_format(value: Any) -> tuple[str | None, JsonSchema | None]:
    match value:
        case None:
            return None, None
        case {"type": "text"}:
            return "text", None
        case {"type": "json_object"}:
            return "json", None
        case {"type": "json_schema", "json_schema": dict(wanted)} if isinstance(wanted.get("schema"), dict):
            return "json", _json_schema(wanted)
        case _:
            pass
    raise InvalidRequest(
        "`response_format` must be of type text, json_object, or json_schema with a `json_schema` that has a `schema`.",
        param="response_format",
    )


def _json_schema(wanted: Mapping[str, Any]) -> JsonSchema:
    schema, name = wanted["schema"], wanted.get("name", "answer")
    description, strict = wanted.get("description"), wanted.get("strict")
    where = "response_format.json_schema"
    if not isinstance(name, str) or not is_tool_name(name):
        raise InvalidRequest(f"{where}.name must be 1 to 64 letters, digits, _ and -.", param=f"{where}.name")
    if not isinstance(description, str | None) or not isinstance(strict, bool | None):
        raise InvalidRequest(f"{where}: `description` must be a text and `strict` true or false.", param=where)
    if len(json.dumps(schema)) > MAX_SCHEMA_CHARACTERS:
        raise InvalidRequest(
            f"{where}.schema may have at most {MAX_SCHEMA_CHARACTERS:,} characters.", param=f"{where}.schema"
        )
    return JsonSchema(name, schema, description, strict)


def _tools(value: Any, warnings: list[CallWarning]) -> tuple[ToolSpec, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_TOOLS:
        raise InvalidRequest(f"`tools` must be a list of at most {MAX_TOOLS} tools.", param="tools")
    tools = tuple(_tool(tool, f"tools[{index}]") for index, tool in enumerate(value))
    if len({tool.name for tool in tools}) < len(tools):
        raise InvalidRequest("Two of `tools` have the same name.", param="tools")
    if sum(len(json.dumps(tool.input_schema)) for tool in tools) > MAX_SCHEMA_CHARACTERS:
        raise InvalidRequest(
            f"The schemas of `tools` may have at most {MAX_SCHEMA_CHARACTERS:,} characters.", param="tools"
        )
    if any(tool["function"].get("strict") for tool in value):
        warnings.append(CallWarning("tools", "`strict` is not passed on: arguments may not fit their schema."))
    return tools


def _tool(tool: Any, where: str) -> ToolSpec:
    match tool:
        case {"type": "function", "function": {"name": str(name), **rest}}:
            pass
        case {"type": "custom"}:
            raise InvalidRequest(f"{where}: custom tools are not supported. Use a function.", param=f"{where}.type")
        case _:
            raise InvalidRequest(
                f'{where} must be {{"type": "function", "function": {{"name": …}}}}.', param=f"{where}.function"
            )
    if not is_tool_name(name):
        raise InvalidRequest(
            f"{where}.function.name must be 1 to 64 letters, digits, _ and -.", param=f"{where}.function.name"
        )
    description, schema = rest.get("description"), rest.get("parameters")
    if not isinstance(description, str | None):
        raise InvalidRequest(f"{where}.function.description must be a text.", param=f"{where}.function.description")
    if not isinstance(schema, dict | None) or (schema or {}).get("type", "object") != "object":
        raise InvalidRequest(
            f"{where}.function.parameters must be a JSON schema of type object.", param=f"{where}.function.parameters"
        )
    return ToolSpec(name, description or "", {"type": "object", **(schema or {"properties": {}})})


def _tool_choice(value: Any, tools: tuple[ToolSpec, ...]) -> ToolChoice | None:
    match value:
        case None:
            return None
        case "none" | "auto":
            return value if tools else None
        case "required" if tools:
            return "required"
        case {"type": "function", "function": {"name": str(name)}} if any(tool.name == name for tool in tools):
            return NamedTool(name)
    raise InvalidRequest(
        "`tool_choice` must be none, auto, required, or name a function that is one of `tools`.", param="tool_choice"
    )


def _stream(body: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether to stream, and whether to end with the usage."""
    options = body.get("stream_options")
    if not isinstance(options, dict | None):
        raise InvalidRequest("`stream_options` must be an object.", param="stream_options")
    return bool(_flag(body, "stream")), bool(_flag(options or {}, "include_usage"))


def _flag(body: Mapping[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if not isinstance(value, bool | None):
        raise InvalidRequest(f"`{name}` must be true or false.", param=name)
    return value
