"""Markdown as models write it → HTML that is safe to show.

markdown-it parses (raw HTML stays text), pygments colours code, formulas become MathML, and `app.wire.sanitise` has the
last word. Only what comes out here, whole or in pieces (`app.wire.markdown_stream`), may templates insert unescaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin

from app.wire.code_blocks import render_code
from app.wire.footnotes import footnotes
from app.wire.formulas import formulas
from app.wire.sanitise import OWN_IMAGE, sanitised
from app.wire.surroundings import Surroundings

MAX_CHARACTERS = 64_000
"""What goes beyond is shown as plain text: parsing costs up to 25 ms per 1,000 characters. Code blocks do not count."""
_MAX_SEARCHED = 1_000_000
_MAX_CACHED = 8_000
ROWS = 50
"""Of a table, that are shown until somebody wants to see all."""
MAX_NESTING = 100
"""Levels. markdown-it drops what is deeper, so such a text is shown as plain text."""


def render(text: str, around: Surroundings | None = None) -> str:
    """Safe HTML for a whole text. Costs about 1.3 ms per 1,000 characters, so call it in a thread for long ones."""
    if around is not None and not ("[^" in text or (around.sources and MARK.search(text))):
        around = None  # nothing in it depends on where it stands
    return _render_cached(text, around) if len(text) <= _MAX_CACHED else _render_long(text, around)


@lru_cache(maxsize=512)
def _render_cached(text: str, around: Surroundings | None) -> str:
    return to_html(FINISHED, text, around.environment if around is not None else {})


def _render_long(text: str, around: Surroundings | None) -> str:
    environment = around.environment if around is not None else {}
    cut = limit(text)
    if cut is None:
        return to_html(FINISHED, text, environment)
    return to_html(FINISHED, text[:cut], environment) + plain(text[cut:])


def limit(text: str) -> int | None:
    """Where the part of a text ends that is not shown as plain text."""
    if len(text) <= MAX_CHARACTERS:
        return None
    searched = text[:_MAX_SEARCHED]
    lines = lines_of(searched)
    budget, position, line = MAX_CHARACTERS, 0, 0
    for token in structure(searched):
        if token.type == "fence" and token.level == 0 and token.map is not None:
            before = sum(map(len, lines[line : token.map[0]]))
            if before > budget:
                break
            line = token.map[1]
            budget -= before
            position += before + sum(map(len, lines[token.map[0] : line]))
    if len(text) - position <= budget:
        return None
    return text.rfind("\n", position, position + budget) + 1 or position + budget


def lines_of(text: str) -> list[str]:
    """As markdown-it sees them, each with its end."""
    return _LINES.findall(text)


_LINES = re.compile("[^\n]*\n|[^\n]+")


def structure(text: str) -> list[Token]:
    """The blocks of a text, without what is in them."""
    return STRUCTURE.parse(text, {})


def plain(text: str) -> str:
    return f"<pre>{escape(whole_characters(text), quote=False)}</pre>\n"


def to_html(parser: MarkdownIt, text: str, environment: dict[str, Any], *, is_loose: bool = False) -> str:
    """`is_loose`: it is a piece of a list whose items are paragraphs."""
    text = whole_characters(text)
    tokens = parser.parse(text, environment)
    if any(token.level >= MAX_NESTING - 2 for token in tokens):
        environment["too_deep"] = True
        return plain(text)
    if is_loose:
        for token in tokens:
            token.hidden = token.hidden and token.level != 2  # of the list's own items
    return sanitised(parser.renderer.render(tokens, parser.options, environment))


def whole_characters(text: str) -> str:
    """Halves of surrogate pairs put together, or replaced where the other half is missing."""
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_SURROGATE = re.compile("[\ud800-\udfff]")


# What markdown-it shall do differently.


def create_parser() -> MarkdownIt:
    parser = MarkdownIt("gfm-like2", {"html": False, "linkify": False, "maxNesting": MAX_NESTING})
    parser.disable("linkify").use(gfm_autolink_plugin).use(formulas).use(footnotes)
    parser.core.ruler.push("honest links", _honest_links)
    parser.core.ruler.push("cited sources", _cited_sources)
    parser.core.ruler.push("plain blocks", _plain_blocks)
    parser.core.ruler.push("row groups", _row_groups)
    parser.add_render_rule("image", _image)
    parser.add_render_rule("fence", render_code)
    parser.add_render_rule("code_block", render_code)
    return parser


def _image(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, environment: dict[str, Any]
) -> str:
    """Our own images and inline ones; a foreign one is a link, so that looking at an answer tells nobody anything."""
    token = tokens[index]
    source = str(token.attrs.get("src", ""))
    alternative = renderer.renderInlineAsText(token.children, options, environment)
    if OWN_IMAGE.fullmatch(source):
        return f'<img src="{escape(source)}" alt="{escape(alternative)}">'
    host = _host(source)
    label = escape(f"Image from {host}: {alternative}" if alternative else f"Image from {host}")
    if host == "" or _inside_link(tokens, index):
        return label if host else escape(alternative)
    return f'<a href="{escape(source)}" target="_blank">{label}</a>'


def _inside_link(tokens: Sequence[Token], index: int) -> bool:
    kinds = [token.type for token in tokens[:index]]
    return kinds.count("link_open") > kinds.count("link_close")


def _honest_links(state: StateCore) -> None:
    """A link's text cannot be turned around, and where it looks like another address the real host stands behind it."""
    for block in state.tokens:
        if block.type != "inline" or not block.children:
            continue
        children: list[Token] = []
        target, text = "", ""
        for token in block.children:
            if token.type == "link_open":
                target, text = str(token.attrs.get("href", "")), ""
                token.attrs["target"] = "_blank"
            elif target and token.content:
                token.content = _TURNS.sub("", token.content)
                text += token.content
            children.append(token)
            if token.type == "link_close":
                host = _host(target)
                if host and _misleads(text, host):
                    children.append(Token("text", "", 0, content=f" ({host})"))
                target = ""
        block.children = children


def _misleads(text: str, host: str) -> bool:
    shown = _ADDRESS.fullmatch(text)
    bare = host.removeprefix("www.")
    return "xn--" in host or (shown is not None and shown[1].lower().removeprefix("www.") != bare)


def _cited_sources(state: StateCore) -> None:
    """`[1]` becomes a link to the source that it means."""
    sources: tuple[int, ...] = state.env.get("sources", ())
    if not sources:
        return
    for block in state.tokens:
        if block.type != "inline" or "[" not in block.content:
            continue
        children: list[Token] = []
        links = 0
        for token in block.children or ():
            links += (token.type == "link_open") - (token.type == "link_close")
            if token.type != "text" or links:
                children.append(token)
            else:
                children += _with_marks(token, sources, state.env["element"])
        block.children = children


def _with_marks(token: Token, sources: tuple[int, ...], element: str) -> list[Token]:
    text, tokens, position = token.content, [], 0
    for mark in MARK.finditer(text):
        if not 1 <= (number := int(mark[1])) <= len(sources):
            continue
        shown = sources[number - 1]
        tokens += [
            Token("text", "", 0, content=text[position : mark.start()]),
            Token("link_open", "a", 1, attrs={"href": f"#{element}-source-{shown}"}),
            Token("text", "", 0, content=f"[{shown}]"),
            Token("link_close", "a", -1),
        ]
        position = mark.end()
    return [*tokens, Token("text", "", 0, content=text[position:])] if tokens else [token]


def _plain_blocks(state: StateCore) -> None:
    """What would need a style or a class, which the policy has none of: aligned cells, and alerts (`> [!NOTE]`). And
    lists, quotes and tables begin at the side where their text begins.
    """
    for token in state.tokens:
        if token.type in _SIDED:
            token.attrs["dir"] = "auto"
        if token.type in ("th_open", "td_open") and "style" in token.attrs:
            token.attrs = {"align": str(token.attrs["style"]).removeprefix("text-align:")}
        elif token.type in ("alert_open", "alert_close"):
            token.tag = "blockquote"
        elif token.type in ("alert_title_open", "alert_title_close"):
            token.tag = "strong"


def _row_groups(state: StateCore) -> None:
    """The rows of a long table in several bodies, of which the page shows the first until somebody wants all."""
    tokens: list[Token] = []
    rows, body = 0, None
    for token in state.tokens:
        if token.type == "table_open":
            rows = 0
        elif token.type == "tbody_open":
            body = token
        elif token.type == "tbody_close":
            body = None
        elif token.type == "tr_open" and body is not None:
            if rows and rows % ROWS == 0:
                tokens += [Token("tbody_close", "tbody", -1, level=body.level, block=True), body]
            rows += 1
        tokens.append(token)
        if token.type == "table_close" and rows > ROWS:
            tokens.append(Token("html_block", "", 0, content=more_rows(rows)))
    state.tokens = tokens


def more_rows(rows: int) -> str:
    """What stands behind a table of so many."""
    return f'<details class="rows"><summary><span>{all_rows(rows)}</span><span>Show less</span></summary></details>\n'


def all_rows(rows: int) -> str:
    return f"Show all {rows:,} rows"


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


_SIDED = frozenset({"bullet_list_open", "ordered_list_open", "blockquote_open", "alert_open", "table_open"})
MARK = re.compile(r"\[(\d{1,3})\]", re.ASCII)
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ADDRESS = re.compile(r"\s*(?:https?://)?([\w-]+(?:\.[\w-]+)+)(?:[:/?#]\S*)?\s*", re.IGNORECASE)

FINISHED = create_parser()
STRUCTURE = create_parser().disable("inline")
