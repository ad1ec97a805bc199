"""The body of `POST /v1/responses` → `Asked`: OpenAI's Responses API as its SDKs (openai 3) write it.

Nothing is kept between requests, as with `store: false`: what refers to an earlier one is refused. What of a request
has no meaning here is said in the answer's `warnings`. docs/http-api.md lists both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.errors import InvalidRequest
from app.core.events import CallWarning
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
from app.wire.openai_input import read_input

_VALUES: Mapping[str, str] = {"temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_tokens"}
"""Field → value."""

_READ = frozenset(
    {"model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "stream"}
    | {*_VALUES, "metadata"}
)

_NOTHING_KEPT = "Nothing is kept between requests. Send the whole conversation as `input`."

REFUSED: Mapping[str, str] = {
    "previous_response_id": _NOTHING_KEPT,
    "conversation": _NOTHING_KEPT,
    "background": "An answer is given while its client waits.",
    "prompt": "Send its text as `instructions` and `input`.",
    "top_logprobs": "No service behind this server is asked for them.",
    "moderation": "Nothing is moderated here.",
}
"""Fields without which the answer would be another, and what to do instead. At their defaults they are welcome."""

IGNORED = frozenset(
    {"user", "store", "include", "service_tier", "truncation", "safety_identifier", "stream_options"}
    | {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
)
"""Fields that change no answer: nothing is said of them. Of any other, a warning is."""


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    asked: Asked
    repeated: Mapping[str, Any]
    """Fields that the answer has, too."""


def read_response_request(body: Mapping[str, Any]) -> ResponseRequest:
    """What the program wants.

    Raises:
        InvalidRequest: `param` names the field, such as `input[2].role`.
    """
    model = read_model(body)
    for name, instead in REFUSED.items():
        if body.get(name):
            raise InvalidRequest(f"`{name}` is not supported. {instead}", param=name)
    warnings = left_out(body, _READ | IGNORED | REFUSED.keys())
    system, messages = read_input(body.get("input"), body.get("instructions"))
    text, reasoning = _object(body, "text"), _object(body, "reasoning")
    response_format, json_schema = _format(text.get("format"))
    if text.get("verbosity") is not None:
        warnings += left_out({"text.verbosity": text["verbosity"]}, ())
    values = parse_values({name: body[name] for name in _VALUES if name in body}, _VALUES).model_copy(
        update=parse_values(
            {"instructions": system, "text": response_format}, {"instructions": "system", "text": "response_format"}
        ).said()
        | read_effort(reasoning.get("effort"), "reasoning.effort", warnings)
    )
    tools = read_tools(body.get("tools"), _tool, warnings)
    asked = Asked(
        model=model,
        messages=messages,
        values=values,
        tools=tools,
        tool_choice=read_tool_choice(body.get("tool_choice"), tools),
        parallel_tools=read_flag(body, "parallel_tool_calls"),
        json_schema=json_schema,
        stream=bool(read_flag(body, "stream")),
        notes=_most(warnings),
    )
    return ResponseRequest(asked, _repeated(body, text))


def _most(warnings: list[CallWarning]) -> tuple[CallWarning, ...]:
    return tuple(warnings[:MOST_WARNINGS])


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if not isinstance(value, dict | None):
        raise InvalidRequest(f"`{name}` must be an object.", param=name)
    return value or {}


def _format(value: Any) -> tuple[str | None, JsonSchema | None]:
    match value:
        case None:
            return None, None
        case {"type": "text"}:
            return "text", None
        case {"type": "json_object"}:
            return "json", None
        case {"type": "json_schema", "schema": dict()}:
            return "json", read_json_schema(value, "text.format")
        case _:
            pass
    raise InvalidRequest(
        "`text.format` must be of type text, json_object, or json_schema with a `schema`.", param="text.format"
    )


def _tool(tool: Any, where: str) -> tuple[ToolSpec, Any]:
    match tool:
        case {"type": "function", "name": str()}:
            return read_function(tool, where)
        case {"type": "function"}:
            raise InvalidRequest(f"{where}.name must be a text.", param=f"{where}.name")
        case _:
            pass
    raise InvalidRequest(
        f"{where} must be a function. Tools that a service runs itself belong to the preset, as its `provider_tools`.",
        param=f"{where}.type",
    )


def _repeated(body: Mapping[str, Any], text: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the defaults that the SDKs expect."""

    def said(name: str, default: Any = None) -> Any:
        value = body.get(name)
        return default if value is None else value

    return {
        "instructions": said("instructions"),
        "max_output_tokens": said("max_output_tokens"),
        "metadata": _object(body, "metadata"),
        "parallel_tool_calls": said("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": said("reasoning"),
        "store": False,
        "temperature": said("temperature"),
        "text": {"format": {"type": "text"}, **text},
        "tool_choice": said("tool_choice", "auto"),
        "tools": said("tools", []),
        "top_p": said("top_p"),
    }
