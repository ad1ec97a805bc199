"""An answer in Anthropic's Messages format (`RawMessageStreamEvent`, anthropic 2) → our events.

Left out and counted: `compaction`, `fallback` and `container_upload` blocks, which only come to those who ask for them
and we never do, and whatever is newer than this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    ToolInputError,
    ToolInputStart,
)
from app.core.model import ModelRequest, ToolCall
from app.providers.anthropic.blocks import (
    SERVER_CALLS,
    call_metadata,
    is_result,
    output,
    result_metadata,
    tool_input,
    tool_name,
)
from app.providers.anthropic.sources import Sources
from app.providers.anthropic.usage import total
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

_PAUSED = "The service paused its search. Ask it to go on."

_CALLS = SERVER_CALLS | {"tool_use"}


@dataclass(slots=True)
class _Block:
    index: Any
    kind: str
    start: dict[str, Any]
    begun: bool = False
    """Its first event is out. Text begins with its first word: an empty block leaves nothing behind."""
    signature: str = ""
    pieces: list[str] = field(default_factory=list)
    citations: list[Any] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.index)


class AnthropicAnswer:
    def __init__(self, request: ModelRequest, unmapped: Unmapped) -> None:
        self._unmapped = unmapped
        self._sources = Sources(request)
        self._open: dict[Any, _Block] = {}
        self._said: _Block | None = None
        """A text whose block is at its end: what it cites may still come."""
        answers = [message for message in request.messages if message.role == "assistant"]
        self._calls = {
            item.id: later
            for later, message in enumerate(reversed(answers), 1)
            for item in message.content
            if isinstance(item, ToolCall)
        }
        """Calls that a result may belong to, and how many answers ago they were made: a server tool waits for calls of
        ours that were made beside its own."""
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None
        self._explanation: str | None = None

    def read(self, chunk: Any, out: list[ModelEvent]) -> None:
        kind = chunk["type"]
        if kind == "content_block_delta":
            self._delta(chunk["index"], chunk["delta"], out)
        elif kind == "content_block_start":
            self._start(chunk["index"], chunk["content_block"], out)
        elif kind == "content_block_stop":
            self._stop(self._open.pop(chunk["index"]), out)
        elif kind == "message_start":
            self._message(chunk["message"], out)
        elif kind == "message_delta":
            delta = chunk["delta"]
            self._stop_reason = delta.get("stop_reason") or self._stop_reason
            self._explanation = (delta.get("stop_details") or {}).get("explanation") or self._explanation
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
        self._end_text(out)
        self._sources.rest(out)
        reason = _FINISH_REASONS.get(self._stop_reason, "other")
        explanation = _PAUSED if self._stop_reason == "pause_turn" else self._explanation
        out.append(ModelFinish(reason, total(self._usage), explanation))

    def _message(self, message: dict[str, Any], out: list[ModelEvent]) -> None:
        """`message_start`; while a server tool runs code it may hold whole blocks, and even the end."""
        self._count(message.get("usage"))
        self._stop_reason = message.get("stop_reason")
        for number, block in enumerate(message.get("content") or ()):
            self._start(f"start-{number}", block, out)
            self._stop(self._open.pop(f"start-{number}"), out)

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        """Figures are totals so far: a later one replaces an earlier one."""
        self._usage.update({name: figure for name, figure in (usage or {}).items() if figure is not None})

    def _start(self, index: Any, start: dict[str, Any], out: list[ModelEvent]) -> None:
        if (unfinished := self._open.pop(index, None)) is not None:  # the stream begins again
            self._stop(unfinished, out, cut=True)
        self._end_text(out)
        kind = start["type"]
        block = self._open[index] = _Block(index, kind, start)
        if kind == "text":
            for citation in start.get("citations") or ():
                self._cite(block, citation, out)
            self._text(block, start.get("text"), out)
        elif kind == "thinking":
            out.append(ReasoningStart(block.id))
            if start.get("thinking"):
                out.append(ReasoningDelta(block.id, start["thinking"]))
            block.signature = start.get("signature") or ""
        elif kind == "redacted_thinking":
            out.append(ReasoningStart(block.id))
        elif kind in _CALLS:
            dynamic, ran = kind == "mcp_tool_use", kind in SERVER_CALLS
            out.append(ToolInputStart(start["id"], tool_name(start), dynamic, ran))
        elif is_result(kind):
            self._result(start, out)
        else:
            self._unmapped.count(f"anthropic: block {kind}")

    def _delta(self, index: Any, delta: dict[str, Any], out: list[ModelEvent]) -> None:
        kind = delta["type"]
        said = self._said
        block = said if said is not None and said.index == index else self._open[index]
        if kind == "text_delta" and block.kind == "text":
            self._text(block, delta["text"], out)
        elif kind == "thinking_delta" and block.kind == "thinking":
            if delta["thinking"]:
                out.append(ReasoningDelta(block.id, delta["thinking"]))
        elif kind == "signature_delta" and block.kind == "thinking":
            block.signature = delta["signature"]
        elif kind == "input_json_delta" and block.kind in _CALLS:
            if delta["partial_json"]:
                block.pieces.append(delta["partial_json"])
                out.append(ToolInputDelta(block.start["id"], delta["partial_json"]))
        elif kind == "citations_delta" and block.kind == "text":
            self._cite(block, delta["citation"], out)
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

    def _cite(self, block: _Block, citation: dict[str, Any], out: list[ModelEvent]) -> None:
        block.citations.append(citation)
        self._sources.cited(citation, out)

    def _stop(self, block: _Block, out: list[ModelEvent], *, cut: bool = False) -> None:
        if block.kind == "text":
            self._end_text(out)
            self._said = block
        elif block.kind == "thinking":
            metadata = {"anthropic": {"signature": block.signature}} if block.signature else None
            out.append(ReasoningEnd(block.id, metadata))
        elif block.kind == "redacted_thinking":
            out.append(ReasoningEnd(block.id, {"anthropic": {"redactedData": block.start["data"]}}))
        elif block.kind in _CALLS:
            self._call(block, out, cut=cut)

    def _end_text(self, out: list[ModelEvent]) -> None:
        block, self._said = self._said, None
        if block is not None and block.begun:
            metadata = {"anthropic": {"citations": block.citations}} if block.citations else None
            out.append(TextEnd(block.id, metadata))

    def _call(self, block: _Block, out: list[ModelEvent], *, cut: bool) -> None:
        """A call at its end: its input came in pieces, or with the start. One that was `cut` off must not run."""
        start = block.start
        call: ModelEvent
        if cut:
            call = ToolInputError(start["id"], tool_name(start), "".join(block.pieces), "The call was cut off.")
        elif block.pieces or not start.get("input"):
            (call,) = finished_call(start["id"], tool_name(start), "".join(block.pieces))
        else:
            call = ToolInputAvailable(start["id"], tool_name(start), start["input"])
        if isinstance(call, ToolInputAvailable):
            call = replace(call, input=tool_input(start, call.input))
        assert isinstance(call, ToolInputAvailable | ToolInputError)
        dynamic, ran = block.kind == "mcp_tool_use", block.kind in SERVER_CALLS
        out.append(replace(call, dynamic=dynamic, provider_executed=ran, provider_metadata=call_metadata(start)))
        self._calls[start["id"]] = 0

    def _result(self, block: dict[str, Any], out: list[ModelEvent]) -> None:
        if block["tool_use_id"] not in self._calls:
            self._unmapped.count(f"anthropic: {block['type']} without a call")
            return
        kept = result_metadata(block, self._calls[block["tool_use_id"]])
        out.append(replace(output(block), provider_metadata=kept))
        self._sources.found(block, out)
