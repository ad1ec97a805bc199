"""Code blocks: coloured by pygments, with the name of their language, folded where they are long."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Any

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

MAX_HIGHLIGHTED = 20_000
"""Characters of one code block; pygments needs about 3 ms per 1,000."""
FOLDED_LINES = 24
"""A longer block shows its beginning. The style sheet has the same figure."""


def render_code(
    _renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, environment: dict[str, Any]
) -> str:
    """A rule of markdown-it's renderer. A block that may still grow (`unfinished`) is not coloured yet."""
    token = tokens[index]
    return code_block(token.content, language_of(token.info), is_coloured=not environment.get("unfinished"))


def language_of(info: str) -> str:
    words = info.split(maxsplit=1)
    return words[0] if words else ""


def code_block(code: str, language: str, *, is_coloured: bool) -> str:
    """HTML, not sanitised yet."""
    coloured = _coloured(code, language.lower()) if is_coloured and len(code) <= MAX_HIGHLIGHTED else ""
    block = f'<pre><code class="language-{escape(language)}">{coloured or escape(code)}</code></pre>'
    if (lines := code.rstrip("\n").count("\n") + 1) > FOLDED_LINES:
        summary = f"<summary><span>Show all {lines:,} lines</span><span>Show less</span></summary>"
        block = f'<details class="fold">{summary}{block}</details>'
    return f"{bar(language)}{block}</div>\n"


def bar(language: str) -> str:
    """The beginning of a code block."""
    return f'<div class="code"><div class="code-bar">{escape(language[:30])}</div>'


@lru_cache(maxsize=256)
def _coloured(code: str, language: str) -> str:
    """Nothing where the language is unknown."""
    lexer = _lexer(language) if language else None
    return "" if lexer is None else highlight(code, lexer, _formatter)


@lru_cache(maxsize=256)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None


_formatter = HtmlFormatter(nowrap=True)
