"""Whether arguments fit the schema of a tool: JSON Schema, with an end to what that may cost.

A client or an MCP server writes the schema and a model the arguments: together they could be made to take for ever.
What cannot be bounded (regular expressions, comparing all items of a list) is left to whoever runs the tool, who looks
at the arguments too. Nothing is fetched: a reference leads into the schema itself or nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import thread_time
from typing import Any, TypeAlias

from app.core.errors import InvalidRequest
from app.core.tools import ToolSpec

SECONDS = 0.25
"""Of computing time, for the arguments of one call."""
LONGEST_COMPLAINT = 500

_LEFT_OUT = ("pattern", "patternProperties", "uniqueItems", "unevaluatedItems", "unevaluatedProperties")
_COMBINING = frozenset({"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "not", "unevaluatedProperties"})

_Keyword: TypeAlias = Callable[[Any, Any, Any, Mapping[str, Any]], Any]
"""The check of one keyword, as jsonschema has it: validator, the keyword's value, what is checked, the schema."""


class _TakesTooLong(Exception):
    pass


class ArgumentCheck:
    """Of one tool."""

    def __init__(self, spec: ToolSpec) -> None:
        from jsonschema import Draft202012Validator
        from jsonschema.validators import extend, validator_for
        from referencing import Registry

        schema = _closed(spec.input_schema)
        kind = validator_for(schema, default=Draft202012Validator)
        checks = {keyword: self._timed(check) for keyword, check in kind.VALIDATORS.items()}
        checks |= dict.fromkeys(_LEFT_OUT, _anything_goes)
        checks["additionalProperties"] = _without_patterns(checks["additionalProperties"])
        self._validator = extend(kind, checks)(schema, registry=Registry())
        self._end = 0.0

    def complaint(self, arguments: Mapping[str, Any]) -> str | None:
        """What is wrong with them, in words for the model."""
        from jsonschema.exceptions import best_match

        self._end = thread_time() + SECONDS
        try:
            error = best_match(self._validator.iter_errors(arguments))
        except _TakesTooLong:
            return "The arguments cannot be checked: they and the schema of this tool are too big."
        except Exception:  # noqa: BLE001  # a schema that refers to nothing, or to itself for ever
            return "The arguments cannot be checked: the schema of this tool is broken."
        if error is None:
            return None
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
        place = f" At {path.lstrip('.')}:" if path else ""
        return f"The arguments do not fit the tool.{place} {error.message}"[:LONGEST_COMPLAINT]

    def _timed(self, check: _Keyword) -> _Keyword:
        def timed(validator: Any, said: Any, value: Any, schema: Mapping[str, Any]) -> Any:
            if thread_time() > self._end:
                raise _TakesTooLong
            return check(validator, said, value, schema)

        return timed


def check_schema(spec: ToolSpec, where: str) -> None:
    """Raises InvalidRequest: the schema of a client's tool is none."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(dict(spec.input_schema))
    except (SchemaError, RecursionError):
        raise InvalidRequest(f"{where}.parameters must be a JSON schema.", param=f"{where}.parameters") from None


def _anything_goes(*_: Any) -> tuple[()]:
    return ()


def _without_patterns(check: _Keyword) -> _Keyword:
    """`additionalProperties`, which would look for them in every key."""

    def checked(validator: Any, said: Any, value: Any, schema: Mapping[str, Any]) -> Any:
        return () if "patternProperties" in schema else check(validator, said, value, schema)

    return checked


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with what it means: keys that it does not name are not taken, unless it says so."""
    closed = dict(schema)
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        closed["properties"] = {
            name: _closed(value) if isinstance(value, Mapping) else value for name, value in properties.items()
        }
    if isinstance(schema.get("items"), Mapping):
        closed["items"] = _closed(schema["items"])
    if properties is not None and not _COMBINING & schema.keys():
        closed.setdefault("additionalProperties", False)
    return closed
