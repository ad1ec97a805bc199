"""An answer in OpenAI's chat completions format (`chat.completion.chunk`) and its dialects → our events."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
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
    Usage,
)
from app.providers.dialects import Dialect
from app.providers.failures import ReportedError
from app.providers.openai_chat.calls import Calls
from app.providers.openai_chat.messages import REASONING_FIELDS
from app.providers.openai_chat.reasoning_details import ReasoningDetails
from app.providers.sources import Sources
from app.providers.tool_calls import new_call_id
from app.providers.unmapped import Unmapped

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool-calls",
    "function_call": "tool-calls",
    "content_filter": "content-filter",
    "insufficient_system_resource": "error",
    "error": "error",
}

_COMMON = frozenset({"role", "content", "refusal", "tool_calls", *REASONING_FIELDS})

_IMAGE_URL = re.compile(r"data:(image/[\w.+-]+);base64,")


class OpenAIChatAnswer:
    def __init__(
        self, provider: str, dialect: Dialect, unmapped: Unmapped, *, new_id: Callable[[], str] = new_call_id
    ) -> None:
        """`provider` is the service's row of the catalog."""
        self._provider = provider
        self._dialect = dialect
        self._unmapped = unmapped
        self._part: TextStart | ReasoningStart | None = None
        """The part that is open: one at a time."""
        self._parts = 0
        self._reasoning_field: str | None = None
        self._filled = False
        """The filler for thoughts has been shown."""
        self._details = ReasoningDetails()
        self._calls = Calls(provider, new_id)
        self._sources = Sources("openai_chat", unmapped)
        self._usage: Mapping[str, Any] = {}
        self._finish_reason: str | None = None
        self._refused = False

    def read(self, chunk: Any, out: list[ModelEvent]) -> None:
        if chunk.get("error"):
            raise ReportedError(chunk)
        usage = chunk.get("usage")
        if groq := chunk.get("x_groq"):
            if groq.get("error"):
                raise ReportedError(groq)
            usage = usage or groq.get("usage")
        if usage:
            self._usage = usage  # a total so far: the last one counts
        if self._dialect.citations:
            self._cite(chunk.get("citations") or (), chunk.get("search_results") or (), out)
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                self._unmapped.count("openai_chat: a second choice")
                continue
            if delta := choice.get("delta"):
                self._delta(delta, out)
            if reason := choice.get("finish_reason"):
                if choice.get("error"):
                    raise ReportedError(choice)
                self._finish_reason = reason
                self._usage = choice.get("usage") or self._usage  # Moonshot

    def finish(self, out: list[ModelEvent]) -> None:
        if self._finish_reason is None:
            return
        self._close(out)
        reason = _FINISH_REASONS.get(self._finish_reason, "other")
        if self._refused:
            reason = "content-filter"
        elif self._calls and reason == "stop":  # some services say so although they call
            reason = "tool-calls"
        details = self._details.whole()
        if details and not self._calls:
            self._unmapped.count("openai_chat: delta.reasoning_details without a call")
        kept = {"reasoning_details": details} if details else {}
        self._calls.finish(out, cut_short=reason == "length", kept=kept)
        out.append(ModelFinish(reason, _total(self._usage)))

    def _delta(self, delta: Mapping[str, Any], out: list[ModelEvent]) -> None:
        for field in REASONING_FIELDS:
            if thought := delta.get(field):
                self._think(thought, field, out)
                break
        content = delta.get("content")
        if content:
            if isinstance(content, str):
                self._say(TextStart, content, out)
            else:
                self._blocks(content, out)
        if refusal := delta.get("refusal"):
            self._say(TextStart, refusal, out, refuses=True)
        if not delta.keys() <= _COMMON:
            self._rarities(delta, out)
        if calls := delta.get("tool_calls"):
            self._close(out)
            for call in calls:
                self._calls.read(call, out)

    def _rarities(self, delta: Mapping[str, Any], out: list[ModelEvent]) -> None:
        """What few services send."""
        for field, value in delta.items():
            if field in _COMMON or not value:
                continue
            if field == "annotations":
                self._annotations(value, out)
            elif field == "images":
                self._images(value, out)
            elif field == "reasoning_details":
                self._details.read(value)
            else:
                self._unmapped.count(f"openai_chat: delta.{field}")

    def _blocks(self, blocks: Iterable[Mapping[str, Any]], out: list[ModelEvent]) -> None:
        """Mistral's thinking models send `content` as a list."""
        for block in blocks:
            if block["type"] == "text":
                self._say(TextStart, block["text"], out)
            elif block["type"] == "thinking":
                self._say(ReasoningStart, "".join(piece.get("text", "") for piece in block["thinking"]), out)
            else:
                self._unmapped.count(f"openai_chat: content {block['type']}")

    def _think(self, thought: str, field: str, out: list[ModelEvent]) -> None:
        if thought == self._dialect.thinking_filler:
            if self._filled:
                return
            self._filled = True
        self._reasoning_field = field
        self._say(ReasoningStart, thought, out)

    def _say(
        self, start: type[TextStart | ReasoningStart], text: str, out: list[ModelEvent], *, refuses: bool = False
    ) -> None:
        if type(self._part) is not start or (refuses and not self._refused):
            if not text:
                return
            self._close(out)
            number, self._parts = self._parts, self._parts + 1
            is_text = start is TextStart
            self._part = TextStart(f"text-{number}", refuses) if is_text else ReasoningStart(f"reasoning-{number}")
            self._refused = self._refused or refuses
            out.append(self._part)
        assert self._part is not None
        delta = TextDelta if start is TextStart else ReasoningDelta
        out.append(delta(self._part.id, text))

    def _close(self, out: list[ModelEvent]) -> None:
        if isinstance(self._part, TextStart):
            out.append(TextEnd(self._part.id))
        elif isinstance(self._part, ReasoningStart):
            comes_back = self._reasoning_field is not None and self._dialect.reasoning_back != "never"
            metadata = {self._provider: {"field": self._reasoning_field}} if comes_back else None
            out.append(ReasoningEnd(self._part.id, metadata))
        self._part = None

    def _cite(self, urls: Iterable[Any], results: Iterable[Mapping[str, Any]], out: list[ModelEvent]) -> None:
        """Every chunk repeats both lists; the second one has titles."""
        titles = {result.get("url"): result.get("title") for result in results}
        for url in (*urls, *titles):
            self._sources.page(url, titles.get(url), out)

    def _annotations(self, annotations: Iterable[Mapping[str, Any]], out: list[ModelEvent]) -> None:
        """Citations of OpenAI's search models, and OpenRouter's."""
        for annotation in annotations:
            cited = annotation.get("url_citation")
            if cited is None:
                self._unmapped.count(f"openai_chat: annotation {annotation.get('type')}")
            else:
                self._sources.page(cited.get("url"), cited.get("title"), out)

    def _images(self, images: Iterable[Mapping[str, Any]], out: list[ModelEvent]) -> None:
        for image in images:
            url = image["image_url"]["url"]
            is_whole = _IMAGE_URL.match(url)
            if is_whole is None:  # nothing is ever fetched
                self._unmapped.count("openai_chat: an image that is only an address")
                continue
            self._close(out)
            out.append(GeneratedFile(is_whole[1], url))


def _total(usage: Mapping[str, Any]) -> Usage:
    """Some leave thinking out of `completion_tokens` (xAI, Gemini), but never out of the total."""
    sent = usage.get("prompt_tokens_details") or {}
    said = usage.get("completion_tokens_details") or {}
    input_tokens = usage.get("prompt_tokens") or 0
    total = usage.get("total_tokens") or 0
    return Usage(
        input_tokens=input_tokens,
        output_tokens=max(usage.get("completion_tokens") or 0, total - input_tokens),
        reasoning_tokens=_first(said.get("reasoning_tokens"), usage.get("reasoning_tokens")),
        cache_read_tokens=_first(
            sent.get("cached_tokens"), usage.get("cached_tokens"), usage.get("prompt_cache_hit_tokens")
        ),
        cache_write_tokens=sent.get("cache_write_tokens"),
    )


def _first(*figures: int | None) -> int | None:
    return next((figure for figure in figures if figure is not None), None)
