"""The unfinished end of a text, made presentable: what is half written is closed or held back, so that markers such as
`**` or `[a](htt` do not flicker through the page. Nothing of this reaches a finished text.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter

from app.wire.fences import open_fence
from app.wire.formulas import MAX_FORMULA, find_end
from app.wire.markdown import create_parser

_BEGINNING = re.compile(
    r"[ \t>]*(?:(?:[-+*]|\d{1,9}[.)]|#{1,6})[ \t]+)*"
    r"(?:[-+*=_#]+|\d{1,9}[.)]?|`{3,}[^`]*|~{3,}.*|\|[ \t]*|\[\^[^\]]*\]?:?)?[ \t]*"
)
"""A line that may become a heading, an item, a rule, a code block, …: nobody knows yet."""
_HALF_IMAGE = re.compile(r"!\[[^\]\n]*(?:\](?:\([^()\n]*)?)?$")
_HALF_LINK = re.compile(r"\[([^\[\]\n]*)\]\([^()\n]*$")
_HALF_MARK = re.compile(r"\[(?:\^[^\]\s]*|\d{0,3})\]?$")
_HALF_LABEL = re.compile(r"\[([^\[\]\n]{1,200})\]?$")
_HALF_SIGN = re.compile(r"(?:&#?\w{0,10}|\\|[*_~`]+)$")
_FORMULA = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|\\[^(\[]|\\\(|\\\[|\$\$|\$", re.DOTALL)
_WORDS = re.compile(r"[a-z]{2,} [a-z]{2,}")
_PARTIAL_RULE = re.compile(r"[|:\- \t]*")


def presentable(text: str) -> str:
    """The text with what is half written at its end held back."""
    begin = text.rfind("\n") + 1
    if open_fence(text[:begin]):
        return text[:begin] if re.fullmatch(r"[ \t>]*[`~]*", text[begin:]) else text
    if _BEGINNING.fullmatch(text, begin):
        text = text[:begin]
    paragraph = text.rfind("\n\n") + 1
    text = text[:paragraph] + _without_half_formula(text[paragraph:])
    text = _HALF_IMAGE.sub("", text)
    text = _HALF_LINK.sub(r"\1", text)
    text = _HALF_LABEL.sub(r"\1", _HALF_MARK.sub("", text))
    text = _HALF_SIGN.sub("", text)
    return _with_whole_table(text)


def _without_half_formula(text: str) -> str:
    position = 0
    while (found := _FORMULA.search(text, position)) is not None:
        mark, start = found[0], found.start()
        position = found.end()
        if mark not in ("$", "$$", r"\(", r"\["):
            continue
        if (end := find_end(text, start, mark)) is not None:
            position = end
        elif len(text) - start <= MAX_FORMULA and (mark != "$" or _begins_formula(text, start)):
            return text[:start]
    return text


def _begins_formula(text: str, start: int) -> bool:
    content = text[start + 1 :]
    if "$" in content or text[start - 1 : start].isalnum() or len(content) > 200:  # it is none
        return False
    return not content or not (content[0].isspace() or content[0].isdigit() or _WORDS.search(content))


def _with_whole_table(text: str) -> str:
    """The heading of a table is shown as one before its second line has come."""
    lines = text.split("\n")
    while lines and not lines[-1]:
        lines.pop()
    rows = 0
    while rows < min(len(lines), 3) and lines[-1 - rows].lstrip().startswith("|"):
        rows += 1
    if rows not in (1, 2) or (rows == 2 and not _PARTIAL_RULE.fullmatch(lines[-1])):  # a heading, a rule
        return text
    heading = lines[-rows].rstrip()
    heading = heading if heading.endswith("|") and len(heading) > 1 else f"{heading} |"
    columns = len(re.findall(r"(?<!\\)\|", heading)) - 1
    return "\n".join([*lines[:-rows], heading, "|" + "---|" * columns])


# What markdown-it shall close in the last line that it sees.


def _create() -> MarkdownIt:
    parser = create_parser()
    parser.core.ruler.before("inline", "find the end", _find_end)
    parser.inline.ruler.before("backticks", "open code", _open_code)
    parser.inline.ruler2.after("balance_pairs", "open emphasis", _open_emphasis)
    return parser


def _find_end(state: StateCore) -> None:
    last = next((token for token in reversed(state.tokens) if token.type == "inline"), None)
    state.env["unfinished"] = last.content if last is not None else ""


def _open_code(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "`" or state.src != state.env.get("unfinished"):
        return False
    content = state.src[state.pos :].lstrip("`")
    ticks = "`" * (len(state.src) - state.pos - len(content))
    if ticks in content or not content or state.src[state.pos - 1 : state.pos] == "`":
        return False
    if not silent:
        token = state.push("code_inline", "code", 0)
        token.content = content.replace("\n", " ")
    state.pos = state.posMax
    return True


def _open_emphasis(state: StateInline) -> None:
    if state.src != state.env.get("unfinished"):
        return
    delimiters = state.delimiters
    closed_until, unclosed = -1, []
    for index, delimiter in enumerate(delimiters):
        if delimiter.end >= 0:
            closed_until = max(closed_until, delimiter.end)
        elif delimiter.open and not delimiter.close and index > closed_until:
            unclosed.append(index)
    for index in reversed(unclosed):
        opener = delimiters[index]
        content = state.tokens[opener.token].content
        state.push("text", "", 0).content = content
        closer = Delimiter(opener.marker, opener.length, len(state.tokens) - 1, -1, open=False, close=True)
        opener.end = len(delimiters)
        delimiters.append(closer)


UNFINISHED = _create()
