"""What was said, in pieces that every model for embeddings takes: one says one thing, and a hit shows where it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from app.core.embeddings import Passage

PASSAGE_BYTES = 1_200
"""Of UTF-8, so that a piece has about as many tokens in every script: few enough for models that take but 512."""
MOST_PASSAGES = 64
"""Of one message; what comes behind them is found by its words only."""

_BREAKS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?])\s|(?<=\u3002)"), re.compile(r"\s"))
"""Where a text is best cut: between paragraphs, lines, sentences, words."""


def passages(text: str) -> Sequence[Passage]:
    """The pieces, in order; none of a text without a word. Together they are the text without the space between."""
    found = []
    for start, end in _spans(text):
        piece = text[start:end]
        if stripped := piece.strip():
            found.append(Passage(start + piece.index(stripped), stripped))
    return found


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for _ in range(MOST_PASSAGES):
        if start >= len(text):
            return
        end = start + _fitting(text[start : start + PASSAGE_BYTES])
        if end < len(text):
            end = start + _cut(text[start:end])
        yield start, end
        start = end


def _fitting(text: str) -> int:
    """How many of its first characters fit into a passage; at least one does."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= PASSAGE_BYTES:
        return len(text)
    return len(data[:PASSAGE_BYTES].decode("utf-8", "ignore")) or 1


def _cut(text: str) -> int:
    """The best place to end, in the second half: behind the last break of the best kind."""
    for kind in _BREAKS:
        ends = [match.end() for match in kind.finditer(text, len(text) // 2)]
        if ends and ends[-1] > 0:
            return ends[-1]
    return len(text)
