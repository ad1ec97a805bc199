"""The body of `POST /v1/chat/completions` → `Asked`: OpenAI's chat completions as its SDKs (openai 3) write them.

What of a request has no meaning here is said in the answer's `warnings`; what would change its form and cannot be
honoured is refused. docs/http-api.md lists both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.errors import InvalidRequest
from app.core.gateway import Asked
from app.core.model import JsonSchema
from app.core.tools import ToolSpec
from app.core.values import parse_values
from app.wire.openai_fields import (
    MOST_WARNINGS,
    left_out,
    read_effort,
    read_flag,
    read_function,
    read_json_schema,
    read_model,
    read_tool_choice,
    read_tools,
)
from app.wire.openai_messages import read_messages

_VALUES: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "stop": "stop",
}
"""Field → value. Of two for one value the later counts."""

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
    model = read_model(body)
    _check_refused(body)
    warnings = left_out(body, _READ | IGNORED | REFUSED.keys() | {"modalities"})
    system, messages = read_messages(body.get("messages"))
    response_format, json_schema = _response_format(body.get("response_format"))
    said = {name: body[name] for name in _VALUES if body.get(name) is not None}
    values = parse_values(said, _VALUES).model_copy(
        update=parse_values(
            {"messages": system, "response_format": response_format},
            {"messages": "system", "response_format": "response_format"},
        ).said()
        | read_effort(body.get("reasoning_effort"), "reasoning_effort", warnings)
    )
    tools = read_tools(body.get("tools"), _tool, warnings)
    stream, include_usage = _stream(body)
    asked = Asked(
        model=model,
        messages=messages,
        values=values,
        tools=tools,
        tool_choice=read_tool_choice(body.get("tool_choice"), tools),
        parallel_tools=read_flag(body, "parallel_tool_calls"),
        json_schema=json_schema,
        stream=stream,
        notes=tuple(warnings[:MOST_WARNINGS]),
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


def _response_format(value: Any) -> tuple[str | None, JsonSchema | None]:
    match value:
        case None:
            return None, None
        case {"type": "text"}:
            return "text", None
        case {"type": "json_object"}:
            return "json", None
        case {"type": "json_schema", "json_schema": dict(wanted)} if isinstance(wanted.get("schema"), dict):
            return "json", read_json_schema(wanted, "response_format.json_schema")
        case _:
            pass
    raise InvalidRequest(
        "`response_format` must be of type text, json_object, or json_schema with a `json_schema` that has a `schema`.",
        param="response_format",
    )


def _tool(tool: Any, where: str) -> tuple[ToolSpec, Any]:
    match tool:
        case {"type": "function", "function": {"name": str()} as function}:
            return read_function(function, f"{where}.function")
        case {"type": "custom"}:
            raise InvalidRequest(f"{where}: custom tools are not supported. Use a function.", param=f"{where}.type")
        case _:
            raise InvalidRequest(
                f'{where} must be {{"type": "function", "function": {{"name": …}}}}.', param=f"{where}.function"
            )


def _stream(body: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether to stream, and whether to end with the usage."""
    options = body.get("stream_options")
    if not isinstance(options, dict | None):
        raise InvalidRequest("`stream_options` must be an object.", param="stream_options")
    return bool(read_flag(body, "stream")), bool(read_flag(options or {}, "include_usage"))
