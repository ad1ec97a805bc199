"""Who of a router's candidates is asked, in which order, and why: the rules of the choice, without asking anybody."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from app.chat.measurements import Key, Measurements
from app.core.files import IMAGE_TYPES
from app.core.messages import FilePart, UIMessage
from app.core.model import Media, ModelRequest, Preset, Text, ToolCall, ToolResult
from app.core.routing import (
    MATCH_SECONDS,
    MAX_MATCHED,
    Abilities,
    Expression,
    Occasion,
    Router,
    Skipped,
    Wanted,
    When,
    estimated_tokens,
    size_of,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of those who may answer, and what is known of it."""

    preset: Preset
    request: ModelRequest
    """As it would be asked; without messages."""
    abilities: Abilities

    @property
    def name(self) -> str:
        return self.preset.name

    @property
    def key(self) -> Key:
        return self.preset.name, self.request.model


@dataclass(frozen=True, slots=True)
class Choice:
    """Candidates in the order in which they are asked."""

    order: tuple[Candidate, ...]
    why: str
    """The first one, in words."""
    skipped: tuple[Skipped, ...] = ()
    is_ruled: bool = False
    """A rule has chosen."""


CostOf = Callable[[Candidate, Wanted], float | None]
"""US dollars for such a call; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Rules:
    """A router's, with everything that they go by."""

    router: Router
    candidates: Mapping[str, Candidate]
    """By the name of the preset."""
    cost_of: CostOf
    measurements: Measurements

    def choose(self, wanted: Wanted) -> Choice:
        """By the first rule that fits, else by the strategy alone. An empty order: nobody can take the request."""
        standing = self._chosen(self.router.candidates, wanted)
        lately = self.measurements.seconds(standing.order[0].key) if standing.order else None
        for number, rule in enumerate(self.router.rules, 1):
            if fits(rule.when, wanted, lately):
                chosen = self._chosen(rule.use, wanted)
                why = f"rule {number} ({_in_words(rule.when)}): {chosen.why}"
                return replace(chosen, why=why, is_ruled=True)
        return standing

    def preferring(self, choice: Choice, name: str, why: str) -> Choice:
        """With the candidate of that name at the front, unless it has failed a moment ago."""
        first = next((each for each in choice.order if each.name == name), None)
        if first is None or self.measurements.rests(first.key):
            return choice
        others = (each for each in choice.order if each is not first)
        skipped = tuple(each for each in choice.skipped if each.preset != name)
        return replace(choice, order=(first, *others), why=why, skipped=skipped)

    def _chosen(self, names: Sequence[str], wanted: Wanted) -> Choice:
        able, skipped = _able([self.candidates[name] for name in names], wanted)
        ordered, why = self._ordered(able, wanted)
        rested = [each for each in ordered if self.measurements.rests(each.key)]
        awake = [each for each in ordered if each not in rested]
        if awake and rested:
            before = ordered[: ordered.index(awake[0])]
            skipped = [*skipped, *(Skipped(each.name, "It failed a moment ago and is asked last.") for each in before)]
            why = why if not before else "the next in line"
        if len(able) == 1:
            why = "the only one that can take it" if skipped else "the only one to choose"
        return Choice((*awake, *rested), why, tuple(skipped))

    def _ordered(self, able: Sequence[Candidate], wanted: Wanted) -> tuple[list[Candidate], str]:
        """By the strategy, and why the first is the first."""
        count = len(able)
        match self.router.strategy:
            case "best":
                return list(able), f"the first of {count}"
            case "cheapest":
                costs = {each.name: self.cost_of(each, wanted) for each in able}
                known = {name: cost for name, cost in costs.items() if cost is not None}
                ordered = sorted(able, key=lambda each: known.get(each.name, float("inf")))
                return ordered, f"the cheapest of {count}" if known else f"the first of {count} without a known price"
            case "fastest":
                times = {each.name: self.measurements.seconds(each.key) or 0.0 for each in able}
                ordered = sorted(able, key=lambda each: times[each.name])
                measured = bool(ordered) and times[ordered[0].name] > 0
                return ordered, f"the fastest of {count} lately" if measured else f"one of {count} not measured lately"


def fits(when: When, wanted: Wanted, lately: float | None) -> bool:
    """Whether a rule is for such a call.

    Args:
        when: what the rule says.
        wanted: what the call wants.
        lately: seconds to the first token of whoever would be asked without rules; None where nobody knows.
    """
    return (
        when.images in (None, not wanted.media.isdisjoint(IMAGE_TYPES))
        and when.tools in (None, wanted.tools)
        and when.json in (None, wanted.json)
        and (when.longer_than is None or wanted.tokens > when.longer_than)
        and when.template in (None, wanted.occasion.template)
        and when.tag in (None, wanted.occasion.tag)
        and (when.slower_than is None or (lately is not None and lately > when.slower_than))
        and (when.matches is None or _is_found(when.matches, wanted.question))
    )


def _is_found(expression: Expression, question: str) -> bool:
    """What takes too long counts as found: rules say what must stay on this machine."""
    try:
        return expression.search(question[:MAX_MATCHED], timeout=MATCH_SECONDS) is not None
    except TimeoutError:
        log.warning("a rule's regular expression takes too long", extra={"expression": expression.pattern[:100]})
        return True


def _in_words(when: When) -> str:
    said = [
        (when.images, "images", "no images"),
        (when.tools, "tools", "no tools"),
        (when.json, "JSON", "no JSON"),
    ]
    words = [yes if value else no for value, yes, no in said if value is not None]
    if when.longer_than is not None:
        words.append(f"more than {when.longer_than:,} tokens")
    if when.matches is not None:
        words.append("what is asked")
    if when.template is not None:
        words.append(f"the template {when.template}")
    if when.tag is not None:
        words.append(f"the tag {when.tag}")
    if when.slower_than is not None:
        words.append(f"slower than {when.slower_than:g} s")
    return ", ".join(words)


def _able(candidates: Sequence[Candidate], wanted: Wanted) -> tuple[list[Candidate], list[Skipped]]:
    """Who can take the request, and why the others cannot. Where nobody can take every file of the conversation, those
    of the last question count: for the others a note stands.
    """
    problems = {each.name: _why_not(each.abilities, wanted, wanted.media) for each in candidates}
    if None not in problems.values():
        problems = {each.name: _why_not(each.abilities, wanted, wanted.new_media) for each in candidates}
    able = [each for each in candidates if problems[each.name] is None]
    return able, [Skipped(name, why) for name, why in problems.items() if why is not None]


def _why_not(abilities: Abilities, wanted: Wanted, media: frozenset[str]) -> str | None:
    for media_type in sorted(media):
        if media_type not in abilities.takes:
            return "It takes no images." if media_type in IMAGE_TYPES else f"It takes no files of type {media_type}."
    if wanted.tools and not abilities.tools:
        return "It takes no tools."
    if wanted.json and not abilities.json:
        return "It has no JSON mode."
    return None


def next_after(names: Sequence[str]) -> str:
    """Why somebody is asked whom the strategy put behind these."""
    return f"the next in line after {', '.join(names)}"


def nobody_can(name: str, skipped: Sequence[Skipped]) -> str:
    """One sentence on each candidate of the router of that name."""
    said = " ".join(f"{each.preset}: {each.why}" for each in skipped)
    return (
        f"None of the candidates of {name} can take this. {said} Choose another preset, or leave out what they refuse."
    )


def wanted_by(request: ModelRequest, occasion: Occasion) -> Wanted:
    """What a model call wants, from the whole prompt."""
    characters = len(request.system or "") + sum(
        len(spec.description) + size_of(spec.input_schema) for spec in request.tools
    )
    media: list[str] = []
    question, new_media = "", frozenset[str]()
    for message in request.messages:
        here = [item.media_type for item in message.content if isinstance(item, Media)]
        media += here
        texts = [item.text for item in message.content if isinstance(item, Text)]
        characters += sum(map(len, texts))
        characters += sum(len(item.text) for item in message.content if isinstance(item, ToolResult))
        characters += sum(len(str(item.input)) for item in message.content if isinstance(item, ToolCall))
        if message.role == "user":
            question, new_media = "\n\n".join(texts), frozenset(here)
    return Wanted(
        question=question,
        tokens=estimated_tokens(characters, len(media)),
        media=frozenset(media),
        new_media=new_media,
        tools=bool(request.tools),
        json=request.response_format == "json",
        occasion=occasion,
    )


def wanted_again(messages: Sequence[UIMessage], request: ModelRequest, occasion: Occasion) -> Wanted:
    """What another question like the last one would want, in a conversation as it is stored."""
    said = wanted_by(request, occasion)
    files = [part.media_type for message in messages for part in message.parts if isinstance(part, FilePart)]
    media = [media_type for media_type in files if not media_type.startswith("text/")]
    last = next((message for message in reversed(messages) if message.role == "user"), None)
    return replace(
        said,
        question=last.text if last is not None else "",
        tokens=said.tokens + estimated_tokens(sum(len(message.text) for message in messages), len(media)),
        media=frozenset(media),
    )
