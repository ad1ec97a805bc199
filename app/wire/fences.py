"""Fenced blocks in Markdown that we write: none ends too early, none stays open."""

from __future__ import annotations

import re

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_NESTED = re.compile(r"(?:[ \t>]|[-+*][ \t]|\d{1,9}[.)][ \t])*(`{3,}(?=[^`]*$)|~{3,})(.*)")
_BACKTICKS = re.compile("`+")
_INFO = re.compile(r"[\w+#.-]{1,30}", re.ASCII)


def fenced(text: str, language: str = "") -> str:
    """`text` as a code block, whatever it holds. A language that could not stand there is left out."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language if _INFO.fullmatch(language) else ''}\n{text.rstrip()}\n{fence}"


def close_fences(text: str) -> str:
    """`text` with its last code block ended, as that of an answer that was cut off may not be."""
    fence = _open_fence(text, _FENCE)
    return f"{text}\n{fence}" if fence else text


def open_fence(text: str) -> str:
    """The fence that would end the last code block of `text`, in a list or a quote too; empty where none is open."""
    return _open_fence(text, _NESTED)


def _open_fence(text: str, pattern: re.Pattern[str]) -> str:
    if "```" not in text and "~~~" not in text:
        return ""
    fence = ""
    for line in text.split("\n"):
        found = pattern.match(line)
        if found is None:
            continue
        if not fence:
            fence = found[1]
        elif found[1].startswith(fence) and not found[2].strip():
            fence = ""
    return fence
