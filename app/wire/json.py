"""JSON in and out, with the limits that hold for every format.

In: what a database, a provider and a `useChat` client can all take again. Out: no raw line end, whatever a model says.
"""

from __future__ import annotations

import json
import re
from math import isinf
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from app.core.errors import InvalidJson

_MAX_BITS = 1_023
"""Of a whole number: JavaScript, and whoever calculates here, makes a float of it."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

# Keys that make the AI SDK's parser refuse a whole stream; the second one only with a `prototype` inside.
_UNSAFE_KEYS = frozenset({"__proto__", "constructor"})

# JSON lets these stand raw, but the line readers of many HTTP clients end a line at them.
_LINE_ENDS = tuple((end.encode(), f"\\u{ord(end):04x}".encode()) for end in "\x85\u2028\u2029")


def parse_json(body: bytes) -> Any:
    """The value in `body`, which must be UTF-8 without a byte order mark.

    Refused besides what is not JSON: nesting deeper than 200, numbers that no float can be, half surrogate pairs and
    NUL (no database keeps them), and keys that a `useChat` client refuses when they come back to it.

    Raises:
        InvalidJson: without a word of what the body says.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        reason, _, place = str(error).rpartition(" at ")
        if reason.startswith("recursion"):
            raise InvalidJson("The body is nested too deeply; 200 levels are the limit.") from None
        raise InvalidJson(f"The body is not valid JSON in UTF-8; see {place}.") from None
    if b"\\u0000" in body and _NUL.search(body):  # a raw one is no JSON in the first place
        raise InvalidJson("The body contains a NUL character, which cannot be stored.")
    _check(value)
    return value


def parse_object(body: bytes) -> dict[str, Any]:
    """Like `parse_json`, for a body that must be an object."""
    value = parse_json(body)
    if not isinstance(value, dict):
        raise InvalidJson("The body must be a JSON object.")
    return value


def dump_json(value: Any) -> bytes:
    """UTF-8 on one line. A half surrogate pair, which models send when a token ends inside an emoji, is escaped."""
    try:
        data = to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:
        return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")
    if not data.isascii():
        for end, escape in _LINE_ENDS:
            data = data.replace(end, escape)
    return data


def _check(value: Any) -> None:
    """Look at every object and number; strings, the bulk of a body, are not touched."""
    todo: list[Any] = [[value]]
    while todo:
        container = todo.pop()
        if isinstance(container, dict):
            _check_keys(container)
            container = container.values()
        for item in container:
            kind = type(item)
            if kind is dict or kind is list:
                todo.append(item)
            elif (kind is float and isinf(item)) or (kind is int and item.bit_length() > _MAX_BITS):  # 1e999
                raise InvalidJson("The body contains a number that is out of range.")


def _check_keys(value: dict[str, Any]) -> None:
    if _UNSAFE_KEYS.isdisjoint(value):
        return
    constructor = value.get("constructor")
    if "__proto__" in value or (isinstance(constructor, dict) and "prototype" in constructor):
        raise InvalidJson("The body contains a key that JavaScript clients refuse, such as `__proto__`.")
