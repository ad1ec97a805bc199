"""Answers of the fake model service, in pieces, with gates between them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.upstream import Gate, Step, chat_answer

WORDS = (
    "word",
    "Wörter",
    "単語",
    "слово",
    "🦜",
    "\\",
    '"',
    "'",
    "<b>",
    "&",
    "\n\n",
    "-",
    "*",
    "`",
    "\t",
    "data: [DONE]",
)
"""Whatever may break on its way: quotes, line ends, markup, two to four bytes a character."""


def pieces_of(random: Random, characters: int, most: int = 600) -> list[str]:
    """Text of at least that many characters, in pieces of different lengths."""
    pieces: list[str] = []
    while sum(map(len, pieces)) < characters:
        length = random.randint(1, most)
        piece = ""
        while len(piece) < length:
            piece += random.choice(WORDS) + " "
        pieces.append(piece)
    return pieces


def steps_of(items: Sequence[str | Gate], *, ends: bool = True) -> list[Step]:
    """An answer whose text comes in these pieces, held up by these gates; without an end it stays open for ever."""
    first, *texts = chat_answer(*(item for item in items if isinstance(item, str)), finish=None)
    frames = iter(texts)
    steps = [item if isinstance(item, Gate) else next(frames) for item in items]
    return [first, *steps, *(chat_answer()[1:] if ends else ["hold"])]
