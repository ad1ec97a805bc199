"""What a scripted model says in one answer, before any service puts it into its own words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Called:
    """A tool call. `number` is unique in a conversation; each service makes an id of its own kind of it."""

    number: int
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Tokens:
    """What a service counts. `sent` is the whole prompt, what was `read` from its cache and `written` to it included;
    `said` includes what was `thought`.
    """

    sent: int = 100
    read: int = 0
    written: int = 0
    said: int = 20
    thought: int = 5


@dataclass(frozen=True)
class Said:
    text: str = ""
    thought: str = ""
    calls: tuple[Called, ...] = ()
    number: int = 1
    """Of the answer: what the service signs and numbers in it is its alone."""
    tokens: Tokens = field(default_factory=Tokens)


def calling(number: int, *names: str, thought: str = "", text: str = "", **more: Any) -> Said:
    """An answer with a call of each tool, all for the same city."""
    calls = tuple(Called(10 * number + place, name, {"city": "Tromsø"}) for place, name in enumerate(names))
    return Said(text, thought, calls, number, **more)


def pieces(text: str) -> tuple[str, str, str]:
    """As a model's tokens come: not where anybody would cut."""
    third = len(text) // 3
    return text[:third], text[third : third + 1], text[third + 1 :]


def as_text(output: Any) -> str:
    """A tool's output where a service takes only text."""
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
