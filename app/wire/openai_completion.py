"""An answer as OpenAI's chat completions have it: `chat.completion` for a whole one, `chat.completion.chunk`s for one
that is on its way.

What the format has no field for stands where other services of it put it: thinking in `reasoning_content` (DeepSeek,
vLLM), what a service wants back in `reasoning_details` (OpenRouter) and `extra_content` (Google), files in `images`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.core.errors import AppError, ProviderBroken
from app.core.events import (
    Answering,
    CallWarning,
    FinishReason,
    GeneratedFile,
    ModelEvent,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    SourceUrl,
    TextDelta,
    TextStart,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    Usage,
)
from app.core.gateway import Answered
from app.core.messages import ProviderMetadata
from app.core.model import Content, Media, Reasoning, Text, ToolCall
from app.wire.json import dump_json
from app.wire.reasoning_details import to_details
from app.wire.sse import DONE, HEADERS, KEEP_ALIVE, MEDIA_TYPE, frame

_FINISH_REASONS: Mapping[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "content-filter": "content_filter",
    "tool-calls": "tool_calls",
    "other": "stop",
}
"""`error` has no word: such an answer is none."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the answer and each of its chunks begin with."""

    id: str
    """`chatcmpl-…`."""
    created: int
    """Seconds since 1970."""
    model: str

    def to_wire(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def to_completion(answered: Answered, head: Head, notes: Sequence[CallWarning]) -> dict[str, Any]:
    """The whole answer. `notes`: what of the request was left out before it was sent.

    Raises:
        ProviderBroken: the model ended in an error.
    """
    finish = answered.finish
    choice = {
        "index": 0,
        "message": _message(answered),
        "logprobs": None,
        "finish_reason": _finish_reason(finish, refuses=any(map(_refuses, answered.content))),
    }
    head = replace(head, model=answered.model or head.model)
    completion = {**head.to_wire("chat.completion"), "choices": [choice], "usage": to_usage(finish.usage)}
    return completion | _warnings([*notes, *answered.warnings])


def to_usage(usage: Usage) -> dict[str, Any]:
    """What a service did not tell is left out."""
    sent = {"cached_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens}
    said = {"reasoning_tokens": usage.reasoning_tokens}
    figures: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    for name, details in (("prompt_tokens_details", sent), ("completion_tokens_details", said)):
        if known := {key: count for key, count in details.items() if count is not None}:
            figures[name] = known
    return figures


def _message(answered: Answered) -> dict[str, Any]:
    calls = [item for item in answered.content if isinstance(item, ToolCall) and not item.provider_executed]
    thoughts = [item for item in answered.content if isinstance(item, Reasoning)]
    files = [item for item in answered.content if isinstance(item, Media)]
    details = [detail for thought in thoughts for detail in to_details(thought)]
    details += [detail for call in calls for detail in _kept_details(call.provider_metadata)]
    rest: dict[str, Any] = {
        "reasoning_content": "\n\n".join(thought.text for thought in thoughts if thought.text),
        "reasoning_details": [{**detail, "index": index} for index, detail in enumerate(details)],
        "tool_calls": [_call(call) for call in calls],
        "annotations": [_citation(source) for source in answered.sources],
        "images": [_image(f"data:{file.media_type};base64,{file.data}") for file in files],
    }
    message = {"role": "assistant", "content": answered.text or None, "refusal": answered.refusal}
    return message | {name: value for name, value in rest.items() if value}


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": _arguments(call.input)}
    return {"id": call.id, "type": "function", "function": function, **_extra(call.provider_metadata)}


def _arguments(value: Any) -> str:
    """A text is what the model wrote and nobody could read."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _extra(metadata: ProviderMetadata | None) -> dict[str, Any]:
    """`extra_content`: a signature of Gemini's, or what a service of this format sent there itself."""
    for own in (metadata or {}).values():
        if extra := own.get("extra_content"):
            return {"extra_content": extra}
        if signature := own.get("thoughtSignature"):
            return {"extra_content": {"google": {"thought_signature": signature}}}
    return {}


def _kept_details(metadata: ProviderMetadata | None) -> Iterable[dict[str, Any]]:
    """Those that came as `reasoning_details` in the first place."""
    for own in (metadata or {}).values():
        yield from own.get("reasoning_details", ())


def _image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def _citation(source: SourceUrl) -> dict[str, Any]:
    """Of the whole answer: few services say which of its words a source is for."""
    cited = {"url": source.url, "title": source.title or source.url, "start_index": 0, "end_index": 0}
    return {"type": "url_citation", "url_citation": cited}


def _refuses(content: Content) -> bool:
    return isinstance(content, Text) and content.refuses


def _finish_reason(finish: ModelFinish, *, refuses: bool) -> str:
    """`refuses`: the model itself, which is an ordinary end."""
    if finish.reason == "error":
        raise ProviderBroken(finish.explanation or "The model ended its answer with an error. Try again.")
    return "stop" if refuses else _FINISH_REASONS[finish.reason]


def _warnings(warnings: Sequence[CallWarning]) -> dict[str, Any]:
    told = [{"setting": warning.setting, "details": warning.details} for warning in dict.fromkeys(warnings)]
    return {"warnings": told} if told else {}


class CompletionEncoder:
    """The events of one model call → chunks, one for each thing that happens."""

    media_type = MEDIA_TYPE
    headers = HEADERS
    keep_alive = KEEP_ALIVE

    def __init__(self, head: Head, notes: Sequence[CallWarning], *, include_usage: bool) -> None:
        self._begin_with(head)
        self._include_usage = include_usage
        self._warnings = list(notes)
        self._calls: dict[str, int] = {}
        """Index of each call that the client runs, by id."""
        self._extras: dict[str, Mapping[str, Any]] = {}
        """What a service wants back with a call, by its id, until it is told."""
        self._with_arguments: set[str] = set()
        self._refusals: set[str] = set()
        """Parts in which the model says why it does not answer."""
        self._thoughts: list[str] = []
        """Of the piece of thinking that is on its way."""
        self._has_thought = False
        self._details = 0
        self._begun = False

    def _begin_with(self, head: Head) -> None:
        self._answer = head
        self._head = head.to_wire("chat.completion.chunk")
        self._before = b"data: " + dump_json(self._head)[:-1] + b',"choices":[{"index":0,"delta":'

    def encode(self, events: Sequence[ModelEvent]) -> bytes:
        for event in events:
            if isinstance(event, ToolInputAvailable) and (extra := _extra(event.provider_metadata)):
                self._extras[event.tool_call_id] = extra  # clients look for it where the call begins
        return b"".join(map(self._encode, events))

    def fail(self, error: AppError) -> bytes:
        """No `[DONE]`: SDKs raise the error, and whoever does not look misses the end mark."""
        told = {"message": error.message, "type": "server_error", "code": error.code, "param": error.param}
        return frame({"error": told})

    def _encode(self, event: ModelEvent) -> bytes:
        match event:
            case TextDelta(part, delta):
                return self._chunk({"refusal" if part in self._refusals else "content": delta})
            case ReasoningDelta(_, delta):
                apart = "\n\n" if self._has_thought and not self._thoughts else ""
                self._thoughts.append(delta)
                return self._chunk({"reasoning_content": apart + delta})
            case ToolInputDelta(call_id, delta) if call_id in self._calls:
                self._with_arguments.add(call_id)
                return self._call_chunk(call_id, {"function": {"arguments": delta}})
            case ModelFinish():
                return self._finish(event)
            case CallWarning():
                self._warnings.append(event)
                return b""
            case _:
                return self._encode_other(event)

    def _encode_other(self, event: ModelEvent) -> bytes:
        match event:
            case ReasoningEnd():
                return self._end_thought(event)
            case TextStart(part, refuses=True):
                self._refusals.add(part)
                return b""
            case ToolInputStart() if not event.provider_executed:
                return self._begin_call(event.tool_call_id, event.tool_name)
            case ToolInputAvailable() | ToolInputError() if not event.provider_executed:
                return self._end_call(event)
            case GeneratedFile():
                return self._chunk({"images": [_image(event.url)]})
            case SourceUrl():
                return self._chunk({"annotations": [_citation(event)]})
            case Answering():
                self._begin_with(replace(self._answer, model=event.model))
                return b""
            case _:
                return b""  # what the service's own tools do

    def _end_thought(self, event: ReasoningEnd) -> bytes:
        text = "".join(self._thoughts)
        self._thoughts.clear()
        self._has_thought = self._has_thought or bool(text)
        return self._details_chunk(to_details(Reasoning(text, event.provider_metadata)))

    def _details_chunk(self, details: Iterable[Mapping[str, Any]]) -> bytes:
        numbered = [{**detail, "index": self._details + place} for place, detail in enumerate(details)]
        self._details += len(numbered)
        return self._chunk({"reasoning_details": numbered}) if numbered else b""

    def _begin_call(self, call_id: str, name: str) -> bytes:
        self._calls[call_id] = len(self._calls)
        function = {"name": name, "arguments": ""}
        extra = self._extras.pop(call_id, {})
        return self._call_chunk(call_id, {"id": call_id, "type": "function", "function": function, **extra})

    def _end_call(self, event: ToolInputAvailable | ToolInputError) -> bytes:
        """Arguments that came in one piece, and what the service wants back with the call."""
        call_id = event.tool_call_id
        out = b"" if call_id in self._calls else self._begin_call(call_id, event.tool_name)
        rest = "" if call_id in self._with_arguments else _arguments(event.input)
        extra = self._extras.pop(call_id, {})
        if rest or extra:
            out += self._call_chunk(call_id, {"function": {"arguments": rest}, **extra})
        return out + self._details_chunk(_kept_details(event.provider_metadata))

    def _finish(self, finish: ModelFinish) -> bytes:
        try:
            reason = _finish_reason(finish, refuses=bool(self._refusals))
        except ProviderBroken as error:
            return self.fail(error)
        explains = finish.reason == "content-filter" and finish.explanation and not self._refusals
        out = self._chunk({"refusal": finish.explanation} if explains else {}, reason, _warnings(self._warnings))
        if self._include_usage:
            out += frame({**self._head, "choices": [], "usage": to_usage(finish.usage)})
        return out + DONE

    def _call_chunk(self, call_id: str, call: Mapping[str, Any]) -> bytes:
        return self._chunk({"tool_calls": [{"index": self._calls[call_id], **call}]})

    def _chunk(
        self, delta: Mapping[str, Any], finish_reason: str | None = None, more: Mapping[str, Any] | None = None
    ) -> bytes:
        out = b""
        if not self._begun:
            self._begun = True
            out = self._chunk({"role": "assistant", "content": ""})
        end = {"logprobs": None, "finish_reason": finish_reason}
        rest = b"," + dump_json(more)[1:] if more else b"}"
        return out + self._before + dump_json(delta) + b"," + dump_json(end)[1:] + b"]" + rest + b"\n\n"
