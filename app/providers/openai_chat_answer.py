"""An answer in OpenAI's chat completions format (`chat.completion.chunk`) and its dialects → our events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.core.events import (
    FinishReason,
    ModelEvent,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceUrl,
    TextDelta,
    TextEnd,
    TextStart,
    Usage,
)
from app.providers.failures import ReportedError
from app.providers.tool_calls import ToolCalls, new_call_id
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

_KNOWN = frozenset({"role", "content", "refusal", "reasoning", "reasoning_content", "tool_calls"})


class OpenAIChatAnswer:
    def __init__(self, unmapped: Unmapped, *, citations: bool, new_id: Callable[[], str] = new_call_id) -> None:
        """`citations`: the service lists its sources at the top of its chunks."""
        self._unmapped = unmapped
        self._cites = citations
        self._part: TextStart | ReasoningStart | None = None
        """The part that is open: one at a time."""
        self._parts = 0
        self._calls = ToolCalls(new_id)
        self._sources: set[str] = set()
        self._usage: Mapping[str, Any] = {}
        self._finish_reason: str | None = None
        self._refused = False

    def read(self, chunk: Any, out: list[ModelEvent]) -> None:
        if chunk.get("error"):
            raise ReportedError(chunk)
        if usage := chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage"):
            self._usage = usage  # a total so far: the last one counts
        if self._cites and (citations := chunk.get("citations")):
            self._cite(citations, chunk.get("search_results") or (), out)
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                self._unmapped.count("openai_chat: a second choice")
                continue
            if delta := choice.get("delta"):
                self._delta(delta, out)
            if reason := choice.get("finish_reason"):
                self._finish_reason = reason

    def finish(self, out: list[ModelEvent]) -> None:
        if self._finish_reason is None:
            return
        self._close(out)
        called = bool(self._calls)
        self._calls.finish(out)
        reason = _FINISH_REASONS.get(self._finish_reason, "other")
        if self._refused:
            reason = "content-filter"
        elif called and reason == "stop":  # some services say so although they call
            reason = "tool-calls"
        out.append(ModelFinish(reason, _total(self._usage)))

    def _delta(self, delta: dict[str, Any], out: list[ModelEvent]) -> None:
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if thought:
            self._say(ReasoningStart, thought, out)
        content = delta.get("content")
        if content:
            if isinstance(content, str):
                self._say(TextStart, content, out)
            else:
                self._blocks(content, out)
        if refusal := delta.get("refusal"):
            self._refused = True
            self._say(TextStart, refusal, out)
        if calls := delta.get("tool_calls"):
            self._close(out)
            for call in calls:
                self._calls.read(call, out)
        if not delta.keys() <= _KNOWN:
            for field in delta.keys() - _KNOWN:
                if delta[field]:
                    self._unmapped.count(f"openai_chat: delta.{field}")

    def _blocks(self, blocks: Iterable[Mapping[str, Any]], out: list[ModelEvent]) -> None:
        """Mistral's thinking models send `content` as a list."""
        for block in blocks:
            if block["type"] == "text":
                self._say(TextStart, block["text"], out)
            elif block["type"] == "thinking":
                self._say(ReasoningStart, "".join(piece["text"] for piece in block["thinking"]), out)
            else:
                self._unmapped.count(f"openai_chat: content {block['type']}")

    def _say(self, start: type[TextStart | ReasoningStart], text: str, out: list[ModelEvent]) -> None:
        if type(self._part) is not start:
            if not text:
                return
            self._close(out)
            kind = "text" if start is TextStart else "reasoning"
            self._part = start(f"{kind}-{self._parts}")
            self._parts += 1
            out.append(self._part)
        assert self._part is not None
        delta = TextDelta if start is TextStart else ReasoningDelta
        out.append(delta(self._part.id, text))

    def _close(self, out: list[ModelEvent]) -> None:
        if isinstance(self._part, TextStart):
            out.append(TextEnd(self._part.id))
        elif isinstance(self._part, ReasoningStart):
            out.append(ReasoningEnd(self._part.id))
        self._part = None

    def _cite(self, urls: Iterable[str], results: Iterable[Mapping[str, Any]], out: list[ModelEvent]) -> None:
        """Every chunk repeats the whole list."""
        for url in urls:
            if url in self._sources:
                continue
            self._sources.add(url)
            if not url.startswith(("http://", "https://")):
                self._unmapped.count("openai_chat: a source that is no web address")
                continue
            title = next((result.get("title") for result in results if result.get("url") == url), None)
            out.append(SourceUrl(f"source-{len(self._sources)}", url, title))


def _total(usage: Mapping[str, Any]) -> Usage:
    sent = usage.get("prompt_tokens_details") or {}
    said = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("prompt_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or 0,
        reasoning_tokens=said.get("reasoning_tokens"),
        cache_read_tokens=sent.get("cached_tokens"),
    )
