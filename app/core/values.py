"""The values that shape one model call, and the names they have in each layer that can set them.

A request names them in camelCase (`options.maxTokens`) or as headers (`X-AI-Max-Tokens`), block metadata and global
settings as Wave Terminal does (`ai:maxtokens`), a preset in TOML in snake_case (`max_tokens`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from app.core.errors import InvalidRequest
from app.core.tools import Policy

Thinking: TypeAlias = Literal["off", "low", "medium", "high"] | Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
"""An effort, or a budget in tokens."""

ResponseFormat: TypeAlias = Literal["text", "json"]

OnDisconnect: TypeAlias = Literal["continue", "cancel"]
"""What becomes of a running answer when nobody watches it any more."""


Cache: TypeAlias = Literal["off", "5m", "1h"]
"""Whether the provider shall keep the prompt's beginning, and for how long at least."""


ToolPattern: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _as_cache(value: Any) -> Any:
    return {False: "off", True: "5m"}[value] if isinstance(value, bool) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Values(BaseModel):
    """None means: not said in this layer, ask the next one."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    model: (
        Annotated[
            str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
        ]
        | None
    ) = None
    system: Annotated[str, StringConstraints(max_length=200_000, pattern=r"^[^\x00]*$")] | None = None
    """An empty one is said too: it takes the system prompt of a lower layer away."""
    temperature: Annotated[float, Field(strict=True, ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] | None = None
    stop: (
        Annotated[
            tuple[Annotated[str, StringConstraints(min_length=1, max_length=200)], ...],
            Field(max_length=16),
            BeforeValidator(_as_list),
        ]
        | None
    ) = None
    thinking: Thinking | None = None
    response_format: ResponseFormat | None = None
    on_disconnect: OnDisconnect | None = None
    cache: Annotated[Cache, BeforeValidator(_as_cache)] | None = None
    max_steps: Annotated[int, Field(strict=True, ge=1, le=64)] | None = None
    """Model calls of one turn."""
    tools: Annotated[tuple[ToolPattern, ...], Field(max_length=256)] | None = None
    """Names, or patterns with `*`: `get_weather`, `mcp:files/*`."""
    tool_policy: Annotated[Mapping[ToolPattern, Policy], Field(max_length=1_000)] | None = None
    """By name or pattern; what no entry matches has the tool's own."""

    def said(self) -> dict[str, Any]:
        """The values that this layer sets, by field name."""
        return {name: value for name, value in vars(self).items() if value is not None}


NO_VALUES = Values()

KEYS: Mapping[str, str] = {
    "ai:model": "model",
    "ai:system": "system",
    "ai:temperature": "temperature",
    "ai:topp": "top_p",
    "ai:maxtokens": "max_tokens",
    "ai:stop": "stop",
    "ai:thinking": "thinking",
    "ai:responseformat": "response_format",
    "ai:ondisconnect": "on_disconnect",
    "ai:cache": "cache",
    "ai:maxsteps": "max_steps",
    "ai:tools": "tools",
    "ai:toolpolicy": "tool_policy",
}
"""Keys of block metadata and global settings → field."""

_SERVERS_OWN = frozenset({"system", "tools", "tool_policy"})

OPTIONS: Mapping[str, str] = {to_camel(field): field for field in Values.model_fields if field not in _SERVERS_OWN}
"""Keys of a request's `options` → field. The system prompt and the tools are the server's: no request sets them."""

HEADERS: Mapping[str, str] = {
    "x-ai-model": "model",
    "x-ai-temperature": "temperature",
    "x-ai-top-p": "top_p",
    "x-ai-max-tokens": "max_tokens",
    "x-ai-stop": "stop",
    "x-ai-thinking": "thinking",
    "x-ai-response-format": "response_format",
    "x-ai-on-disconnect": "on_disconnect",
    "x-ai-cache": "cache",
    "x-ai-max-steps": "max_steps",
}


def parse_values(said: Mapping[str, Any], names: Mapping[str, str], *, where: str = "", text: bool = False) -> Values:
    """Values from one layer's own keys, `names` being KEYS, OPTIONS or HEADERS.

    Args:
        said: what the layer says; None counts as not said.
        names: the layer's key → field.
        where: how the layer is called in messages, such as `options`.
        text: everything is a string (headers); otherwise a number must be a number.

    Raises:
        InvalidRequest: an unknown key, a wrong type or a number out of range; `param` names the key.
    """
    fields: dict[str, Any] = {}
    for key, value in said.items():
        field = names.get(key)
        path = f"{where}.{key}" if where else key
        if field is None:
            known = ", ".join(names)
            raise InvalidRequest(f"{path[:80]} is not a known setting. Known are: {known}.", param=path[:80])
        if value is not None:
            fields[field] = _number(value) if text and field in _NUMBERS else value
        try:
            Values.model_validate({field: fields.get(field)})
        except ValidationError:
            raise InvalidRequest(f"{path}: {_EXPECTED[field]}.", param=path) from None
    return Values.model_validate(fields)


_NUMBERS = frozenset({"temperature", "top_p", "max_tokens", "thinking", "max_steps"})

_EXPECTED: Mapping[str, str] = {
    "model": "must be the name of a model, of at most 200 characters",
    "system": "must be a text of at most 200,000 characters",
    "temperature": "must be a number from 0 to 2",
    "top_p": "must be a number from 0 to 1",
    "max_tokens": "must be a whole number from 1 to 10,000,000",
    "thinking": "must be off, low, medium, high or a number of tokens",
    "response_format": "must be text or json",
    "on_disconnect": "must be continue or cancel",
    "cache": "must be true, false, 5m or 1h",
    "max_steps": "must be a whole number from 1 to 64",
    "tools": "must be a list of at most 256 names of tools",
    "tool_policy": "must be a table of tool names and auto, ask or off",
    "stop": "must be a string or a list of at most 16 strings, each of 1 to 200 characters",
}


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
