"""The JSON of model services, half surrogate pairs included.

Some services cut an answer in the middle of an emoji: one event ends with its first surrogate, the next begins with
its second. Half a pair is no text, and NUL is none that a database or a client's next request can hold: nothing behind
this package may meet either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

from pydantic_core import from_json

from app.core.events import ModelEvent, ReasoningDelta, ReasoningEnd, TextDelta, TextEnd, ToolInputDelta

_REPLACEMENT = "\ufffd"
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""Not in JSON that stands in a text, as arguments of calls do: it is for the call to be refused."""


class Parser:
    """Decodes the data of one answer's events."""

    __slots__ = ("torn",)

    def __init__(self) -> None:
        self.torn = False
        """Half pairs or NUL have come: the answer's events must go through a Mender from here on."""

    def __call__(self, data: bytes) -> Any:
        """Raises ValueError where `data` is not JSON in UTF-8."""
        try:
            value = from_json(data, allow_inf_nan=False)
        except ValueError:
            value = json.loads(data.decode(), parse_constant=_refuse)  # takes half pairs, and any depth: see `sound`
            self.torn = True
        else:
            self.torn = self.torn or (b"\\u0000" in data and _NUL.search(data) is not None)
        return value


class Frame(NamedTuple):
    """The data of an event as it came, and what it says."""

    data: bytes
    value: Any


class FrameParser:
    """Decodes the data of events that are passed on as they came: nothing in them is mended."""

    torn = False

    def __init__(self) -> None:
        self._parse = Parser()

    def __call__(self, data: bytes) -> Frame:
        """Raises ValueError where `data` is not JSON in UTF-8."""
        return Frame(data, self._parse(data))


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


class Mender:
    """Joins the halves of pairs that two deltas of a part share, and replaces those that stay alone, and NUL."""

    def __init__(self) -> None:
        self._halves: dict[str, str] = {}

    def mend(self, events: Sequence[ModelEvent]) -> list[ModelEvent]:
        mended: list[ModelEvent] = []
        for event in events:
            match event:
                case TextDelta(id=part) | ReasoningDelta(id=part) | ToolInputDelta(tool_call_id=part):
                    delta = self._joined(part, event.delta)
                    if delta:
                        mended.append(replace(event, delta=delta))
                case TextEnd(id=part) | ReasoningEnd(id=part) if self._halves.pop(part, ""):
                    delta_type = TextDelta if isinstance(event, TextEnd) else ReasoningDelta
                    mended += delta_type(part, _REPLACEMENT), _whole(event)
                case _:
                    mended.append(_whole(event))
        return mended

    def _joined(self, part: str, delta: str) -> str:
        text = self._halves.pop(part, "") + delta
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._halves[part] = text[-1]
            text = text[:-1]
        return _whole_text(text)


def _whole_text(text: str) -> str:
    return text.replace("\0", _REPLACEMENT).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _whole(value: Any) -> Any:
    """The same value, dataclasses and containers included, with whole pairs only."""
    if isinstance(value, str):
        return _whole_text(value)
    if isinstance(value, Mapping):
        return {_whole(key): _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return replace(value, **{field.name: _whole(getattr(value, field.name)) for field in fields(value)})
    return value
