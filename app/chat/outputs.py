"""What tools are given and give back, as everybody can take it: the database, the clients, the next model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

MAX_CHARACTERS = 100_000
"""Of arguments or of an output, as JSON."""
MAX_DEPTH = 100
"""A conversation may be nested 200 deep, and the value stands inside one."""
_MAX_BITS = 1_023
"""Of a whole number: clients make a float of it."""


def plain(value: Any) -> Any:
    """A copy that is JSON to everyone: without NUL, halves of characters, and the keys that `useChat` clients refuse.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    return _plain(value, 0)


def limited(value: Any) -> Any:
    """A plain value, or the beginning of it as text where it is too long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= MAX_CHARACTERS:
        return value
    return f"{text[:MAX_CHARACTERS]}\n[The output was cut off here: it has {len(text):,} characters.]"


def taken(output: Any) -> Any:
    """What a client's tool gave, as far as it can be taken."""
    try:
        return limited(plain(output))
    except ValueError:
        return None


def is_too_long(value: Any) -> bool:
    return len(json.dumps(value, ensure_ascii=False)) > MAX_CHARACTERS


def _plain(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, int) and value.bit_length() <= _MAX_BITS:
        return int(value)
    if isinstance(value, float) and isfinite(value):
        return float(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a key that is no text")
        return {_whole(key): _plain(item, depth + 1) for key, item in value.items() if not _is_unsafe(key, item)}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    raise ValueError("not JSON")


def _whole(text: str) -> str:
    text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _is_unsafe(key: str, item: Any) -> bool:
    return key == "__proto__" or (key == "constructor" and isinstance(item, Mapping) and "prototype" in item)
