"""A Python function → a Tool: type hints become the schema, the docstring becomes the description.

Parameters are checked strictly and nothing unknown is taken. A parameter of type `ToolContext` is filled in by the
server and not told to the model. Plain functions run in a thread; an async generator yields preliminary outputs.
"""

from __future__ import annotations

import inspect
import json
import re
import typing
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, core_schema, to_json

from app.core.tools import Execute, Policy, Tool, ToolContext, ToolFailure, ToolOutput, ToolSpec, is_tool_name
from app.tools.threads import in_thread

Function = Callable[..., Any]

_SECTION = re.compile(r"(Args|Arguments|Returns|Yields|Raises|Example|Examples|Note|Notes):")
_ARGUMENT = re.compile(r"(\*{0,2}\w+)(?: \([^)]*\))?:\s*(.*)")


class NotATool(Exception):
    """Why a function cannot be one, in words that follow its name: `has a parameter *args`."""


def tool_from(function: Function, *, policy: Policy = "auto", timeout: float = 60.0) -> Tool:
    """Raises NotATool."""
    name = function.__name__
    if not is_tool_name(name):
        raise NotATool("has a name that no service takes: at most 64 of A-Z, a-z, 0-9 and _")
    if inspect.isgeneratorfunction(function):
        raise NotATool("is a generator; one that shows preliminary outputs must be `async def`")
    description, told = read_docstring(inspect.getdoc(function) or "")
    parameters = _parameters(function, told)
    spec = ToolSpec(name, description or name.replace("_", " "), parameters.schema())
    return Tool(spec, _executing(function, parameters), policy=policy, timeout=timeout)


def read_docstring(text: str) -> tuple[str, Mapping[str, str]]:
    """What is said of the function, and of each parameter below `Args:`, as Google's style guide has it."""
    description: list[str] = []
    arguments: dict[str, str] = {}
    section, last, depth = "", "", 0
    for line in text.splitlines():
        stripped = line.strip()
        if line == stripped and _SECTION.fullmatch(stripped):
            section, last = stripped, ""
        elif not section:
            description.append(line)
        elif section in ("Args:", "Arguments:") and stripped:
            indent = len(line) - len(line.lstrip())
            match = _ARGUMENT.fullmatch(stripped) if not last or indent <= depth else None
            if match is not None:
                last, depth = match[1], indent
                arguments[last] = match[2]
            elif last:
                arguments[last] = f"{arguments[last]} {stripped}".strip()
    return "\n".join(description).strip(), arguments


@dataclass(frozen=True, slots=True)
class _Parameters:
    model: type[BaseModel]
    """Its fields are `p0`, `p1`, … with the parameters' names as aliases: those may be `schema` or `_x`."""
    names: Mapping[str, str]
    """Field → parameter."""
    context: str | None
    """The parameter that gets the ToolContext."""

    def schema(self) -> Mapping[str, Any]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of defaults that cannot be written as JSON: they are left out
                schema = self.model.model_json_schema(schema_generator=_Untitled)
        except PydanticUserError:
            raise NotATool("has a parameter whose type has no JSON schema") from None
        return {"type": "object", "properties": {}, **schema}

    def read(self, arguments: Mapping[str, Any], context: ToolContext) -> dict[str, Any]:
        """The function's keyword arguments; what the model left out is left to the function's own defaults."""
        try:
            model = self.model.model_validate_json(json.dumps(arguments))
        except ValidationError as error:
            raise ToolFailure(_complaint(error)) from None
        given = {self.names[field]: getattr(model, field) for field in self.names if field in model.model_fields_set}
        return given if self.context is None else {**given, self.context: context}


class _Untitled(GenerateJsonSchema):
    """Without the titles that pydantic makes of names: tokens for nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        return {key: value for key, value in super().model_schema(schema).items() if key != "title"}


def _parameters(function: Function, told: Mapping[str, str]) -> _Parameters:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # noqa: BLE001 - hints are code, of anybody
        raise NotATool(f"has a type hint that cannot be read ({type(error).__name__})") from None
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    context: str | None = None
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise NotATool(f"has a parameter {parameter}".split(":")[0] + ", which cannot be named in a call")
        if hints.get(name) is ToolContext:
            context = name
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        field = f"p{len(fields)}"
        names[field] = name
        fields[field] = (hints.get(name, Any), Field(default, alias=name, description=told.get(name)))
    config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=False)
    try:
        return _Parameters(create_model(function.__name__, __config__=config, **fields), names, context)
    except Exception as error:  # noqa: BLE001 - types are code, of anybody
        raise NotATool(f"has a parameter whose type cannot come from JSON ({type(error).__name__})") from None


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'The input'}: {first['msg']}."


def _executing(function: Function, parameters: _Parameters) -> Execute:
    if inspect.isasyncgenfunction(function):

        async def stream(arguments: Mapping[str, Any], context: ToolContext) -> AsyncIterator[Any]:
            async for value in function(**parameters.read(arguments, context)):
                yield as_output(value)

        return stream
    is_async = inspect.iscoroutinefunction(function)

    async def call(arguments: Mapping[str, Any], context: ToolContext) -> Any:
        given = parameters.read(arguments, context)
        return as_output(await function(**given) if is_async else await in_thread(function, **given))

    return call


def as_output(value: Any) -> Any:
    """`value` as JSON has it, also inside a ToolOutput: dates, dataclasses, models and the like become that.

    Raises:
        ToolFailure: it cannot be written as JSON.
    """
    if isinstance(value, ToolOutput):
        return replace(value, value=as_output(value.value))
    complaint = f"The tool returned a {type(value).__name__} that cannot be written as JSON."
    if isinstance(value, Iterator):  # it may have no end
        raise ToolFailure(complaint)
    try:
        return json.loads(to_json(value, inf_nan_mode="strings"))
    except (PydanticSerializationError, ValueError, RecursionError):
        raise ToolFailure(complaint) from None
