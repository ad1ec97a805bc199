"""What an answer in flight has said since it was last written as a whole.

Nearly all that happens to an answer is text at its end. Written alone it costs as much as it is long; the whole answer
would be made, compared and written anew twice a second, and cost more than everything else that is done with a token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.core.events import (
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    Status,
    StepFinish,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
)
from app.core.messages import UIMessage


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of a text or a thought."""

    kind: Literal["text", "reasoning"]
    """Holds only where it begins."""
    text: str
    begins: bool
    """A new part of the message; else what the last part goes on with."""
    ends: bool
    """The part is at its end."""


class Follower:
    """Knows which part of an answer is its last, so that what comes can be told as something added to it."""

    def __init__(self) -> None:
        self._last: str | None = None
        """The id of the message's last part, while that is an open text or thought."""

    def follow(self, events: Iterable[StreamEvent]) -> Sequence[Said] | None:
        """What the events add to the end of the message; None where they do something else to it."""
        said: list[Said] = []
        is_growth = True
        pieces: list[str] = []
        kind: Literal["text", "reasoning"] = "text"
        begins = False

        def put(*, ends: bool) -> None:
            nonlocal begins
            if pieces or begins or ends:
                said.append(Said(kind, "".join(pieces), begins, ends))
            pieces.clear()
            begins = False

        for event in events:
            match event:
                case TextDelta() | ReasoningDelta():
                    is_growth = is_growth and event.id == self._last
                    kind = "text" if isinstance(event, TextDelta) else "reasoning"
                    pieces.append(event.delta)
                case TextStart() | ReasoningStart():
                    put(ends=False)
                    kind = "text" if isinstance(event, TextStart) else "reasoning"
                    begins = True
                    self._last = event.id
                case TextEnd() | ReasoningEnd():
                    is_growth = is_growth and event.id == self._last and event.provider_metadata is None
                    put(ends=True)
                    self._last = None
                case Status() | StepFinish():
                    pass
                case _:
                    is_growth = False
                    self._last = None
        put(ends=False)
        return said if is_growth else None


def grown(message: UIMessage, said: Iterable[Said]) -> UIMessage:
    """The message with what was said since."""
    wire = message.to_wire()
    parts: list[dict[str, Any]] = wire["parts"]
    for piece in said:
        if piece.begins or not parts:
            parts.append({"type": piece.kind, "text": "", "state": "streaming"})
        parts[-1]["text"] = parts[-1].get("text", "") + piece.text
        if piece.ends:
            parts[-1]["state"] = "done"
    return UIMessage.model_validate(wire)


def to_row(said: Iterable[Said]) -> list[list[Any]]:
    """As JSON holds it."""
    return [[piece.kind, piece.text, piece.begins, piece.ends] for piece in said]


def from_row(row: Iterable[Sequence[Any]]) -> Sequence[Said]:
    return [Said(*piece) for piece in row]


@dataclass(frozen=True, slots=True)
class Growth:
    """What one answer has said since."""

    block_id: str
    message_id: str
    said: Sequence[Said]
