"""A router's table, what it looks at to choose, and what it says of its choice."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

Strategy: TypeAlias = Literal["cheapest", "fastest", "best"]
"""`best`: in the order in which the candidates are named."""

MAX_MATCHED = 20_000
"""Characters of the question that a rule's regular expression sees: it runs on what anybody writes."""
MATCH_SECONDS = 0.05
"""For which it may look. Nearly all find in a millisecond what there is to be found."""


class Expression(Protocol):
    """A regular expression that can be told for how long it may look."""

    @property
    def pattern(self) -> str: ...

    def search(self, string: str, *, timeout: float) -> object | None:
        """Raises TimeoutError after so many seconds."""
        ...


@dataclass(frozen=True, slots=True)
class When:
    """What a rule is for. It fits where everything that it says fits; None: it says nothing of that."""

    images: bool | None = None
    tools: bool | None = None
    json: bool | None = None
    longer_than: int | None = None
    """Tokens of the whole prompt, estimated."""
    matches: Expression | None = None
    """Found in the question."""
    template: str | None = None
    """The prompt template that the question was made with."""
    tag: str | None = None
    """The block's `ai:tag`."""
    slower_than: float | None = None
    """Seconds to the first token that the candidate which would be asked otherwise has lately taken."""


@dataclass(frozen=True, slots=True)
class Rule:
    when: When
    use: tuple[str, ...]
    """Names of presets: these and no others."""


@dataclass(frozen=True, slots=True)
class Router:
    """How a preset of `provider = "router"` chooses who answers."""

    strategy: Strategy
    candidates: tuple[str, ...]
    """Names of presets, for what no rule is for."""
    classifier: str | None = None
    """The preset that is asked which of several candidates fits."""
    rules: tuple[Rule, ...] = ()

    @property
    def names(self) -> Sequence[str]:
        """All presets that may answer, each once."""
        return list(dict.fromkeys([*self.candidates, *(name for rule in self.rules for name in rule.use)]))


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a preset's service can be asked for, as far as it is known without asking it."""

    takes: Container[str]
    """Media types."""
    tools: bool = True
    json: bool = True
    local: bool = False
    """Runs on the user's own machine: costs nothing."""
    api: str | None = None
    """The format of its own, where clients speak it, too: `core.ports.Api`."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is known of a question besides its prompt."""

    template: str | None = None
    tag: str | None = None
    block_id: str | None = None
    """None: it is not stored."""
    message_id: str | None = None
    """The answer that the call is about, where it is known."""
    gateway_key: str | None = None
    """The id of the key that a program asked with."""


NO_OCCASION = Occasion()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a model call wants of whoever answers."""

    question: str = ""
    """The user's last words."""
    tokens: int = 0
    """Of the prompt, estimated."""
    media: frozenset[str] = frozenset()
    """The types of what is in the whole prompt."""
    new_media: frozenset[str] = frozenset()
    """Those of the last question."""
    tools: bool = False
    json: bool = False
    occasion: Occasion = NO_OCCASION


@dataclass(frozen=True, slots=True)
class Skipped:
    preset: str
    why: str


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers, and why."""

    preset: str
    model: str
    why: str
    skipped: tuple[Skipped, ...] = ()
    """Who would have been asked before, and why not."""

    def to_wire(self) -> dict[str, Any]:
        """The `routed` of a message's metadata."""
        skipped = [{"preset": each.preset, "why": each.why} for each in self.skipped]
        routed: dict[str, Any] = {"preset": self.preset, "model": self.model, "why": self.why}
        return {**routed, "skipped": skipped} if skipped else routed


_CHARACTERS_PER_TOKEN = 4
TOKENS_PER_FILE = 1_500


def estimated_tokens(characters: int, files: int = 0) -> int:
    """Good enough to compare prices and lengths by."""
    return characters // _CHARACTERS_PER_TOKEN + files * TOKENS_PER_FILE


def size_of(value: Mapping[str, Any]) -> int:
    """Characters of a value as JSON."""
    return len(json.dumps(value, ensure_ascii=False, default=str))
