"""An answer in Anthropic's Messages format (`RawMessageStreamEvent`, anthropic 2) → our events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.events import (
    FinishReason,
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
    ToolInputStart,
    Usage,
)
from app.providers.failures import ReportedError
from app.providers.tool_calls import finished_call
from app.providers.unmapped import Unmapped

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool-calls",
    "refusal": "content-filter",
}


@dataclass(slots=True)
class _Block:
    kind: str
    id: str
    start: dict[str, Any]
    begun: bool = False
    """Its first event is out. Text begins with its first word: an empty block leaves nothing behind."""
    signature: str = ""
    pieces: list[str] = field(default_factory=list)


class AnthropicAnswer:
    def __init__(self, unmapped: Unmapped) -> None:
        self._unmapped = unmapped
        self._open: dict[Any, _Block] = {}
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None

    def read(self, chunk: Any, out: list[ModelEvent]) -> None:
        kind = chunk["type"]
        if kind == "content_block_delta":
            self._delta(self._open[chunk["index"]], chunk["delta"], out)
        elif kind == "content_block_start":
            self._start(chunk["index"], chunk["content_block"], out)
        elif kind == "content_block_stop":
            self._stop(self._open.pop(chunk["index"]), out)
        elif kind == "message_start":
            self._message(chunk["message"], out)
        elif kind == "message_delta":
            self._stop_reason = chunk["delta"].get("stop_reason") or self._stop_reason
            self._count(chunk.get("usage"))
        elif kind == "message_stop":
            self._stop_reason = self._stop_reason or "unknown"
            self.finish(out)
        elif kind == "error":
            raise ReportedError(chunk)
        elif kind != "ping":
            self._unmapped.count(f"anthropic: event {kind}")

    def finish(self, out: list[ModelEvent]) -> None:
        if self._stop_reason is None:
            return
        for block in self._open.values():
            self._stop(block, out)
        self._open.clear()
        out.append(ModelFinish(_FINISH_REASONS.get(self._stop_reason, "other"), self._total()))

    def _message(self, message: dict[str, Any], out: list[ModelEvent]) -> None:
        """`message_start`; after a server tool it may hold whole blocks, and even the end."""
        self._count(message.get("usage"))
        self._stop_reason = message.get("stop_reason")
        for number, block in enumerate(message.get("content") or ()):
            key = f"start-{number}"
            self._start(key, block, out)
            self._stop(self._open.pop(key), out)

    def _start(self, index: Any, start: dict[str, Any], out: list[ModelEvent]) -> None:
        kind = start["type"]
        block = self._open[index] = _Block(kind, str(index), start)
        if kind == "text":
            self._text(block, start.get("text"), out)
        elif kind == "thinking":
            out.append(ReasoningStart(block.id))
            if start.get("thinking"):
                out.append(ReasoningDelta(block.id, start["thinking"]))
            block.signature = start.get("signature") or ""
        elif kind == "redacted_thinking":
            out.append(ReasoningStart(block.id))
        elif kind == "tool_use":
            out.append(ToolInputStart(start["id"], start["name"]))
        else:
            self._unmapped.count(f"anthropic: block {kind}")

    def _delta(self, block: _Block, delta: dict[str, Any], out: list[ModelEvent]) -> None:
        kind = delta["type"]
        if kind == "text_delta" and block.kind == "text":
            self._text(block, delta["text"], out)
        elif kind == "thinking_delta" and block.kind == "thinking":
            if delta["thinking"]:
                out.append(ReasoningDelta(block.id, delta["thinking"]))
        elif kind == "signature_delta" and block.kind == "thinking":
            block.signature = delta["signature"]
        elif kind == "input_json_delta" and block.kind == "tool_use":
            if delta["partial_json"]:
                block.pieces.append(delta["partial_json"])
                out.append(ToolInputDelta(block.start["id"], delta["partial_json"]))
        else:
            self._unmapped.count(f"anthropic: {kind} in {block.kind}")

    @staticmethod
    def _text(block: _Block, text: str | None, out: list[ModelEvent]) -> None:
        if not text:
            return
        if not block.begun:
            block.begun = True
            out.append(TextStart(block.id))
        out.append(TextDelta(block.id, text))

    @staticmethod
    def _stop(block: _Block, out: list[ModelEvent]) -> None:
        if block.kind == "text" and block.begun:
            out.append(TextEnd(block.id))
        elif block.kind == "thinking":
            metadata = {"anthropic": {"signature": block.signature}} if block.signature else None
            out.append(ReasoningEnd(block.id, metadata))
        elif block.kind == "redacted_thinking":
            out.append(ReasoningEnd(block.id, {"anthropic": {"redactedData": block.start["data"]}}))
        elif block.kind == "tool_use":
            start = block.start
            if block.pieces or not start.get("input"):
                out += finished_call(start["id"], start["name"], "".join(block.pieces))
            else:
                out.append(ToolInputAvailable(start["id"], start["name"], start["input"]))

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        """Figures are totals so far: a later one replaces an earlier one."""
        self._usage.update({name: figure for name, figure in (usage or {}).items() if figure is not None})

    def _total(self) -> Usage:
        usage = self._usage
        read = usage.get("cache_read_input_tokens")
        written = usage.get("cache_creation_input_tokens")
        return Usage(
            input_tokens=usage.get("input_tokens", 0) + (read or 0) + (written or 0),
            output_tokens=usage.get("output_tokens", 0),
            reasoning_tokens=usage.get("output_tokens_details", {}).get("thinking_tokens"),
            cache_read_tokens=read,
            cache_write_tokens=written,
        )
