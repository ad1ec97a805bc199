"""A turn as HTML fragments in an event stream, for the htmx page (htmx 4, `hx-sse`).

Each message holds `<hx-partial>` elements that append to or replace places of the page; the id is the number of events
consumed so far. Finished blocks of an answer are sent once, the unfinished last one again with every flush. The named
event `done` ends the stream. What is sent here and what a page load renders comes from the same templates.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markupsafe import escape

from app.core.events import (
    Abort,
    GeneratedFile,
    MessageFinish,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceDocument,
    SourceUrl,
    Status,
    StepFinish,
    StepStart,
    StreamError,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
)
from app.core.feedback import Feedback
from app.core.fold import merge_metadata
from app.core.messages import FilePart, TextPart, UIMessage
from app.wire import sse
from app.wire.live_cards import LiveCards
from app.wire.sources import Sources
from app.wire.surroundings import Surroundings
from app.wire.transcript import (
    Place,
    describe_ending,
    element_id,
    mark_of,
    render_transcript,
    show_duration,
    shown_parts,
)

if TYPE_CHECKING:
    from app.wire.growing import Change
    from app.wire.markdown_stream import MarkdownStream

DONE = b"event: done\ndata:\n\n"

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(slots=True)
class _OpenPart:
    element: str
    markdown: MarkdownStream
    began: float
    changed: bool = False


class HtmlEncoder:
    """Implements `core.ports.Encoder` for one answer on one page. Encoding takes milliseconds: call it in a thread."""

    format = "html"
    media_type = sse.MEDIA_TYPE
    headers: Mapping[str, str] = sse.HEADERS
    keep_alive = sse.KEEP_ALIVE

    def __init__(
        self,
        templates: Environment,
        answer_id: str,
        *,
        base: UIMessage | None = None,
        timed: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin an answer, or go on with one.

        Args:
            templates: where the fragments come from.
            answer_id: the id of the message.
            base: what was said of it before these events; the opening shows it.
            timed: False where events come later than they happened: then no duration is told.
            monotonic: seconds, for durations.
        """
        self._templates = templates
        self._parts: Any = templates.get_template("messages.html").module
        self._answer_id = answer_id
        self._element = element_id(answer_id)
        self._timed = timed
        self._monotonic = monotonic
        self._base = base
        self._metadata = merge_metadata(base.metadata if base is not None else None, {})
        self._begun = base is not None
        self._says_something = base is not None and bool(base.text.strip())
        self._last_id = ""
        """The last message that the page shows."""
        self._mark = ""
        """What it shows at its end."""
        self._is_whole = False
        self._consumed = 0
        texts = [part for part in shown_parts(base.parts) if part.type in ("text", "reasoning")] if base else []
        self._part_count = len(texts)
        self._sources = Sources(base.parts if base is not None else ())
        self._ended: list[_OpenPart] = []
        """Texts whose marks may still turn out to mean sources."""
        self._open: dict[str, _OpenPart] = {}
        self._text: _OpenPart | None = None
        """The text that stands last, which more text is added to."""
        self._cards = LiveCards(base, timed=timed, monotonic=monotonic)
        self._status = ""
        """What is being waited for."""
        self._shown_status = ""
        self._out: list[str] = []
        """The message that is being put together."""
        self._messages: list[str] = []

    def opening(self, question_id: str, **values: Any) -> bytes:
        """The first message, before the model's first event: `opening.html` with `values`. The page has the message
        `question_id` from now on, so that is the last one until there is an answer.
        """
        self._last_id = self._answer_id if self._begun else question_id
        template = self._templates.get_template("opening.html")
        values |= {"question_id": question_id, "answer_id": self._answer_id, "base": self._base}
        self._out.append(template.render(values, growing=self._growing_text()))
        if self._text is not None:
            self._end_message()
            self._write_markdown(self._text)
        return self._flush()

    def transcript(self, values: Mapping[str, object], mark: str, removed: str | None = None) -> bytes:
        """The one message where the answer is whole already: everything as it is stored, with the mark of its end.
        `removed` is what a message that was deleted just now is brought back by, or empty where one was brought back.
        Where an answer failed of which nothing is stored, it is said above the box.
        """
        if error := describe_ending(self._metadata).error:
            self._partial("notice", "innerHTML", self._parts.refusal(error))
        if removed is not None:
            self._partial("notice", "innerHTML", self._parts.removed(removed) if removed else "")
        self._partial("transcript", "innerHTML", render_transcript(self._templates, values))
        self._partial("composer-action", "innerHTML", self._parts.send_button())
        self._mark = mark
        self._is_whole = True
        return self._flush()

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        self._consumed += len(events)
        for event in events:
            self._apply(event)
        for part in self._open.values():
            if part.changed:
                self._write_markdown(part)
        self._write_cards()
        if self._status != self._shown_status:
            self._write("-status", "innerHTML", escape(self._status))
            self._shown_status = self._status
        return self._flush()

    @property
    def has_begun(self) -> bool:
        """There is something of the answer, and it is kept."""
        return self._begun

    @property
    def work(self) -> int:
        """How many characters the next `encode` may have to parse, beside those of its events."""
        return sum(part.markdown.work for part in self._open.values())

    def end(
        self,
        place: Place | None = None,
        told: Sequence[str] = (),
        *,
        rated: Feedback | None = None,
        history: Sequence[UIMessage] | None = None,
    ) -> bytes:
        """How the answer ended and the controls for the next turn, in one write with the `done` that frees the form.

        Args:
            place: where it stands among other answers to the same question.
            told: the notes of the answer before it, which need not be said again.
            rated: what the user thinks of an answer that was gone on with.
            history: what the page of a temporary chat keeps.
        """
        if not self._is_whole:
            self._finish_text()
            self._cite()
            self._cards.end()
            self._write_cards()
            ending = describe_ending(self._metadata).without(told)
            message_id = self._answer_id if self._begun else ""
            shown = self._parts.ending(ending, message_id, self._says_something, place, rated)
            self._write("-ending", "innerHTML", shown)
            self._write("-waiting", "delete", "")
            self._partial("composer-action", "innerHTML", self._parts.send_button())
            self._mark = mark_of(self._last_id, self._cards.requests)
        self._partial("after", "outerHTML", self._parts.after_field(self._mark))
        if history is not None:
            self._partial("history", "outerHTML", self._parts.history_field(history))
        return self._flush() + DONE

    def _apply(self, event: StreamEvent) -> None:
        self._status = event.text if isinstance(event, Status) else ""
        match event:
            case TextDelta(part_id, delta):
                self._add(part_id, delta)
                self._says_something = self._says_something or not delta.isspace()
            case ReasoningDelta(part_id, delta):
                self._add(part_id, delta)
            case MessageStart(_, metadata):
                self._begun = True
                self._last_id = self._answer_id
                self._learn(metadata)
            case TextStart(part_id):
                if self._text is None:
                    self._text = self._begin()
                    self._write_part(self._parts.text_part(self._text.element))
                self._open[part_id] = self._text
            case TextEnd(part_id):
                self._write_markdown(self._open.pop(part_id))
            case ReasoningStart(part_id):
                self._finish_text()
                self._open[part_id] = self._begin()
                self._write_part(self._parts.reasoning_part(self._open[part_id].element))
            case ReasoningEnd(part_id):
                self._end_reasoning(self._open.pop(part_id))
            case SourceUrl(_, url, title):
                self._add_source(url, title or "")
            case SourceDocument(_, _, title):
                self._add_source("", title)
            case GeneratedFile(media_type, url):
                self._finish_text()
                file = FilePart(type="file", media_type=media_type, url=url, filename=event.filename)
                self._write_part(self._parts.file(file))
            case MessageFinish(_, _, metadata):
                self._learn(metadata)
            case Abort():
                self._learn({"status": "stopped"})
            case StreamError(text, code):
                self._learn({"status": "error", "error": {"code": code, "text": text}})
            case StepStart() | StepFinish() | Status():
                pass
            case _:
                if (card := self._cards.apply(event)) is not None:
                    self._finish_text()
                    self._write_part(self._parts.tool_card(element_id(event.tool_call_id, "t"), card))

    def _write_cards(self) -> None:
        """What has become of tool calls since the last time: each place of a card is written once in a message."""
        for call_id, arguments, is_whole in self._cards.take_arguments():
            swap = "innerHTML" if is_whole else "beforeend"
            self._partial(element_id(call_id, "t") + "-input", swap, escape(arguments))
        for call_id, card in self._cards.take_changes():
            element = element_id(call_id, "t")
            self._partial(f"{element}-state", "outerHTML", self._parts.tool_state(element, card))
            self._partial(f"{element}-output", "innerHTML", self._parts.tool_output(card))
            self._partial(f"{element}-approval", "innerHTML", self._parts.tool_approval(card))
            if card.picture:
                self._partial(f"{element}-picture", "innerHTML", self._parts.tool_picture(card))

    def _begin(self) -> _OpenPart:
        from app.wire.markdown_stream import MarkdownStream  # with the first text, not with the start

        self._part_count += 1
        around = Surroundings(self._element, self._part_count, self._sources.marks)
        return _OpenPart(f"{self._element}-{self._part_count}", MarkdownStream(around), self._monotonic())

    def _add(self, part_id: str, delta: str) -> None:
        part = self._open[part_id]
        part.markdown.add(delta)
        part.changed = True

    def _add_source(self, url: str, title: str) -> None:
        if (source := self._sources.add(url, title)) is not None:
            self._write("-sources", "beforeend", self._parts.source(self._element, source))
        for part in {id(part): part for part in (self._text, *self._open.values()) if part is not None}.values():
            part.markdown.know(self._sources.marks)

    def _cite(self) -> None:
        """Sources that came after a text had ended are what its marks mean, too."""
        for part in self._ended:
            self._change(part, part.markdown.cite(self._sources.marks))

    def _growing_text(self) -> str | None:
        """The place of the base's last text, which the stream goes on with; what there is of it is written at once."""
        last = next(reversed(shown_parts(self._base.parts)), None) if self._base is not None else None
        if not isinstance(last, TextPart):
            return None
        self._part_count -= 1
        self._text = self._begin()
        self._text.markdown.add(last.text)
        return self._text.element

    def _finish_text(self) -> None:
        if self._text is not None:
            self._finish(self._text)
            self._text = None

    def _end_reasoning(self, part: _OpenPart) -> None:
        self._finish(part)
        duration = show_duration(self._monotonic() - part.began) if self._timed else ""
        self._partial(f"{part.element}-label", "outerHTML", self._parts.reasoning_label(duration))

    def _finish(self, part: _OpenPart) -> None:
        self._change(part, part.markdown.finish())
        if part.markdown.has_marks:
            self._ended.append(part)

    def _write_markdown(self, part: _OpenPart) -> None:
        part.changed = False
        self._change(part, part.markdown.flush())

    def _change(self, part: _OpenPart, changes: Sequence[Change]) -> None:
        """Htmx finds all places of a message before it fills the first: one that an earlier change of the same text
        makes is only there for the next message.
        """
        touched = False
        for change in changes:
            if touched and ">" in change.place:
                self._end_message()
            touched = touched or not change.is_text
            self._partial(f"{part.element}-{change.place}", change.swap, change.html)

    def _learn(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = merge_metadata(self._metadata, metadata)

    def _write_part(self, html: str) -> None:
        """After a new place another message begins."""
        self._write("-waiting", "beforebegin", html)
        self._end_message()

    def _write(self, suffix: str, swap: str, html: str) -> None:
        self._partial(self._element + suffix, swap, html)

    def _partial(self, element: str, swap: str, html: str) -> None:
        """`html` is a template's or the markdown renderer's output, never a text."""
        self._out.append(f'<hx-partial hx-target="#{element}" hx-swap="{swap}">{html}</hx-partial>')

    def _end_message(self) -> None:
        if self._out:
            self._messages.append("".join(self._out))
            self._out.clear()

    def _flush(self) -> bytes:
        self._end_message()
        if not self._messages:
            return b""
        *before, last = map(_data, self._messages)
        self._messages.clear()
        return "".join([*before, f"id: {self._consumed}\n", last]).encode("utf-8", "replace")


def _data(html: str) -> str:
    """One message of an event stream."""
    return "".join(f"data: {line}\n" for line in _LINE_END.split(html)) + "\n"
