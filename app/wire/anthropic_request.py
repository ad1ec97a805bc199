"""The body of Anthropic's `POST /v1/messages` and `/v1/messages/count_tokens`, as its SDKs (anthropic 2) write it.

Of every request `read_head` reads what must be known before it goes anywhere: to a service of the same format the rest
is passed on as it is. For all others `read_request` makes an `Asked` of it. What of that has no meaning here is
said in the answer's `warnings`; what would make it another answer is refused. docs/http-api.md lists both.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from app.core.errors import InvalidRequest
from app.core.events import CallWarning
from app.core.gateway import Asked
from app.core.model import JsonSchema, NamedTool, Relayed, ToolChoice
from app.core.tools import ToolSpec, is_tool_name
from app.core.values import NO_VALUES, Cache, Thinking, Values, parse_values
from app.wire.anthropic_history import read_history
from app.wire.anthropic_signatures import is_own

MAX_TOOLS = 512
MAX_VALUES = 100_000
"""Of a request, in all its objects and lists: each is looked at several times."""
MAX_SCHEMA_CHARACTERS = 1_000_000
"""Of all tools together, and of what an answer in JSON must look like."""

_VALUES: Mapping[str, str] = {
    "system": "system",
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop_sequences": "stop",
}
_EFFORTS: Mapping[str, Thinking] = {
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
_USUAL_EFFORT: Thinking = "high"
"""What Claude does where a request names none."""

_OWN = frozenset({"prompt_caching"})
_READ = frozenset(
    {"model", "messages", "tools", "tool_choice", "thinking", "output_config", "output_format", "stream"}
    | {"cache_control", *_VALUES, *_OWN}
)

REFUSED: Mapping[str, str] = {
    "container": "Only a service of Anthropic's format has containers.",
    "mcp_servers": "Give the server's own configuration the MCP servers.",
    "thread": "Send the messages themselves.",
}
"""Fields without which the answer would be another, where the request must be translated; and what to do instead."""

_UNTHREADED = "thread_unsupported_request"
"""After which Anthropic's tool runner sends the messages themselves."""

IGNORED = frozenset(
    {"metadata", "service_tier", "inference_geo", "speed", "diagnostics", "user_profile_id", "workspace_id"}
    | {"billing_policy", "betas"}
)
"""Fields that change no answer: nothing is said of them. Of any other, a warning is."""

_DEARER: Mapping[str, Any] = {"speed": "standard", "inference_geo": "global"}
"""Fields that may change the price, and at what they do not."""
_MOST_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class Head:
    asked: Asked
    """The model, and the values of the fields that are this server's own; no messages."""
    relayed: Relayed
    """For a service of the same format."""
    beyond: str | None = None
    """The field, if there is one, by which another model than the named one may answer, or at another price."""


def read_head(body: Mapping[str, Any], headers: Mapping[str, str], *, counts: bool = False) -> Head:
    """What must be known of every request.

    Args:
        body: decoded JSON.
        headers: the client's that belong to the format.
        counts: the tokens are counted, nothing is answered.

    Raises:
        InvalidRequest: `param` names the field.
    """
    model, stream = body.get("model"), body.get("stream", False)
    if not isinstance(model, str) or not model.strip():
        raise InvalidRequest("`model` must be the name of a preset or a model.", param="model")
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise InvalidRequest("`messages` must be a list of at least one message.", param="messages")
    if not isinstance(stream, bool):
        raise InvalidRequest("`stream` must be true or false.", param="stream")
    if not counts and body.get("max_tokens") is None:
        raise InvalidRequest("`max_tokens` is missing: say how long the answer may be.", param="max_tokens")
    values = Values(cache="1h") if _has_mark_for_an_hour(body) else NO_VALUES  # what it costs, and what is marked here
    cached = _prompt_caching(body.get("prompt_caching"))
    thinking = body.get("thinking")
    rest = {name: value for name, value in body.items() if name not in _OWN and name != "stream"}
    rest["messages"] = [kept for message in body["messages"] if (kept := _without_own_thoughts(message)) is not None]
    if _is_own(thinking):
        values = values.model_copy(update={"thinking": _own_thinking(thinking)})
        del rest["thinking"]
    relayed = Relayed(rest, not stream, counts, headers, cached or frozenset(), values)
    return Head(Asked(model, (), values, stream=stream), relayed, _beyond(body))


def read_request(body: Mapping[str, Any]) -> Asked:
    """The whole request, for a service of any format; its head has been read.

    Raises:
        InvalidRequest: `param` names the field, such as `messages[2].role`.
        UnsupportedContent: a block that cannot be translated.
    """
    for name, instead in REFUSED.items():
        if body.get(name):
            refused = InvalidRequest(f"`{name}` cannot be translated for this preset. {instead}", param=name)
            refused.reason = _UNTHREADED if name == "thread" else None
            raise refused
    history = read_history(body["messages"])
    said = {name: body[name] for name in _VALUES if body.get(name) is not None}
    system = [*_system(body.get("system")), *history.system]
    if system or "system" in said:
        said["system"] = "\n\n".join(system)
    tools, server_tools = _tools(body.get("tools"))
    json_schema = _json_schema(body)
    more = {
        "thinking": _thinking(body),
        "response_format": None if json_schema is None else "json",
        "cache": _cache(body),
    }
    values = parse_values(said, _VALUES).model_copy(
        update={name: value for name, value in more.items() if value is not None}
    )
    choice, parallel = _tool_choice(body.get("tool_choice"), tools, server_tools)
    return Asked(
        model=body["model"],
        messages=history.messages,
        values=values,
        tools=tools,
        provider_tools=server_tools,
        tool_choice=choice,
        parallel_tools=parallel,
        json_schema=json_schema,
        stream=bool(body.get("stream")),
        notes=_notes(body)[:_MOST_WARNINGS],
    )


def _beyond(body: Mapping[str, Any]) -> str | None:
    tools = body.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict) and tool.get("model") is not None:  # an adviser
            return f"tools[{index}].model"
    if body.get("fallbacks"):
        return "fallbacks"
    return next((name for name, usual in _DEARER.items() if body.get(name) not in (None, usual)), None)


def _has_mark_for_an_hour(body: Mapping[str, Any]) -> bool:
    """Raises InvalidRequest where there are more than MAX_VALUES."""
    todo: list[Any] = [body]
    found, count = False, 0
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            control = value.get("cache_control")
            found = found or (isinstance(control, dict) and control.get("ttl") == "1h")
            inside: Collection[Any] = value.values()
        else:
            inside = value if isinstance(value, list) else ()
        count += len(inside)
        if count > MAX_VALUES:
            raise InvalidRequest(f"A request may hold at most {MAX_VALUES:,} values.", param="messages")
        todo += inside
    return found


def _without_own_thoughts(message: Any) -> Any:
    """A message without thinking that was translated from another service's: Anthropic would refuse its signature.
    None: there was nothing else.
    """
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list) or not any(map(is_own, content)):
        return message
    kept = [block for block in content if not is_own(block)]
    return {**message, "content": kept} if kept else None


def _notes(body: Mapping[str, Any]) -> tuple[CallWarning, ...]:
    known = _READ | IGNORED | REFUSED.keys()
    return tuple(
        CallWarning(name[:80], "It cannot be translated for this preset: it was left out.")
        for name, value in body.items()
        if name not in known and value not in (None, False, {}, [])
    )


def _system(value: Any) -> Sequence[str]:
    match value:
        case None:
            return ()
        case str():
            return [value] if value else ()
        case list():
            texts = [block.get("text") if isinstance(block, dict) else None for block in value]
            if all(isinstance(text, str) for text in texts):
                return [text for text in texts if text]
        case _:
            pass
    raise InvalidRequest("`system` must be a text or a list of text blocks.", param="system")


def _is_own(thinking: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(thinking, dict) and "enabled" in thinking and "type" not in thinking


def _own_thinking(value: Mapping[str, Any]) -> Thinking:
    enabled, budget = value["enabled"], value.get("budget_tokens")
    if not isinstance(enabled, bool) or value.keys() - {"enabled", "budget_tokens"}:
        raise InvalidRequest(
            "`thinking` must be as Anthropic's API has it, or have `enabled`, true or false, and `budget_tokens`.",
            param="thinking",
        )
    if not enabled:
        return "off"
    return "medium" if budget is None else _budget(budget)


def _budget(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise InvalidRequest(
            "thinking.budget_tokens must be a whole number from 1 to 1,000,000.", param="thinking.budget_tokens"
        )
    return value


def _thinking(body: Mapping[str, Any]) -> Thinking | None:
    thinking, effort = body.get("thinking"), _output_config(body).get("effort")
    if effort is not None and (not isinstance(effort, str) or effort not in _EFFORTS):
        raise InvalidRequest(
            f"output_config.effort must be one of {', '.join(_EFFORTS)}.", param="output_config.effort"
        )
    if _is_own(thinking):
        return _own_thinking(thinking)
    match thinking:
        case None:
            return None if effort is None else _EFFORTS[effort]
        case {"type": "disabled"}:
            return "off"
        case {"type": "enabled"}:
            return _budget(thinking.get("budget_tokens"))
        case {"type": "adaptive" | "between_tools"}:
            return _USUAL_EFFORT if effort is None else _EFFORTS[effort]
        case _:
            pass
    raise InvalidRequest("`thinking` must be of type enabled, adaptive or disabled.", param="thinking")


def _output_config(body: Mapping[str, Any]) -> Mapping[str, Any]:
    config = body.get("output_config")
    if not isinstance(config, dict | None):
        raise InvalidRequest("`output_config` must be an object.", param="output_config")
    return config or {}


def _json_schema(body: Mapping[str, Any]) -> JsonSchema | None:
    where = "output_config.format" if _output_config(body).get("format") is not None else "output_format"
    wanted = _output_config(body).get("format") or body.get("output_format")
    match wanted:
        case None:
            return None
        case {"type": "json_schema", "schema": dict(schema)} if len(json.dumps(schema)) <= MAX_SCHEMA_CHARACTERS:
            return JsonSchema("answer", schema)
        case _:
            pass
    raise InvalidRequest(
        f"{where} must be of type json_schema with a `schema` of at most {MAX_SCHEMA_CHARACTERS:,} characters.",
        param=where,
    )


def _prompt_caching(value: Any) -> frozenset[Any] | None:
    """What shall be cached; None: nothing is said of it."""
    if value is None:
        return None
    names = {"cache_system": "system", "cache_tools": "tools"}
    if (
        not isinstance(value, dict)
        or value.keys() - names
        or not all(isinstance(flag, bool | None) for flag in value.values())
    ):
        raise InvalidRequest(
            "`prompt_caching` may have `cache_system` and `cache_tools`, each true or false.", param="prompt_caching"
        )
    return frozenset(part for name, part in names.items() if value.get(name))


def _cache(body: Mapping[str, Any]) -> Cache | None:
    parts, control = _prompt_caching(body.get("prompt_caching")), body.get("cache_control")
    if isinstance(control, dict) and control.get("ttl") == "1h":
        return "1h"
    return None if parts is None else "5m" if parts else "off"


def _tools(value: Any) -> tuple[tuple[ToolSpec, ...], tuple[Mapping[str, Any], ...]]:
    """Those of the client, and those that the service runs."""
    if value is None:
        return (), ()
    if not isinstance(value, list) or len(value) > MAX_TOOLS:
        raise InvalidRequest(f"`tools` must be a list of at most {MAX_TOOLS} tools.", param="tools")
    tools: list[ToolSpec] = []
    server_tools: list[Mapping[str, Any]] = []
    for index, tool in enumerate(value):
        if isinstance(tool, dict) and isinstance(kind := tool.get("type"), str) and kind != "custom":
            server_tools.append({name: item for name, item in tool.items() if name != "cache_control"})
        else:
            tools.append(_tool(tool, f"tools[{index}]"))
    if len({tool.name for tool in tools}) < len(tools):
        raise InvalidRequest("Two of `tools` have the same name.", param="tools")
    if sum(len(json.dumps(tool.input_schema)) for tool in tools) > MAX_SCHEMA_CHARACTERS:
        raise InvalidRequest(
            f"The schemas of `tools` may have at most {MAX_SCHEMA_CHARACTERS:,} characters.", param="tools"
        )
    return tuple(tools), tuple(server_tools)


def _tool(tool: Any, where: str) -> ToolSpec:
    if not isinstance(tool, dict):
        raise InvalidRequest(f"{where} must be an object with `name` and `input_schema`.", param=where)
    name, description, schema = tool.get("name"), tool.get("description"), tool.get("input_schema")
    if not isinstance(name, str) or not is_tool_name(name):
        raise InvalidRequest(f"{where}.name must be 1 to 64 letters, digits, _ and -.", param=f"{where}.name")
    if not isinstance(description, str | None):
        raise InvalidRequest(f"{where}.description must be a text.", param=f"{where}.description")
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise InvalidRequest(
            f"{where}.input_schema must be a JSON schema of type object.", param=f"{where}.input_schema"
        )
    return ToolSpec(name, description or "", {"type": "object", **schema})


def _tool_choice(
    value: Any, tools: Sequence[ToolSpec], server_tools: Sequence[Mapping[str, Any]]
) -> tuple[ToolChoice | None, bool | None]:
    if value is None:
        return None, None
    parallel = value.get("disable_parallel_tool_use") if isinstance(value, dict) else None
    names = [tool.name for tool in tools] + [tool.get("name") for tool in server_tools]
    choice: ToolChoice
    match value:
        case {"type": ("auto" | "none") as choice}:
            pass
        case {"type": "any"} if names:
            choice = "required"
        case {"type": "tool", "name": str(name)} if name in names:
            choice = NamedTool(name)
        case _:
            raise InvalidRequest(
                "`tool_choice` must be of type auto, any, none, or tool with the `name` of one of `tools`.",
                param="tool_choice",
            )
    return choice if names else None, False if parallel is True else None
