"""An answer in Gemini's format (`GenerateContentResponse`, v1beta) → our events.

What is read and means nothing to us: `responseId`, `modelVersion`, `createTime`, `safetyRatings`, `logprobsResult`,
`avgLogprobs`, `tokenCount`, what was searched for, and the HTML of Google's search suggestions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.events import (
    FinishReason,
    GeneratedFile,
    ModelEvent,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    Usage,
)
from app.core.messages import ProviderMetadata
from app.providers.failures import ReportedError
from app.providers.google.arguments import PartialArguments
from app.providers.google.metadata import SIGNED_BEHIND, to_metadata
from app.providers.google.server_tools import ServerTools
from app.providers.google.sources import Grounding
from app.providers.metadata import NOTHING
from app.providers.tool_calls import new_call_id
from app.providers.unmapped import Unmapped

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content-filter",
    "RECITATION": "content-filter",
    "BLOCKLIST": "content-filter",
    "PROHIBITED_CONTENT": "content-filter",
    "SPII": "content-filter",
    "IMAGE_SAFETY": "content-filter",
    "MALFORMED_FUNCTION_CALL": "error",
}
_EXPLAINED = frozenset({"content-filter", "error", "other"})
_NOT_BLOCKED = (None, "BLOCK_REASON_UNSPECIFIED")


@dataclass(slots=True)
class _Part:
    """The text or the thinking that is open."""

    start: TextStart | ReasoningStart
    metadata: ProviderMetadata | None = None

    @property
    def is_text(self) -> bool:
        return isinstance(self.start, TextStart)


@dataclass(slots=True)
class _Call:
    """A call whose arguments come value by value."""

    id: str
    name: str
    metadata: ProviderMetadata | None
    arguments: PartialArguments = field(default_factory=PartialArguments)


class GoogleAnswer:
    def __init__(self, unmapped: Unmapped, *, new_id: Callable[[], str] = new_call_id) -> None:
        self._unmapped = unmapped
        self._new_id = new_id
        self._grounding = Grounding(unmapped)
        self._server_tools = ServerTools(unmapped, new_id)
        self._part: _Part | None = None
        self._parts = 0
        self._call: _Call | None = None
        self._called = False
        """The client has a call to run: the service says STOP all the same."""
        self._usage: dict[str, Any] = {}
        self._blocked: str | None = None
        self._finish_reason: str | None = None
        self._explanation: str | None = None

    def read(self, chunk: Any, out: list[ModelEvent]) -> None:
        if error := chunk.get("error"):
            raise ReportedError({"error": {"type": error.get("status"), **error}} if isinstance(error, dict) else chunk)
        if usage := chunk.get("usageMetadata"):
            self._usage.update(usage)  # totals so far; an early one may hold no figures
        feedback = chunk.get("promptFeedback") or {}
        if (reason := feedback.get("blockReason")) not in _NOT_BLOCKED:
            self._blocked = reason
            self._explanation = feedback.get("blockReasonMessage") or f"Google blocked the prompt: {reason}."
        for candidate in chunk.get("candidates") or ():
            if candidate.get("index"):
                self._unmapped.count("google: a second candidate")
            else:
                self._candidate(candidate, out)

    def finish(self, out: list[ModelEvent]) -> None:
        if self._finish_reason is None and self._blocked is None:
            return
        self._close(out)
        self._server_tools.finish(out)
        reason = "content-filter" if self._blocked else _FINISH_REASONS.get(self._finish_reason or "", "other")
        self._finish_call(out, whole=reason == "stop")
        if self._called and reason == "stop":
            reason = "tool-calls"
        explanation = self._explanation if reason in _EXPLAINED else None
        out.append(ModelFinish(reason, _total(self._usage), explanation))

    def _candidate(self, candidate: Mapping[str, Any], out: list[ModelEvent]) -> None:
        if grounding := candidate.get("groundingMetadata"):
            self._grounding.read(grounding, out)
        for name in ("citationMetadata", "urlContextMetadata"):
            if candidate.get(name):
                self._unmapped.count(f"google: {name}")
        for part in (candidate.get("content") or {}).get("parts") or ():
            self._read_part(part, out)
        if reason := candidate.get("finishReason"):
            self._finish_reason = reason
            self._explanation = self._explanation or candidate.get("finishMessage")

    def _read_part(self, part: Mapping[str, Any], out: list[ModelEvent]) -> None:
        if part.get("text") is not None:
            self._say(part, out)
            return
        self._close(out)
        if self._server_tools.read(part, out):
            return
        if (call := part.get("functionCall")) is not None:
            self._read_call(call, to_metadata(part), out)
        elif part.get("inlineData"):
            self._file(part, out)
        else:
            self._unmapped.count(f"google: part {', '.join(part) or 'without content'}")

    def _say(self, part: Mapping[str, Any], out: list[ModelEvent]) -> None:
        """A signature belongs to the text that it comes with, or follows with an empty text. It may come alone."""
        text, signature = part["text"], part.get("thoughtSignature")
        if not text and not signature:
            return
        kind, start = ("reasoning", ReasoningStart) if part.get("thought") else ("text", TextStart)
        follows = self._part is not None and (type(self._part.start) is start or (not text and self._part.is_text))
        if not follows:
            self._close(out)
            self._server_tools.finish(out)
            self._part = _Part(start(f"{kind}-{self._parts}"))
            self._parts += 1
            out.append(self._part.start)
        assert self._part is not None
        if text:
            delta = TextDelta if self._part.is_text else ReasoningDelta
            out.append(delta(self._part.start.id, text))
        if signature:
            self._part.metadata = to_metadata(part, NOTHING if text or not follows else SIGNED_BEHIND)
        if not text and not follows:
            self._close(out)  # what comes next is another part

    def _close(self, out: list[ModelEvent]) -> None:
        if self._part is not None:
            end = TextEnd if self._part.is_text else ReasoningEnd
            out.append(end(self._part.start.id, self._part.metadata))
        self._part = None

    def _file(self, part: Mapping[str, Any], out: list[ModelEvent]) -> None:
        if part.get("thought"):
            self._unmapped.count("google: a file of the thinking")
            return
        media_type = part["inlineData"]["mimeType"]
        url = f"data:{media_type};base64,{part['inlineData']['data']}"
        out.append(GeneratedFile(media_type, url, to_metadata(part)))

    def _read_call(self, call: Mapping[str, Any], metadata: ProviderMetadata | None, out: list[ModelEvent]) -> None:
        """A call comes whole, or as its name, values, and an empty object at the end, which may be missing."""
        pieces = call.get("partialArgs")
        if name := call.get("name"):
            self._finish_call(out, whole=True)
            self._called = True
            self._call = _Call(call.get("id") or self._new_id(), name, metadata)
            out.append(ToolInputStart(self._call.id, name))
            self._call.arguments.value.update(call.get("args") or {})
        if self._call is None:
            if pieces:
                self._unmapped.count("google: arguments without a call")
            return
        self._call.arguments.add(pieces or ())
        if not call.get("willContinue") and not any(piece.get("willContinue") for piece in pieces or ()):
            self._finish_call(out, whole=True)

    def _finish_call(self, out: list[ModelEvent], *, whole: bool) -> None:
        if self._call is None:
            return
        call, self._call = self._call, None
        value = call.arguments.value
        if value:
            out.append(ToolInputDelta(call.id, json.dumps(value, ensure_ascii=False, separators=(",", ":"))))
        if whole:
            out.append(ToolInputAvailable(call.id, call.name, value, provider_metadata=call.metadata))
        else:
            problem = "The answer was cut off before the call was complete."
            out.append(ToolInputError(call.id, call.name, value, problem, provider_metadata=call.metadata))


def _total(usage: Mapping[str, Any]) -> Usage:
    thoughts = usage.get("thoughtsTokenCount")
    return Usage(
        input_tokens=(usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0),
        output_tokens=(usage.get("candidatesTokenCount") or 0) + (thoughts or 0),
        reasoning_tokens=thoughts,
        cache_read_tokens=usage.get("cachedContentTokenCount"),
    )
