"""An answer on its way, as OpenAI's Responses API has it: items that begin, grow and end, each known by its place.

Several may be under way at once. An error ends the stream with an `error` event, which the SDKs raise, and with
`response.failed`, for whoever looks at the answer's state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.core.errors import AppError, ProviderBroken
from app.core.events import (
    Answering,
    CallWarning,
    GeneratedFile,
    ModelEvent,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    SourceUrl,
    Status,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
)
from app.core.messages import ProviderMetadata
from app.wire.json import dump_json
from app.wire.openai_response import (
    COMPLETED,
    INCOMPLETE,
    Head,
    Item,
    annotation,
    arguments_of,
    call,
    ended,
    kept_with_call,
    message,
    phase_of,
    pictures,
    refusal_part,
    status_of,
    summary_part,
    text_part,
    thought,
)
from app.wire.sse import HEADERS, KEEP_ALIVE, MEDIA_TYPE

_IN_PROGRESS = "in_progress"


@dataclass(slots=True)
class _Growing:
    """An item that has begun and not ended."""

    item_id: str
    index: int
    before: bytes
    """Of each of its deltas, what stands before the text."""
    pieces: list[str] = field(default_factory=list)
    name: str = ""
    """Of the function that is called."""

    @property
    def where(self) -> dict[str, Any]:
        return {"item_id": self.item_id, "output_index": self.index}

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class ResponseEncoder:
    """The events of one model call → the events of a response."""

    media_type = MEDIA_TYPE
    headers = HEADERS
    keep_alive = KEEP_ALIVE

    def __init__(self, head: Head, notes: Sequence[CallWarning]) -> None:
        self._head = head
        self._warnings = list(notes)
        self._begun = False
        self._number = 0
        """Of the next event."""
        self._index = 0
        """Of the next item."""
        self._output: dict[int, Item] = {}
        """Items that have ended, by their place."""
        self._message: _Growing | None = None
        self._texts: set[str] = set()
        """Parts that are being written into the message."""
        self._refusals: dict[str, list[str]] = {}
        """What is said of why there is no answer, by its part; told at the end."""
        self._sources: list[SourceUrl] = []
        """For the message that ends next."""
        self._thoughts: dict[str, _Growing] = {}
        self._calls: dict[str, _Growing] = {}

    def encode(self, events: Sequence[ModelEvent]) -> bytes:
        return b"".join(map(self._encode, events))

    def fail(self, error: AppError) -> bytes:
        told = {"code": error.code, "message": error.message, "param": error.param}
        response = self._head.to_wire(
            "failed", self._ended_items(), error={"code": error.code, "message": error.message}
        )
        out = self._start() + self._event("error", **told, error={"type": "server_error", **told})
        return out + self._event("response.failed", response=response)

    def _encode(self, event: ModelEvent) -> bytes:
        match event:
            case TextDelta(part, delta) if part in self._refusals:
                self._refusals[part].append(delta)
            case TextDelta(part, delta) if delta:
                out = self._begin_text() if self._message is None else b""
                self._texts.add(part)
                return out + self._say(self._message, delta)
            case ReasoningDelta(part, delta) if delta:
                out = b"" if part in self._thoughts else self._begin_thought(part)
                return out + self._say(self._thoughts[part], delta)
            case ToolInputDelta(call_id, delta):
                return self._say(self._calls.get(call_id), delta)
            case CallWarning():
                self._warnings.append(event)
            case Answering():
                self._head = replace(self._head, model=event.model)
            case Status():
                pass
            case ModelFinish():
                return self._finish(event)
            case _:
                return self._encode_other(event)
        return b""

    def _encode_other(self, event: ModelEvent) -> bytes:
        match event:
            case TextStart(part, refuses=True):
                self._refusals[part] = []
                return b""
            case TextEnd(part, metadata):
                self._texts.discard(part)
                phase = phase_of(metadata)
                return b"" if phase is None else self._end_message(phase=phase)
            case ReasoningEnd(part, metadata):
                return self._end_thought(part, metadata)
            case ToolInputStart(call_id, name, provider_executed=False):
                return self._begin_call(call_id, name)
            case ToolInputAvailable(provider_executed=False):
                return self._end_call(event, COMPLETED)
            case ToolInputError(provider_executed=False):
                return self._end_call(event, INCOMPLETE)
            case GeneratedFile(media_type, url):
                return b"".join(map(self._whole, pictures(media_type, url.partition(",")[2])))
            case SourceUrl():
                self._sources.append(event)
                return b""
            case _:
                return b""  # what the service's own tools do

    # Messages

    def _begin_text(self) -> bytes:
        out, self._message = self._begin(message([], _IN_PROGRESS), "response.output_text.delta", content_index=0)
        part = text_part("")
        return out + self._event("response.content_part.added", **self._message.where, content_index=0, part=part)

    def _end_message(self, status: str = COMPLETED, phase: str | None = None, refusal: str | None = None) -> bytes:
        """Nothing where there is no message and nothing to say in one."""
        out = b""
        if self._message is None:
            if refusal is None:
                return b""
            out, said = self._begin(message([], _IN_PROGRESS), "")
            parts: list[Item] = []
        else:
            said = self._message
            parts = [text_part(said.text, self._sources)]
            out = self._end_text(said, parts[0])
        if refusal is not None:
            out += self._refuse(said, len(parts), refusal)
            parts.append(refusal_part(refusal))
        self._message = None
        self._texts.clear()
        self._sources = []
        return out + self._end(said, message(parts, status, phase))

    def _end_text(self, said: _Growing, part: Item) -> bytes:
        where = {**said.where, "content_index": 0}
        out = b"".join(
            self._event(
                "response.output_text.annotation.added", **where, annotation_index=index, annotation=annotation(source)
            )
            for index, source in enumerate(self._sources)
        )
        out += self._event("response.output_text.done", **where, text=said.text, logprobs=[])
        return out + self._event("response.content_part.done", **where, part=part)

    def _refuse(self, said: _Growing, index: int, refusal: str) -> bytes:
        where = {**said.where, "content_index": index}
        out = self._event("response.content_part.added", **where, part=refusal_part(""))
        out += self._event("response.refusal.delta", **where, delta=refusal)
        out += self._event("response.refusal.done", **where, refusal=refusal)
        return out + self._event("response.content_part.done", **where, part=refusal_part(refusal))

    # Thinking

    def _begin_thought(self, part: str) -> bytes:
        out, thinking = self._begin(thought("", None), "response.reasoning_summary_text.delta", summary_index=0)
        self._thoughts[part] = thinking
        where = {**thinking.where, "summary_index": 0}
        return out + self._event("response.reasoning_summary_part.added", **where, part=summary_part(""))

    def _end_thought(self, part: str, metadata: ProviderMetadata | None) -> bytes:
        thinking = self._thoughts.pop(part, None)
        if thinking is None:
            return self._whole(thought("", metadata)) if metadata else b""
        where, text = {**thinking.where, "summary_index": 0}, thinking.text
        out = self._event("response.reasoning_summary_text.done", **where, text=text)
        out += self._event("response.reasoning_summary_part.done", **where, part=summary_part(text))
        return out + self._end(thinking, thought(text, metadata))

    # Calls

    def _begin_call(self, call_id: str, name: str) -> bytes:
        item = call(call_id, name, "", _IN_PROGRESS)
        out, self._calls[call_id] = self._begin(item, "response.function_call_arguments.delta")
        self._calls[call_id].name = name
        return out

    def _end_call(self, event: ToolInputAvailable | ToolInputError, status: str) -> bytes:
        call_id = event.tool_call_id
        out = b"" if call_id in self._calls else self._begin_call(call_id, event.tool_name)
        called = self._calls[call_id]
        if not called.pieces:
            out += self._say(called, arguments_of(event.input))
        out += self._end_arguments(call_id, status)
        return out + b"".join(map(self._whole, kept_with_call(call_id, event.provider_metadata)))

    def _end_arguments(self, call_id: str, status: str) -> bytes:
        called = self._calls.pop(call_id)
        name, arguments = called.name, called.text
        out = self._event("response.function_call_arguments.done", **called.where, name=name, arguments=arguments)
        return out + self._end(called, call(call_id, name, arguments, status))

    # Items

    def _start(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        response = self._head.to_wire(_IN_PROGRESS)
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def _begin(self, item: Item, delta: str, **place: int) -> tuple[bytes, _Growing]:
        """`delta`: the type of the events that make it grow; they have `place`, too. A message that is not being
        written ends here.
        """
        out = self._start() + (b"" if self._texts else self._end_message())
        item = self._head.numbered(item, self._index)
        head = {"type": delta, "item_id": item["id"], "output_index": self._index, **place}
        if delta == "response.output_text.delta":
            head["logprobs"] = []
        before = b"event: %b\ndata: %b" % (delta.encode(), dump_json(head)[:-1])
        growing = _Growing(item["id"], self._index, before)
        self._index += 1
        return out + self._event("response.output_item.added", output_index=growing.index, item=item), growing

    def _say(self, growing: _Growing | None, text: str) -> bytes:
        if growing is None or not text:
            return b""
        growing.pieces.append(text)
        self._number += 1
        return b'%b,"delta":%b,"sequence_number":%d}\n\n' % (growing.before, dump_json(text), self._number - 1)

    def _end(self, growing: _Growing, item: Item) -> bytes:
        whole = self._output[growing.index] = self._head.numbered(item, growing.index)
        return self._event("response.output_item.done", output_index=growing.index, item=whole)

    def _whole(self, item: Item) -> bytes:
        """An item that does not grow."""
        out, growing = self._begin(item, "")
        return out + self._end(growing, item)

    def _ended_items(self) -> list[Item]:
        return [self._output[index] for index in sorted(self._output)]

    def _finish(self, finish: ModelFinish) -> bytes:
        out = self._start()
        for part in list(self._thoughts):
            out += self._end_thought(part, None)
        for call_id in list(self._calls):
            out += self._end_arguments(call_id, INCOMPLETE)
        refusal = "".join(piece for said in self._refusals.values() for piece in said) or None
        if finish.reason == "content-filter":
            refusal = refusal or finish.explanation
        refuses = refusal is not None
        out += self._end_message(status_of(finish, refuses=refuses), refusal=refusal)
        try:
            response = ended(self._head, self._ended_items(), finish, self._warnings, refuses=refuses)
        except ProviderBroken as error:
            return out + self.fail(error)
        return out + self._event(f"response.{response['status']}", response=response)

    def _event(self, kind: str, **fields: Any) -> bytes:
        value = {"type": kind, **fields, "sequence_number": self._number}
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), dump_json(value))
