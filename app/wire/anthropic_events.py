"""An answer on its way, as Anthropic's event stream has it: block after block, each with its start, its deltas and its
stop.

Services of other formats may write several calls at once, or think and speak at the same time. Here one block is open
at a time: what comes for another one waits until its turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.core.errors import AppError, ProviderBroken
from app.core.events import (
    Answering,
    CallWarning,
    ModelEvent,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    Status,
    TextDelta,
    TextEnd,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
    Verbatim,
)
from app.core.model import ToolCall, ToolResult
from app.wire.anthropic_answer import Head, ending, kept_with_call, server_blocks, to_usage
from app.wire.anthropic_signatures import redacted_in, signature_of
from app.wire.api_errors import error_json
from app.wire.json import dump_json
from app.wire.sse import HEADERS, MEDIA_TYPE

PING = b'event: ping\ndata: {"type":"ping"}\n\n'

_NO_USAGE = {"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
"""Services of other formats count at the end."""


@dataclass(slots=True)
class _Block:
    start: Mapping[str, Any]
    delta: str
    """The type of its deltas."""
    key: str
    """Under which their text stands."""
    waiting: list[Mapping[str, Any]] = field(default_factory=list)
    ended: bool = False
    before: bytes = b""
    """Of a delta, what stands before its text; empty until the block is open."""


class MessageEncoder:
    """The events of one model call → the events of a message."""

    media_type = MEDIA_TYPE
    headers = HEADERS
    keep_alive = PING

    def __init__(self, head: Head, notes: Sequence[CallWarning], request_id: str) -> None:
        self._head = head
        self._warnings = list(notes)
        self._request_id = request_id
        self._begun = False
        self._index = -1
        """Of the block that was opened last."""
        self._blocks: dict[str, _Block] = {}
        """By kind and id: the first is open, the others wait."""
        self._with_arguments: set[str] = set()
        self._calls = False
        self._number = 0
        """Of blocks that come whole."""
        self._is_relayed = False
        """A router has chosen a service of this format."""

    def encode(self, events: Sequence[ModelEvent]) -> bytes:
        return b"".join(map(self._encode, events))

    def fail(self, error: AppError) -> bytes:
        """No `message_stop`: SDKs raise the error, and whoever does not look misses the end mark."""
        return _event(error_json(error, self._request_id))

    def _encode(self, event: ModelEvent) -> bytes:
        match event:
            case TextDelta(part, delta):
                key = f"text {part}"
                return (b"" if key in self._blocks else self._begin_text(key)) + self._say(key, delta)
            case ReasoningDelta(part, delta):
                key = f"thought {part}"
                return (b"" if key in self._blocks else self._begin_thought(key)) + self._say(key, delta)
            case ToolInputDelta(call_id, delta):
                self._with_arguments.add(call_id)
                return self._say(f"call {call_id}", delta)
            case CallWarning():
                self._warnings.append(event)
            case Answering():
                self._head = replace(self._head, model=event.model)
            case Status():
                pass
            case ModelFinish():
                return b"" if self._is_relayed else self._finish(event)
            case Verbatim(data):
                self._is_relayed = True
                return data
            case _:
                return self._encode_other(event)
        return b""

    def _encode_other(self, event: ModelEvent) -> bytes:
        match event:
            case TextEnd(part, metadata):
                cited = (metadata or {}).get("anthropic", {}).get("citations") or ()
                return self._end(f"text {part}", [{"type": "citations_delta", "citation": each} for each in cited])
            case ReasoningEnd():
                return self._end_thought(event)
            case ToolInputStart(call_id, name, provider_executed=False):
                return self._begin_call(call_id, name)
            case ToolInputAvailable() | ToolInputError():
                return self._end_call(event)
            case ToolOutputAvailable(preliminary=False) | ToolOutputError():
                result = ToolResult(event.tool_call_id, "", None, provider_metadata=event.provider_metadata)
                return b"".join(self._whole(block) for block in server_blocks(result))
            case _:
                return b""  # sources, which stand in the text, and what the format has no block for

    def _begin_text(self, key: str) -> bytes:
        return self._begin(key, _Block({"type": "text", "text": ""}, "text_delta", "text"))

    def _begin_thought(self, key: str) -> bytes:
        start = {"type": "thinking", "thinking": "", "signature": ""}
        return self._begin(key, _Block(start, "thinking_delta", "thinking"))

    def _end_thought(self, event: ReasoningEnd) -> bytes:
        key, metadata = f"thought {event.id}", event.provider_metadata
        if (data := redacted_in(metadata)) is not None:
            return self._end(key, ()) + self._whole({"type": "redacted_thinking", "data": data})
        signature = signature_of(metadata)
        if not signature:
            return self._end(key, ())
        out = b"" if key in self._blocks else self._begin_thought(key)
        return out + self._end(key, [{"type": "signature_delta", "signature": signature}])

    def _begin_call(self, call_id: str, name: str) -> bytes:
        self._calls = True
        start = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        return self._begin(f"call {call_id}", _Block(start, "input_json_delta", "partial_json"))

    def _end_call(self, event: ToolInputAvailable | ToolInputError) -> bytes:
        call_id, key = event.tool_call_id, f"call {event.tool_call_id}"
        if event.provider_executed:
            call = ToolCall(call_id, event.tool_name, event.input, True, event.provider_metadata)
            return b"".join(self._whole(block) for block in server_blocks(call))
        out = b"" if key in self._blocks else self._begin_call(call_id, event.tool_name)
        if call_id not in self._with_arguments:
            out += self._say(key, event.input if isinstance(event.input, str) else dump_json(event.input).decode())
        out += self._end(key, ())
        return out + b"".join(self._whole(block) for block in kept_with_call(call_id, event.provider_metadata))

    def _finish(self, finish: ModelFinish) -> bytes:
        out = self._start()
        for key in list(self._blocks):
            out += self._end(key, ())
        try:
            delta = ending(finish, calls=self._calls)
        except ProviderBroken as error:
            return out + self.fail(error)
        out += _event({"type": "message_delta", "delta": delta, "usage": to_usage(finish.usage)})
        return out + _event({"type": "message_stop"})

    # Blocks

    def _start(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        message = {**self._head.to_wire(self._warnings), "content": [], "stop_reason": None, "stop_sequence": None}
        return _event({"type": "message_start", "message": {**message, "usage": _NO_USAGE}})

    def _whole(self, start: Mapping[str, Any]) -> bytes:
        """A block that needs no deltas."""
        self._number += 1
        key = f"whole {self._number}"
        return self._begin(key, _Block(start, "", "")) + self._end(key, ())

    def _begin(self, key: str, block: _Block) -> bytes:
        self._blocks[key] = block
        return self._start() + (self._open(block) if len(self._blocks) == 1 else b"")

    def _open(self, block: _Block) -> bytes:
        """The first of all blocks begins, with what has come for it already."""
        self._index += 1
        out = _event({"type": "content_block_start", "index": self._index, "content_block": block.start})
        block.before = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":' % self._index
        )
        for delta in block.waiting:
            out += block.before + dump_json(delta) + b"}\n\n"
        return out

    def _say(self, key: str, text: str) -> bytes:
        """A delta of a block; empty where there is no such block, or it waits."""
        block = self._blocks.get(key)
        if block is None:
            return b""
        if block.before:
            return b'%b{"type":"%b","%b":%b}}\n\n' % (
                block.before, block.delta.encode(), block.key.encode(), dump_json(text),
            )  # fmt: skip
        block.waiting.append({"type": block.delta, block.key: text})
        return b""

    def _end(self, key: str, last: Sequence[Mapping[str, Any]]) -> bytes:
        """A block has its last deltas. When it is the open one, those behind it have their turn."""
        if (ended := self._blocks.get(key)) is None:
            return b""
        ended.ended = True
        out = b""
        if ended.before:
            out = b"".join(ended.before + dump_json(delta) + b"}\n\n" for delta in last)
        else:
            ended.waiting += last
        for first, block in list(self._blocks.items()):
            if not block.before:
                out += self._open(block)
            if not block.ended:
                break
            out += _event({"type": "content_block_stop", "index": self._index})
            del self._blocks[first]
        return out


class RelayEncoder:
    """What a service of the same format says, as it comes."""

    media_type = MEDIA_TYPE
    headers = HEADERS
    keep_alive = PING

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def encode(self, events: Sequence[ModelEvent]) -> bytes:
        return b"".join([event.data for event in events if type(event) is Verbatim])

    def fail(self, error: AppError) -> bytes:
        return _event(error_json(error, self._request_id))


def _event(value: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), dump_json(value))
