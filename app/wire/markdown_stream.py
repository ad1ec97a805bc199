"""A text that arrives in pieces, as changes of a page: each finished block is rendered once and never touched again.

The page has two places for it. `done` holds what more text cannot change any more; a long code block, table or list
grows there line by line. `tail` holds the unfinished rest, which is made again when something happens in it that plain
letters do not do: those are only appended. So what a flush costs depends on what is new, not on what there is.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from app.wire.footnotes import was_wrong
from app.wire.formulas import BLOCK_OPENERS, MAX_FORMULA
from app.wire.growing import Block, Change, Growing, begin, blocks_of
from app.wire.markdown import FINISHED, MARK, MAX_CHARACTERS, limit, lines_of, plain, render, to_html, whole_characters
from app.wire.surroundings import Surroundings
from app.wire.unfinished import UNFINISHED, presentable

_PATIENT = 2_000
"""A longer tail is made again only when it has grown by a sixteenth: paragraphs that are pages long stay affordable."""
_LETTERS = re.compile(r"[^\n\r\t\x00-\x1f\\`*_~\[\]()<>&$|!#@:/;^=\ud800-\udfff]+")
_LAST_WORD = re.compile(r"(?:\A|\s)(?!www\.)[^\s\\`*_~\[\]()<>&$|!#@:/;^=]+ *\Z")
_ENDS = re.compile(r"((?:</\w+>\s*)+)\Z")
_OPENER = re.compile(r" {0,3}(?:\$\$|\\\[)")


def split_blocks(text: str, *, done: bool) -> tuple[str, str]:
    """Cut a growing text into blocks that more text cannot change any more, and the rest.

    Only complete lines count, and of these everything before the last top-level block is finished. `text` must begin
    at a block's beginning and have no carriage returns.
    """
    if done:
        return text, ""
    complete = text[: text.rfind("\n") + 1]
    blocks = blocks_of(complete)
    if not blocks:
        return "", text
    lines = lines_of(complete)
    finished = "".join(lines[: _before_formula(lines, blocks, _last_cut(lines, blocks))])
    return finished, text[len(finished) :]


def _last_cut(lines: list[str], blocks: list[Block]) -> int:
    previous_end = blocks[-2].end if len(blocks) > 1 else 0
    cut = blocks[-1].start
    while cut > previous_end and lines[cut - 1].strip():
        cut -= 1  # link definitions make no block, and one right before this block may still grow into it
    return cut


def _before_formula(lines: list[str], blocks: list[Block], cut: int) -> int:
    """A formula that has not ended yet may swallow what looks like blocks of their own, back to its beginning."""
    if blocks[-1].kind == "fence":
        return cut
    length = 0
    for line in range(len(lines) - 1, -1, -1):
        text = lines[line].strip()
        length += len(text)
        if not text or length > MAX_FORMULA:
            return cut
        if _OPENER.match(lines[line]) and BLOCK_OPENERS[text[:2]] not in text[2:]:
            starts = [block.start for block in blocks if block.start <= line]
            return min(cut, starts[-1] if starts else 0)
    return cut


class MarkdownStream:
    def __init__(self, around: Surroundings | None = None) -> None:
        self._around = around
        self._environment: dict[str, Any] = {**(around.environment if around is not None else {}), "growing": True}
        self._new: list[str] = []
        self._tail = ""
        self._growing: Growing | None = None
        self._finished: list[str] = []
        self._counted = 0
        """Characters of what is finished, without code."""
        self._counted_pieces = 0
        """Of the source of what is growing."""
        self._plain_from: int | None = None
        """Where the text has outgrown MAX_CHARACTERS."""
        self._shown = ""
        """The HTML of the tail."""
        self._end: str | None = None
        """Where in the tail letters can be appended."""
        self._looked_at = 0
        """How long the tail was when it was last made."""

    def add(self, delta: str) -> None:
        self._new.append(delta)

    @property
    def text(self) -> str:
        """All that was flushed."""
        growing = "".join(self._growing.source) if self._growing is not None else ""
        return "".join(self._finished) + growing + self._tail

    @property
    def work(self) -> int:
        """How many characters the next flush may have to parse."""
        new = "".join(self._new)
        if self._growing is not None and self._is_code:
            return len(new) + (sum(map(len, self._growing.source)) if "`" in new or "~" in new else 0)
        is_letters = self._end is not None and (not new or _LETTERS.fullmatch(new))
        return 0 if is_letters else len(self._tail) + len(new)

    def flush(self) -> list[Change]:
        """What has changed since the last call."""
        new = self._take_new()
        if self._plain_from is not None:
            return self._add_plain()
        if self._end is not None and _LETTERS.fullmatch(new):
            return self._append(new)
        changes: list[Change] = []
        is_code = self._is_code
        if self._is_outgrown and not is_code:
            self._become_plain(changes)
            return changes
        is_long = len(self._tail) > _PATIENT and not is_code
        if is_long and len(self._tail) - self._looked_at < len(self._tail) // 16:
            self._end = None
            return []
        if "\n" in new or is_code or is_long:
            self._advance(changes)
        self._make_tail(changes)
        if self._is_outgrown or self._environment.get("too_deep"):
            self._become_plain(changes)
        return changes

    def finish(self) -> list[Change]:
        """The end of the text. `done` holds then what `render` makes of the whole.

        It is made anew where a block depends on a later one: a link whose address is defined below, or a text that
        outgrew MAX_CHARACTERS.
        """
        self._take_new(is_end=True)
        changes: list[Change] = []
        if self._plain_from is not None:
            changes += self._add_plain()
        elif self._is_outgrown and not self._is_code:
            self._become_plain(changes)
        else:
            self._finish_tail(changes)
        environment = self._environment
        was_cut = self._is_outgrown or self._plain_from is not None
        if (
            any(environment.get(reason) for reason in ("references", "too_deep", "is_provisional"))
            or was_wrong(environment)
            or (was_cut and self._plain_from != limit(self.text))
        ):
            changes = [Change("done", "innerMorph", render(self.text, self._around))]
        return [*changes, Change("tail", "innerHTML", "")] if self._shown else changes

    def _finish_tail(self, changes: list[Change]) -> None:
        while self._growing is not None:
            self._grow(changes, done=True)
        self._counted += len(self._tail)
        if self._tail:
            changes.append(Change("done", "beforeend", to_html(FINISHED, self._tail, self._environment)))
        self._finished.append(self._tail)
        self._tail = ""

    @property
    def _is_code(self) -> bool:
        return self._growing is not None and self._growing.kind == "fence"

    @property
    def _is_outgrown(self) -> bool:
        return self._counted + len(self._tail) > MAX_CHARACTERS

    @property
    def has_marks(self) -> bool:
        """Whether something in it may mean a source."""
        return MARK.search(self.text) is not None

    def cite(self, sources: tuple[int, ...]) -> list[Change]:
        """Sources that came after the text had ended."""
        if self._around is None or self._around.sources == sources:
            return []
        self.know(sources)
        return [Change("done", "innerMorph", render(self.text, self._around))]

    def know(self, sources: tuple[int, ...]) -> None:
        """What marks such as `[1]` mean from now on. If there are some already, `finish` makes links of them."""
        if self._around is None or self._around.sources == sources:
            return
        self._around = Surroundings(self._around.element, self._around.part, sources)
        self._environment["sources"] = sources
        self._environment["is_provisional"] = self.has_marks or self._environment.get("is_provisional")

    def _take_new(self, *, is_end: bool = False) -> str:
        delta = "".join(self._new)
        self._new.clear()
        if delta.endswith("\r") and not is_end:  # half of a line end, perhaps
            delta = delta[:-1]
            self._new.append("\r")
        if "\r" in delta:
            delta = delta.replace("\r\n", "\n").replace("\r", "\n")
        self._tail += delta
        return delta

    def _append(self, new: str) -> list[Change]:
        """Letters change nothing but the end; blanks wait for what follows them."""
        blanks = self._tail[: len(self._tail) - len(new)]
        waiting = blanks[len(blanks.rstrip(" ")) :]
        text = new.rstrip(" ")
        if not text:
            return []
        self._shown = "more than was made"
        return [Change(f"tail{self._end}", "beforeend", escape(waiting + text, quote=False))]

    def _advance(self, changes: list[Change]) -> None:
        while True:
            if self._growing is not None:
                self._grow(changes, done=False)
                if self._growing is not None:
                    return
            finished, self._tail = split_blocks(self._tail, done=False)
            if finished:
                if html := to_html(FINISHED, finished, self._environment):
                    changes.append(Change("done", "beforeend", html))
                self._finished.append(finished)
                self._counted += len(finished)
            self._growing, self._tail = begin(self._tail, self._environment, changes)
            if self._growing is None:
                return

    def _grow(self, changes: list[Change], *, done: bool) -> None:
        growing = self._growing
        assert growing is not None
        if not growing.is_over:
            self._tail = growing.take(self._tail, changes, done=done)
        is_code = growing.kind == "fence"
        if not is_code:
            self._counted += sum(map(len, growing.source[self._counted_pieces :]))
            self._counted_pieces = len(growing.source)
        if not growing.is_over:
            return
        self._counted_pieces = 0
        source = "".join(growing.source)
        if is_code:
            changes.append(Change("done>:last-child", "outerHTML", to_html(FINISHED, source, self._environment)))
        self._finished.append(source)
        self._growing = None

    def _make_tail(self, changes: list[Change]) -> None:
        self._looked_at = len(self._tail)
        self._end = None
        if self._growing is not None and not self._growing.kind.endswith("list_open"):
            html, text = "", ""
        else:
            text = presentable(self._tail)
            is_loose = getattr(self._growing, "is_loose", False)
            html = to_html(UNFINISHED, text, _copied(self._environment), is_loose=is_loose) if text.strip() else ""
        if html != self._shown:
            swap = "innerHTML" if changes else "innerMorph"  # behind a finished block it is new, not moved
            changes.append(Change("tail", swap, html))
            self._shown = html
        if html and text == self._tail and _LAST_WORD.search(text) and text[text.rfind("\n") + 1 :].strip():
            ends = _ENDS.search(html)
            self._end = ">:last-child" * ends[1].count("</") if ends is not None else None

    def _become_plain(self, changes: list[Change]) -> None:
        """Where `render` does, if that is not shown otherwise already."""
        text = self.text
        shown = len(text) - len(self._tail)
        self._plain_from = max(shown, limit(text) or 0)
        self._tail = text[shown : self._plain_from]
        self._finish_tail(changes)
        changes.append(Change("done", "beforeend", plain(text[self._plain_from :])))
        self._finished.append(text[self._plain_from :])
        if self._shown:
            changes.append(Change("tail", "innerHTML", ""))
        self._shown, self._end = "", None

    def _add_plain(self) -> list[Change]:
        new, self._tail = self._tail, ""
        self._finished.append(new)
        html = escape(whole_characters(new), quote=False)
        return [Change("done>:last-child", "beforeend", html)] if new else []


def _copied(environment: dict[str, Any]) -> dict[str, Any]:
    """For a look at what is not finished yet: it shall leave no trace."""
    copied = dict(environment)
    for name in ("references", "notes"):
        copied[name] = dict(environment.get(name, ()))
    copied["marked"] = set(environment.get("marked", ()))
    copied["guessed"], copied["missed"] = set(), set()
    copied["footnotes"] = {"refs": dict(environment.get("footnotes", {}).get("refs", ())), "list": {}}
    return copied
