"""A turn as HTML fragments in an event stream, for the htmx page (htmx 4, `hx-sse`).

Each message holds `<hx-partial>` elements that append to or replace places of the page; the id is the number of events
consumed so far. Finished blocks of an answer are sent once, the unfinished last one again with every flush. The named
event `done` ends the stream. What is sent here and what a page load renders comes from the same templates.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, assert_never

from jinja2 import Environment

from app.core.events import (
    Abort,
    MessageFinish,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceUrl,
    StepFinish,
    StepStart,
    StreamError,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
)
from app.core.fold import merge_metadata
from app.core.messages import UIMessage
from app.wire import sse
from app.wire.markdown import MarkdownStream

DONE = b"event: done\ndata:\n\n"

_PLAIN_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_LINE_END = re.compile(r"\r\n|\r|\n")


def element_id(message_id: str) -> str:
    """The id of a message's element: safe in attributes and selectors whatever a client chose as id."""
    if _PLAIN_ID.fullmatch(message_id):
        return f"m-{message_id}"
    return f"m-{sha256(message_id.encode('utf-8', 'replace')).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Ending:
    """What a finished answer's metadata has to tell people."""

    summary: str = ""
    """Model, tokens and time on one line."""
    detail: str = ""
    note: str = ""
    error: str = ""


def describe_ending(metadata: Any) -> Ending:
    """Metadata may be a client's own: whatever has not the shape we write is left out."""
    said = metadata if isinstance(metadata, Mapping) else {}
    usage = said["usage"] if isinstance(said.get("usage"), Mapping) else {}
    error = said["error"] if isinstance(said.get("error"), Mapping) else {}
    model, duration = said.get("model"), said.get("durationMs")
    tokens_in, tokens_out = usage.get("inputTokens"), usage.get("outputTokens")
    summary = [model] if isinstance(model, str) else []
    if isinstance(tokens_out, int) and tokens_out > 0:
        summary.append(f"{tokens_out:,} tokens")
    if isinstance(duration, int | float):
        summary.append(_seconds(duration / 1000))
    return Ending(
        summary=" · ".join(summary),
        detail=f"{tokens_in:,} tokens in, {tokens_out:,} out" if _both_numbers(tokens_in, tokens_out) else "",
        note=_NOTES.get(str(said.get("status"))) or _NOTES.get(str(said.get("finishReason"))) or "",
        error=str(error.get("text") or "The answer failed.") if said.get("status") == "error" else "",
    )


def _both_numbers(first: Any, second: Any) -> bool:
    return isinstance(first, int) and isinstance(second, int)


_NOTES: Mapping[str, str] = {
    "stopped": "Stopped.",
    "interrupted": "Interrupted: the server went away before the end.",
    "length": "Cut off: the answer reached its token limit.",
    "content-filter": "Cut off by a content filter of the model service.",
}


def _seconds(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@dataclass(slots=True)
class _OpenPart:
    element: str
    markdown: MarkdownStream
    began: float
    changed: bool = False


class HtmlEncoder:
    """Implements `core.ports.Encoder` for one answer on one page. Encoding takes milliseconds: call it in a thread."""

    media_type = sse.MEDIA_TYPE
    headers: Mapping[str, str] = sse.HEADERS
    keep_alive = sse.KEEP_ALIVE

    def __init__(
        self,
        templates: Environment,
        answer_id: str,
        *,
        timed: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timed` is False where events come later than they happened: then no duration is told."""
        self._templates = templates
        self._parts: Any = templates.get_template("messages.html").module
        self._answer_id = answer_id
        self._element = element_id(answer_id)
        self._timed = timed
        self._monotonic = monotonic
        self._metadata: dict[str, Any] = {}
        self._begun = False
        self._is_whole = False
        self._consumed = 0
        self._part_count = 0
        self._open: dict[str, _OpenPart] = {}
        self._tools: dict[str, str] = {}
        self._out: list[str] = []
        """The message that is being put together."""
        self._messages: list[str] = []

    def opening(self, **values: Any) -> bytes:
        """The first message, before the model's first event: `opening.html` with `values`."""
        template = self._templates.get_template("opening.html")
        self._out.append(template.render(answer_id=self._answer_id, **values))
        return self._flush()

    def transcript(self, messages: Sequence[UIMessage]) -> bytes:
        """The one message where the answer is whole already: everything as it is stored."""
        html = self._templates.get_template("transcript.html").render(messages=messages, answer_id=None)
        self._partial("transcript", "innerHTML", html)
        self._partial("composer-action", "innerHTML", self._parts.send_button())
        self._is_whole = True
        return self._flush()

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        self._consumed += len(events)
        for event in events:
            self._apply(event)
        for part in self._open.values():
            if part.changed:
                self._write_markdown(part)
        return self._flush()

    def end(self) -> bytes:
        """How the answer ended and the controls for the next turn, in one write with the `done` that frees the form."""
        if not self._is_whole:
            ending = describe_ending(self._metadata)
            self._write("-ending", "innerHTML", self._parts.ending(ending, self._answer_id if self._begun else ""))
            self._write("-waiting", "delete", "")
            self._partial("composer-action", "innerHTML", self._parts.send_button())
        return self._flush() + DONE

    def _apply(self, event: StreamEvent) -> None:
        match event:
            case TextDelta() | ReasoningDelta():
                part = self._open[event.id]
                part.markdown.add(event.delta)
                part.changed = True
            case MessageStart(_, metadata):
                self._begun = True
                self._learn(metadata)
            case TextStart(part_id):
                self._write_part(self._parts.text_part(self._begin(part_id)))
            case ReasoningStart(part_id):
                self._write_part(self._parts.reasoning_part(self._begin(part_id)))
            case TextEnd() | ReasoningEnd():
                self._close(event)
            case SourceUrl(_, url, title):
                self._write("-sources", "beforeend", self._parts.source(url, title))
            case ToolInputAvailable(call_id, name, value):
                self._tools[call_id] = self._next_element()
                self._write_part(self._parts.tool_part(self._tools[call_id], name, value))
            case ToolOutputAvailable(call_id, output):
                self._write_tool_output(call_id, output, None)
            case ToolOutputError(call_id, text):
                self._write_tool_output(call_id, None, text)
            case MessageFinish(_, _, metadata):
                self._learn(metadata)
            case Abort():
                self._learn({"status": "stopped"})
            case StreamError(text, code):
                self._learn({"status": "error", "error": {"code": code, "text": text}})
            case ToolInputStart() | ToolInputDelta() | StepStart() | StepFinish():
                pass
            case _:
                assert_never(event)

    def _begin(self, part_id: str) -> str:
        part = _OpenPart(self._next_element(), MarkdownStream(), self._monotonic())
        self._open[part_id] = part
        return part.element

    def _next_element(self) -> str:
        self._part_count += 1
        return f"{self._element}-{self._part_count}"

    def _close(self, event: TextEnd | ReasoningEnd) -> None:
        part = self._open.pop(event.id)
        html, replaces = part.markdown.finish()
        self._partial(f"{part.element}-done", "innerHTML" if replaces else "beforeend", html)
        self._partial(f"{part.element}-tail", "innerHTML", "")
        if isinstance(event, ReasoningEnd):
            duration = _seconds(self._monotonic() - part.began) if self._timed else ""
            self._partial(f"{part.element}-label", "outerHTML", self._parts.reasoning_label(duration))

    def _write_markdown(self, part: _OpenPart) -> None:
        part.changed = False
        finished, tail = part.markdown.flush()
        if finished:
            self._partial(f"{part.element}-done", "beforeend", finished)
        self._partial(f"{part.element}-tail", "innerMorph", tail)

    def _write_tool_output(self, call_id: str, output: Any, error: str | None) -> None:
        if call_id in self._tools:
            self._partial(f"{self._tools[call_id]}-output", "innerHTML", self._parts.tool_output(output, error))

    def _learn(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = merge_metadata(self._metadata, metadata)

    def _write_part(self, html: str) -> None:
        """Htmx finds all places of a message before it fills the first: after a new one another message begins."""
        self._write("-parts", "beforeend", html)
        self._messages.append("".join(self._out))
        self._out.clear()

    def _write(self, suffix: str, swap: str, html: str) -> None:
        self._partial(self._element + suffix, swap, html)

    def _partial(self, element: str, swap: str, html: str) -> None:
        """`html` is a template's or the markdown renderer's output, never a text."""
        self._out.append(f'<hx-partial hx-target="#{element}" hx-swap="{swap}">{html}</hx-partial>')

    def _flush(self) -> bytes:
        if self._out:
            self._messages.append("".join(self._out))
            self._out.clear()
        if not self._messages:
            return b""
        *before, last = map(_data, self._messages)
        self._messages.clear()
        return "".join([*before, f"id: {self._consumed}\n", last]).encode("utf-8", "replace")


def _data(html: str) -> str:
    """One message of an event stream."""
    return "".join(f"data: {line}\n" for line in _LINE_END.split(html)) + "\n"
