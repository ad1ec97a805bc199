"""What a search has found, in plain words: the same text without the marks of Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FOUND, _ENDS = "\x02", "\x03"
"""Around what was found while the text is one."""

_LONGEST = 2_000
"""A piece of text of some twenty words that is longer is hardly prose."""

_MARKS: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern, re.MULTILINE), instead)
    for pattern, instead in (
        (r"^[ \t]*(?:`{3,}|~{3,})[^\n]*$", ""),  # a fence, with the language of its code
        (r"^[ \t]*\|?[ \t]*:?-{3,}+[ \t|:-]*$", ""),  # below the head of a table, and a line across
        (r"^[ \t]*(?:>[ \t]?)+", ""),
        (r"^[ \t]*#{1,6}[ \t]+", ""),
        (r"^[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?", ""),
        (r"!?\[([^][\n]*)\]\([^()\s]*(?:[ \t]+\"[^\"\n]*\")?\)", r"\1"),
        (r"\]\([^()\s]*(?:\)|…?$)", ""),  # a link whose beginning or end is not here any more
        (r"[ \t]*\|[ \t]*", " "),
        (r"\*{1,3}(?=[\w\x02(\"'“])|(?<=[\w\x03.,:;!?)\"'”…])\*{1,3}|~~|`+", ""),
    )
)


def plain_snippet(pieces: Sequence[tuple[str, bool]]) -> tuple[tuple[str, bool], ...]:
    """Pieces of a text in turn, with whether they were found, as `core.conversations.Match` has them."""
    text = "".join(f"{_FOUND}{_clean(piece)}{_ENDS}" if found else _clean(piece) for piece, found in pieces)
    for mark, instead in _MARKS if len(text) <= _LONGEST else ():
        text = mark.sub(instead, text)
    text = " ".join(text.split())
    plain = re.split(f"[{_FOUND}{_ENDS}]", text)
    return tuple((piece, number % 2 == 1) for number, piece in enumerate(plain) if piece)


def _clean(piece: str) -> str:
    return piece.replace(_FOUND, "").replace(_ENDS, "")
