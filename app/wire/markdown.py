"""Markdown as models write it → HTML that is safe to show.

markdown-it parses (raw HTML stays text), pygments colours code, and nh3 has the last word with a short list of tags and
attributes: nothing that runs, loads from elsewhere or talks to htmx leaves this module. It is the only place in the
application whose output templates may insert unescaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

MAX_CHARACTERS = 64_000
"""What goes beyond is shown as plain text: parsing costs up to 25 ms per 1,000 characters."""
MAX_HIGHLIGHTED = 20_000
"""Characters of one code block; pygments needs about 3 ms per 1,000."""
_MAX_CACHED = 8_000
_MAX_NESTING = 100
"""Levels. markdown-it drops what is deeper, so such a text is shown as plain text."""


def render(text: str) -> str:
    """Safe HTML for a whole text. Costs about 1.3 ms per 1,000 characters, so call it in a thread for long ones."""
    return _render_cached(text) if len(text) <= _MAX_CACHED else _render_long(text)


def split_blocks(text: str, *, done: bool) -> tuple[str, str]:
    """Cut a growing text into blocks that more text cannot change any more, and the rest.

    Only complete lines count, and of these everything before the last top-level block is finished. `text` must begin
    at a block's beginning and have no carriage returns.
    """
    if done:
        return text, ""
    lines = text[: text.rfind("\n") + 1].split("\n")[:-1]
    blocks = [token.map for token in _structure.parse("\n".join(lines)) if token.level == 0 and token.map is not None]
    if not blocks:
        return "", text
    previous_end = blocks[-2][1] if len(blocks) > 1 else 0
    cut = blocks[-1][0]
    while cut > previous_end and lines[cut - 1].strip():
        cut -= 1  # link definitions make no block, and one right before this block may still grow into it
    finished = "".join(f"{line}\n" for line in lines[:cut])
    return finished, text[len(finished) :]


class MarkdownStream:
    """A text that arrives in pieces: each finished block is rendered once, only the last one again and again."""

    def __init__(self) -> None:
        self._new: list[str] = []
        self._tail = ""
        self._finished: list[str] = []
        self._length = 0
        self._environment: dict[str, Any] = {}

    def add(self, delta: str) -> None:
        self._new.append(delta)

    def flush(self) -> tuple[str, str]:
        """HTML of the blocks that got finished since the last call, and of the unfinished rest."""
        self._take_new()
        if self._length > MAX_CHARACTERS:
            finished, self._tail = self._tail, ""
            self._finished.append(finished)
            return (_plain(finished) if finished else ""), ""
        finished, self._tail = split_blocks(self._tail, done=False)
        self._finished.append(finished)
        html = _sanitised(_coloured, finished, self._environment) if finished else ""
        copied = {"references": dict(self._environment.get("references", {}))}
        return html, _sanitised(_uncoloured, self._tail, copied) if self._tail else ""

    def finish(self) -> tuple[str, bool]:
        """The end of the text: HTML of what was not finished yet, and whether it replaces all that was given before.

        It must replace where a block depends on a later one: a link whose address is defined below, or a text that
        outgrew MAX_CHARACTERS. So the end is always `render` of the whole.
        """
        self._take_new(is_end=True)
        rest = _sanitised(_coloured, self._tail, self._environment)
        if self._environment.get("references") or self._length > MAX_CHARACTERS:
            return render("".join(self._finished) + self._tail), True
        return rest, False

    def _take_new(self, *, is_end: bool = False) -> None:
        delta = "".join(self._new)
        self._new.clear()
        if delta.endswith("\r") and not is_end:  # half of a line end, perhaps
            delta = delta[:-1]
            self._new.append("\r")
        delta = delta.replace("\r\n", "\n").replace("\r", "\n")
        self._length += len(delta)
        self._tail += delta


@lru_cache(maxsize=512)
def _render_cached(text: str) -> str:
    return _sanitised(_coloured, text, {})


def _render_long(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return _sanitised(_coloured, text, {})
    cut = text.rfind("\n", 0, MAX_CHARACTERS) + 1 or MAX_CHARACTERS
    return _sanitised(_coloured, text[:cut], {}) + _plain(text[cut:])


def _plain(text: str) -> str:
    return f"<pre>{escape(_whole_characters(text))}</pre>\n"


def _sanitised(parser: MarkdownIt, text: str, environment: dict[str, Any]) -> str:
    text = _whole_characters(text)
    tokens = parser.parse(text, environment)
    if any(token.level >= _MAX_NESTING - 2 for token in tokens):
        return _plain(text)
    return _cleaner.clean(parser.renderer.render(tokens, parser.options, environment))


def _whole_characters(text: str) -> str:
    """Halves of surrogate pairs put together, or replaced where the other half is missing."""
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_SURROGATE = re.compile("[\ud800-\udfff]")


# What markdown-it shall do differently.


def _parser(*, coloured: bool) -> MarkdownIt:
    options = {"html": False, "linkify": False, "maxNesting": _MAX_NESTING, "highlight": _code if coloured else None}
    parser = MarkdownIt("gfm-like2", options).disable("linkify").use(gfm_autolink_plugin)
    parser.core.ruler.push("honest links", _honest_links)
    parser.core.ruler.push("plain blocks", _plain_blocks)
    parser.add_render_rule("image", _image)
    return parser


def _code(code: str, language: str, _attributes: str) -> str:
    """Coloured HTML, or nothing where the language is unknown; markdown-it then escapes the code."""
    lexer = _lexer(language.lower()) if language and len(code) <= MAX_HIGHLIGHTED else None
    return "" if lexer is None else highlight(code, lexer, _formatter)


@lru_cache(maxsize=256)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None


_formatter = HtmlFormatter(nowrap=True)


def _image(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, environment: dict[str, Any]
) -> str:
    """Our own images and inline ones; a foreign one is a link, so that looking at an answer tells nobody anything."""
    token = tokens[index]
    source = str(token.attrs.get("src", ""))
    alternative = renderer.renderInlineAsText(token.children, options, environment)
    if _OWN_IMAGE.fullmatch(source):
        return f'<img src="{escape(source)}" alt="{escape(alternative)}">'
    host = _host(source)
    label = escape(f"Image from {host}: {alternative}" if alternative else f"Image from {host}")
    if host == "" or _inside_link(tokens, index):
        return label if host else escape(alternative)
    return f'<a href="{escape(source)}">{label}</a>'


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


def _plain_blocks(state: StateCore) -> None:
    """What would need a style or a class, which the policy has none of: aligned cells, and alerts (`> [!NOTE]`)."""
    for token in state.tokens:
        if token.type in ("th_open", "td_open") and "style" in token.attrs:
            token.attrs = {"align": str(token.attrs["style"]).removeprefix("text-align:")}
        elif token.type in ("alert_open", "alert_close"):
            token.tag = "blockquote"
        elif token.type in ("alert_title_open", "alert_title_close"):
            token.tag = "strong"


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ADDRESS = re.compile(r"\s*(?:https?://)?([\w-]+(?:\.[\w-]+)+)(?:[:/?#]\S*)?\s*", re.IGNORECASE)
_OWN_IMAGE = re.compile(r"/files/[\w-]{1,128}|data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+", re.ASCII)
_LINK = re.compile(r"(?:https?://|mailto:)\S+", re.IGNORECASE)
_LANGUAGE = re.compile(r"language-[\w+#.-]{1,30}", re.ASCII)


def _attribute(tag: str, name: str, value: str) -> str | None:
    pattern = _PATTERNS.get((tag, name))
    return value if pattern is None or pattern.fullmatch(value) else None


_PATTERNS: Mapping[tuple[str, str], re.Pattern[str]] = {
    ("a", "href"): _LINK,
    ("img", "src"): _OWN_IMAGE,
    ("code", "class"): _LANGUAGE,
    ("ol", "start"): re.compile(r"\d{1,9}", re.ASCII),
    ("th", "align"): re.compile("left|center|right"),
    ("td", "align"): re.compile("left|center|right"),
}

_TAGS = (
    "p br hr h1 h2 h3 h4 h5 h6 em strong s del code pre blockquote ul ol li a table thead tbody tr th td sup sub img "
    "span input"
)

_cleaner = nh3.Cleaner(
    tags=set(_TAGS.split()),
    attributes={
        "*": set(),  # else ammonia lets `title` and `lang` through everywhere
        "a": {"href"},
        "img": {"src", "alt"},
        "code": {"class"},
        "ol": {"start"},
        "th": {"align"},
        "td": {"align"},
    },
    attribute_filter=_attribute,
    allowed_classes={"span": {name for name in STANDARD_TYPES.values() if name}},  # pygments
    tag_attribute_values={"input": {"checked": {""}}},  # the boxes of a task list
    set_tag_attribute_values={
        "input": {"type": "checkbox", "disabled": "", "aria-label": "Task"},
        "a": {"target": "_blank"},
    },
    link_rel="noopener noreferrer nofollow ugc",
    url_schemes={"http", "https", "mailto", "data"},
)

_structure = MarkdownIt("gfm-like2", {"html": False, "maxNesting": _MAX_NESTING}).disable(["linkify", "inline"])
_coloured = _parser(coloured=True)
_uncoloured = _parser(coloured=False)
