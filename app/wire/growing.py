"""Blocks that go on for long: what came of them is shown once, line by line, and never made again while they grow.

Each stands last among the finished blocks, a long table before the number of its rows. It is fed the text that is not
shown yet, and gives back what it could not show: half a row, an item that may still go on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

from app.wire.code_blocks import bar, language_of
from app.wire.markdown import FINISHED, ROWS, all_rows, lines_of, more_rows, structure, to_html, whole_characters


@dataclass(frozen=True, slots=True)
class Change:
    """What shall happen to a place of the page."""

    place: str
    """`done`, `tail`, or something in them, as a CSS selector goes on."""
    swap: str
    """htmx's name for how `html` gets there."""
    html: str
    is_text: bool = False
    """It makes no place for another."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block at the outermost level."""

    kind: str
    start: int
    end: int
    """The line behind it; what follows may be blank, or a definition."""
    items: tuple[int, ...] = ()
    """The first lines of a list's items."""
    is_loose: bool = False
    """The items are paragraphs."""


def blocks_of(text: str) -> list[Block]:
    """The blocks of complete lines."""
    blocks: list[Block] = []
    items: list[int] = []
    kind, span, is_loose = "", (0, 0), False
    for token in structure(text):
        if token.level == 0 and token.map is not None:
            kind, span, items, is_loose = token.type, (token.map[0], token.map[1]), [], False
        elif token.type == "list_item_open" and token.level == 1 and token.map is not None:
            items.append(token.map[0])
        elif token.type == "paragraph_open" and token.level == 2 and not token.hidden:  # in an item
            is_loose = True
        if token.level == 0 and kind and token.nesting <= 0:
            blocks.append(Block(kind, *span, tuple(items), is_loose))
            kind = ""
    return blocks


class Growing(Protocol):
    kind: str
    source: list[str]
    """All of it that is shown."""
    is_over: bool

    def take(self, text: str, changes: list[Change], *, done: bool) -> str:
        """Show what can be shown of `text`, write how to `changes`, and return the rest. `done`: nothing follows."""
        ...


_OPENING = re.compile(r"( {0,3})(`{3,}(?=[^`\n]*\n)|~{3,})([^\n]*)\n")
_LIST = re.compile(r" {0,3}(?:[-+*]|\d{1,9}[.)])[ \t]")
_RULE = re.compile(r"[^\n]*\n[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ |:\-\t]*)?\n")
_CHUNK = 50
"""Lines of code that stand in one element: what is added to it is laid out with it."""


def begin(text: str, environment: dict[str, Any], changes: list[Change]) -> tuple[Growing | None, str]:
    """What begins with `text` and is long already, and the text behind what is shown of it."""
    if (opening := _OPENING.match(text)) is not None:
        return GrowingCode(opening, changes), text[opening.end() :]
    if _LIST.match(text):
        block = next(iter(blocks_of(_complete(text))), None)
        if block is not None and len(block.items) > 1 and block.start == 0:
            growing = GrowingList(block, environment)
            return growing, growing.take(text, changes, done=False)
    elif _RULE.match(text):
        block = next(iter(blocks_of(_complete(text))), None)
        if block is not None and block.kind == "table_open" and (block.start, block.end > 2) == (0, True):
            table = GrowingTable(environment)
            return table, table.take(text, changes, done=False)
    return None, text


def _complete(text: str) -> str:
    return text[: text.rfind("\n") + 1]


class GrowingCode:
    """Shown as plain text at once; in colours when it is over."""

    kind = "fence"

    def __init__(self, opening: re.Match[str], changes: list[Change]) -> None:
        self.source = [opening[0]]
        self.is_over = False
        self._indent = len(opening[1])
        fence = opening[2]
        self._end = re.compile(rf" {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*")
        self._maybe_end = re.compile(rf"[ \t]*{fence[0]}*[ \t]*")
        self._lines = 0
        """In the last element."""
        self._written = 0
        """Characters of the line that has not ended yet."""
        start = bar(language_of(opening[3])).replace('class="code"', 'class="code growing"', 1)
        changes.append(
            Change("done", "beforeend", f'{start}<pre tabindex="0"><code><span><span></span></span></code></pre></div>')
        )

    def take(self, text: str, changes: list[Change], *, done: bool) -> str:
        start, pieces = 0, list[str]()
        while not self.is_over and (end := text.find("\n", start)) >= 0:
            line = text[start : end + 1]
            start = end + 1
            self.source.append(line)
            self.is_over = self._end.fullmatch(line, 0, len(line) - 1) is not None
            if not self.is_over:
                pieces.append(self._without_indent(line)[self._written :])
                self._written = 0
                self._lines += 1
            if self._lines >= _CHUNK:
                self._write(pieces, changes)
                changes.append(Change("done>:last-child>pre>code>span", "beforeend", "<span></span>"))
                self._lines = 0
        rest = text[start:]
        if not self.is_over and not self._maybe_end.fullmatch(rest):
            line = self._without_indent(rest)
            pieces.append(line[self._written :])
            self._written = len(line)
        self._write(pieces, changes)
        if done and not self.is_over:
            self.source.append(rest)
            self.is_over, rest = True, ""
        return rest

    def _write(self, pieces: list[str], changes: list[Change]) -> None:
        if html := escape(whole_characters("".join(pieces)), quote=False):
            changes.append(Change("done>:last-child>pre>code>span>:last-child", "beforeend", html))
        pieces.clear()

    def _without_indent(self, line: str) -> str:
        return line[min(self._indent, len(line) - len(line.lstrip(" "))) :]


class GrowingTable:
    """Shown row by row, in the groups that `render` makes. Beyond the first group it says how many rows there are."""

    kind = "table_open"

    def __init__(self, environment: dict[str, Any]) -> None:
        self.source: list[str] = []
        self.is_over = False
        self._environment = environment
        self._heading = ""
        self._rows = 0

    def take(self, text: str, changes: list[Change], *, done: bool) -> str:
        self.is_over = done
        cut = len(text) if done else text.rfind("\n") + 1
        if not cut:
            return text
        lines = lines_of(self._heading + text[:cut])
        block = blocks_of("".join(lines))[0]
        self.is_over = done or block.end < len(lines)
        rows = "".join(lines[: block.end])
        rest = "".join(lines[block.end :]) + text[cut:]
        if not self.source:
            self._heading = "".join(lines[:2])
            changes.append(Change("done", "beforeend", to_html(FINISHED, rows, self._environment)))
            self.source.append(rows)
            self._rows = block.end - 2
        else:
            self._append(lines[2 : block.end], changes)
        return rest

    def _append(self, rows: list[str], changes: list[Change]) -> None:
        self._count(len(rows), changes)
        table = "done>:nth-last-child(2)" if self._rows + len(rows) > ROWS else "done>:last-child"
        while rows:
            here = self._rows % ROWS
            group, rows = rows[: ROWS - here], rows[ROWS - here :]
            html = to_html(FINISHED, self._heading + "".join(group), self._environment)
            start, end = html.index("<tbody>"), html.rindex("</tbody>")
            if here:
                inner = html[start + len("<tbody>") : end].lstrip("\n")
                changes.append(Change(f"{table}>:last-child", "beforeend", inner))
            else:
                changes.append(Change(table, "beforeend", html[start : html.rindex("</table>")]))
            self.source.extend(group)
            self._rows += len(group)

    def _count(self, new: int, changes: list[Change]) -> None:
        rows = self._rows + new
        if self._rows > ROWS:
            changes.append(Change("done>:last-child>summary>:first-child", "innerHTML", all_rows(rows), is_text=True))
        elif rows > ROWS:
            changes.append(Change("done", "beforeend", more_rows(rows)))


class GrowingList:
    """Shown item by item; the last one may still go on."""

    def __init__(self, block: Block, environment: dict[str, Any]) -> None:
        self.kind = block.kind
        self.source: list[str] = []
        self.is_over = False
        self.is_loose = block.is_loose
        self._environment = environment

    def take(self, text: str, changes: list[Change], *, done: bool) -> str:
        complete = text if done else _complete(text)
        blocks = blocks_of(complete)
        self.is_over = done or len(blocks) > 1
        if not blocks:
            return text
        block = blocks[0]
        end = block.end if self.is_over else block.items[-1]
        if (block.is_loose or self.is_loose) != self.is_loose:
            self._loosen(changes)
        if not end:
            return text
        lines = lines_of(complete)
        items = "".join(lines[:end])
        html = to_html(FINISHED, items, self._environment, is_loose=self.is_loose)
        if self.source and not self._environment.get("too_deep"):
            inner = html[html.index("\n") + 1 : html.rindex("</")]
            changes.append(Change("done>:last-child", "beforeend", inner))
        else:
            changes.append(Change("done", "beforeend", html))
        self.source.append(items)
        return "".join(lines[end:]) + text[len(complete) :]

    def _loosen(self, changes: list[Change]) -> None:
        """A blank line makes paragraphs of all items, those before it as well. That happens once."""
        self.is_loose = True
        if source := "".join(self.source):
            if "[^" in source:
                self._environment["is_provisional"] = True  # its notes have their ids already
            html = to_html(FINISHED, source, self._environment, is_loose=True)
            changes.append(Change("done>:last-child", "outerHTML", html.rstrip("\n")))
