"""What an item of OpenAI's Responses API says or thinks → text and reasoning parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from app.core.events import (
    ModelEvent,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    TextDelta,
    TextEnd,
    TextStart,
)

Kind: TypeAlias = Literal["text", "refusal", "summary", "thought"]
"""Thinking is summed up by OpenAI (`summary`) and told in full by servers of open models (`thought`)."""

Place: TypeAlias = tuple[Kind, int]
"""A piece of an item, by its `content_index` or `summary_index`."""

_PIECES: Mapping[str, Kind] = {"output_text": "text", "refusal": "refusal", "reasoning_text": "thought"}


class Speech:
    """One item of type `message` or `reasoning`. Each piece of it is a part; one is open at a time."""

    def __init__(self, item_id: str, phase: str | None, provider: str, numbers: Iterator[int]) -> None:
        """An item that begins.

        Args:
            item_id: as the service called it first.
            phase: of a message, `commentary` or `final_answer`.
            provider: the name under which the service gets back what it wants back.
            numbers: for the ids of parts; the answer's.
        """
        self._id = item_id
        self._phase = phase
        self._provider = provider
        self._numbers = numbers
        self._part: TextStart | ReasoningStart | None = None
        self._place: Place | None = None
        self._said: set[Place] = set()
        self.refuses = False

    def say(self, place: Place, text: str, out: list[ModelEvent]) -> None:
        if not isinstance(text, str):
            raise TypeError("text that is none")
        if not text:
            return
        if place != self._place:
            self._open(place, out)
        part = self._part
        assert part is not None
        out.append(TextDelta(part.id, text) if isinstance(part, TextStart) else ReasoningDelta(part.id, text))

    def whole(self, place: Place, text: str, out: list[ModelEvent]) -> None:
        """All of a piece, of which deltas may have told before."""
        if place not in self._said:
            self.say(place, text, out)

    def end(self, item: Mapping[str, Any], out: list[ModelEvent]) -> None:
        """`item` is the finished one. Its encrypted thinking goes with the last part, or with an empty one."""
        for index, piece in enumerate(item.get("summary") or ()):
            self.whole(("summary", index), piece["text"], out)
        for index, piece in enumerate(item.get("content") or ()):
            if (kind := _PIECES.get(piece["type"])) is not None:
                self.whole((kind, index), piece["refusal" if kind == "refusal" else "text"], out)
        encrypted = item.get("encrypted_content")
        if encrypted and self._part is None:
            self._open(("summary", 0), out)
        self.close(out, encrypted)

    def close(self, out: list[ModelEvent], encrypted: str | None = None) -> None:
        part, place = self._part, self._place
        self._part = self._place = None
        if isinstance(part, TextStart):
            out.append(TextEnd(part.id, {self._provider: {"phase": self._phase}} if self._phase else None))
        elif isinstance(part, ReasoningStart):
            own: dict[str, Any] = {"itemId": self._id}
            if place is not None and place[0] == "thought":
                own["reasoningText"] = True
            if encrypted:
                own["reasoningEncryptedContent"] = encrypted
            out.append(ReasoningEnd(part.id, {self._provider: own}))

    def _open(self, place: Place, out: list[ModelEvent]) -> None:
        self.close(out)
        self._place = place
        self._said.add(place)
        self.refuses = self.refuses or place[0] == "refusal"
        number = next(self._numbers)
        if place[0] in ("text", "refusal"):
            self._part = TextStart(f"text-{number}", place[0] == "refusal")
        else:
            self._part = ReasoningStart(f"reasoning-{number}")
        out.append(self._part)
