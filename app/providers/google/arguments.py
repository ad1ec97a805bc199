"""The arguments of a tool call that Gemini streams value by value, each with its place.

Format: `functionCall.partialArgs` of Vertex AI's Gemini 3, such as `{"jsonPath": "$.steps[0]", "stringValue": "Pre",
"willContinue": true}`. Strings come in pieces; empty lists and objects are places without a value, a list's with `[]`
at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_VALUES = ("stringValue", "numberValue", "boolValue")


class PartialArguments:
    """`value` is the object as far as it has come."""

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}

    def add(self, pieces: Iterable[Mapping[str, Any]]) -> None:
        """Raises ValueError where a piece has no place among what came before."""
        for piece in pieces:
            place: str = piece["jsonPath"]
            path = _path(place.removesuffix("[]"))
            container: Any = self.value
            for step, following in pairwise(path):
                container = _enter(container, step, [] if isinstance(following, int) else {})
            value = next((piece[name] for name in _VALUES if piece.get(name) is not None), None)
            if value is not None or "nullValue" in piece:
                _put(container, path[-1], value)
            elif not piece.get("willContinue"):
                _enter(container, path[-1], [] if place.endswith("[]") else {})


def _path(text: str) -> list[str | int]:
    """`$.a[0].b` is `["a", 0, "b"]`."""
    steps: list[str | int] = []
    end = 1
    for match in _STEP.finditer(text, 1):
        if match.start() != end:
            break
        name, index, *quoted = match.groups()
        steps.append(int(index) if index is not None else name or next(filter(None, quoted), ""))
        end = match.end()
    if not steps or not text.startswith("$") or end != len(text):
        raise ValueError("no such place")
    return steps


def _enter(container: Any, step: str | int, fresh: Any) -> Any:
    """What stands at `step`; `fresh` is put there first where there is nothing yet."""
    if isinstance(container, list) and isinstance(step, int) and step <= len(container):
        if step == len(container):
            container.append(fresh)
        return container[step]
    if isinstance(container, dict) and isinstance(step, str):
        return container.setdefault(step, fresh)
    raise ValueError("no such place")


def _put(container: Any, step: str | int, value: Any) -> None:
    """Set a value; a string is added to the one that stands there."""
    before = _enter(container, step, "" if isinstance(value, str) else value)
    container[step] = before + value if isinstance(before, str) and isinstance(value, str) else value
