r"""Formulas in Markdown, `$…$`, `$$…$$`, `\(…\)` and `\[…\]`, as MathML.

Prices stay prices, and what cannot be shown as a formula is shown as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Any

import math_core
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

MAX_FORMULA = 2_000
"""Characters of one formula."""
_MAX_DEPTH = 60

BLOCK_OPENERS = {"$$": "$$", r"\[": r"\]"}
_INLINE_OPENERS = {"$$": "$$", r"\[": r"\]", r"\(": r"\)", "$": "$"}
_SENTENCE = re.compile(r"(?<![\\{A-Za-z])[a-z]{2,}\s+[a-z]{2,}")
_PRICE = re.compile(r"\d[\d.,]*\s*(?:[kKmMbB]|bn)?\b[^\\^_={}]*[A-Za-z]{2}")

_converter = math_core.LatexToMathML()
_TAG = re.compile(r"\\tag\*?\{([^{}]*)\}")
_LABEL = re.compile(r"\\label\{[^{}]*\}|\\nonumber\b|\\notag\b")
_CELL = re.compile(r'style="text-align: (left|right|center)[^"]*"')
_ELEMENT = re.compile(r"<(/?)m[a-z]+[^<>]*?(/?)>")


def formulas(parser: MarkdownIt) -> None:
    """A plugin for markdown-it."""
    parser.inline.ruler.before("escape", "formula", _inline)
    parser.block.ruler.before("fence", "formula", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    parser.add_render_rule("formula", _render)


@lru_cache(maxsize=512)
def math_ml(source: str, display: bool) -> str:  # a cache's key
    """MathML, not sanitised yet, or the source as code."""
    if len(source) <= MAX_FORMULA:
        try:
            prepared = _LABEL.sub("", _TAG.sub(r"\\qquad(\\text{\1})", source))
            found = _converter.convert_with_local_state(prepared, displaystyle=display)
        except math_core.LatexError:
            found = ""
        if found and _depth(found) <= _MAX_DEPTH:
            return _CELL.sub(r'columnalign="\1"', found)
    return f"<code>{escape(source)}</code>"


def _depth(html: str) -> int:
    depth = deepest = 0
    for end, alone in _ELEMENT.findall(html):
        depth += -1 if end else 0 if alone else 1
        deepest = max(deepest, depth)
    return deepest


def _inline(state: StateInline, silent: bool) -> bool:
    opener = next((mark for mark in _INLINE_OPENERS if state.src.startswith(mark, state.pos)), None)
    if opener is None:
        return False
    end = find_end(state.src, state.pos, opener)
    if end is None or end > state.posMax:
        return False
    closer = _INLINE_OPENERS[opener]
    if not silent:
        token = state.push("formula", "math", 0)
        token.content = state.src[state.pos + len(opener) : end - len(closer)]
        token.markup = opener
    state.pos = end
    return True


def find_end(text: str, start: int, opener: str) -> int | None:
    """Where the formula that begins at `start` ends, if it is one."""
    closer = _INLINE_OPENERS[opener]
    begin = start + len(opener)
    end = begin
    limit = begin + MAX_FORMULA + len(closer)
    while True:
        end = text.find(closer, end, limit)
        if end < 0:
            return None
        if closer[0] == "\\" or not _is_escaped(text, end):
            break
        end += 1
    content = text[begin:end]
    if not content.strip() or "\n\n" in content:
        return None
    if opener == "$" and not _is_formula(text, start, content, end):
        return None
    return end + len(closer)


def _is_formula(text: str, start: int, content: str, end: int) -> bool:
    """Between two single dollar signs stand formulas, or two prices with a sentence between them."""
    before, after = text[start - 1 : start], text[end + 1 : end + 2]
    if content[0].isspace() or content[-1].isspace() or before.isalnum() or after.isalnum():
        return False
    return not _PRICE.match(content) and not ("\\" not in content and _SENTENCE.search(content))


def _is_escaped(text: str, position: int) -> bool:
    backslashes = 0
    while position > backslashes and text[position - 1 - backslashes] == "\\":
        backslashes += 1
    return backslashes % 2 == 1


def _block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A formula on lines of its own; a blank line or the end of what it stands in ends the search for its end."""
    if state.is_code_block(start_line):
        return False
    first = state.src[state.bMarks[start_line] + state.tShift[start_line] : state.eMarks[start_line]].rstrip()
    opener = first[:2]
    if (closer := BLOCK_OPENERS.get(opener)) is None:
        return False
    line, text = start_line, first[2:]
    length = len(text)
    while not text.endswith(closer):
        line += 1
        if line >= end_line or state.isEmpty(line) or state.sCount[line] < state.blkIndent or length > MAX_FORMULA:
            return False
        text = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].rstrip()
        length += len(text)
    content = state.getLines(start_line, line + 1, state.blkIndent, keepLastLF=False).strip()[2 : -len(closer)]
    if not content.strip() or closer in content:
        return False
    if not silent:
        token = state.push("formula", "math", 0)
        token.block, token.content, token.markup, token.map = True, content, opener, [start_line, line + 1]
        state.line = line + 1
    return True


def _render(
    _renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _environment: dict[str, Any]
) -> str:
    token = tokens[index]
    html = math_ml(token.content.strip(), token.markup not in ("$", r"\("))
    return f"<p>{html}</p>\n" if token.block else html
