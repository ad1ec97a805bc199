"""Anthropic's Messages: how a scripted answer streams, and how it must come back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.acceptance.said import Called, Said, as_text, pieces
from tests.upstream import anthropic_frames


def frames(said: Said, *, finish: str | None = None) -> list[bytes]:
    """Calls come one after the other, their arguments bit by bit."""
    tokens = said.tokens
    usage = {
        "input_tokens": tokens.sent - tokens.read - tokens.written,
        "cache_read_input_tokens": tokens.read,
        "cache_creation_input_tokens": tokens.written,
        "output_tokens": 1,
    }
    message = {"id": f"msg_{said.number}", "type": "message", "role": "assistant", "model": "m", "content": []}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}},
        {"type": "ping"},
    ]
    for index, (start, deltas) in enumerate(_blocks(said)):
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    reason = finish or ("tool_use" if said.calls else "end_turn")
    ends = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": tokens.said}}
    return anthropic_frames([*events, ends, {"type": "message_stop"}])


def whole(blocks: Sequence[Mapping[str, Any]], finish: str) -> list[bytes]:
    """An answer of blocks that come whole."""
    message = {
        "id": "msg_1",
        "content": blocks,
        "stop_reason": finish,
        "usage": {"input_tokens": 9, "output_tokens": 9},
    }
    return anthropic_frames([{"type": "message_start", "message": message}, {"type": "message_stop"}])


def _blocks(said: Said) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if said.thought:
        thoughts = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(said.thought)]
        signed = {"type": "signature_delta", "signature": signature(said)}
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, [*thoughts, signed]))
    if said.text:
        texts = [{"type": "text_delta", "text": piece} for piece in pieces(said.text)]
        blocks.append(({"type": "text", "text": ""}, texts))
    for call in said.calls:
        arguments = ["", *pieces(json.dumps(call.arguments))]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in arguments]
        blocks.append(({"type": "tool_use", "id": call_id(call), "name": call.name, "input": {}}, deltas))
    return blocks


def signature(said: Said) -> str:
    return base64.b64encode(f"Anthropic signed {said.number}".encode()).decode()


def call_id(call: Called) -> str:
    return f"toolu_01AbCdEfGh{call.number:03}"


def prompt(body: Mapping[str, Any]) -> list[Any]:
    """The request as a row, in the order in which the service reads it."""
    blocks = [(message["role"], block) for message in body["messages"] for block in message["content"]]
    row = [*body.get("tools", ()), *body.get("system", ()), *blocks]
    return [_unmarked(item) if isinstance(item, Mapping) else (item[0], _unmarked(item[1])) for item in row]


def _unmarked(block: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != "cache_control"}


def sent_back(said: Said, outputs: Sequence[Any], ids: Sequence[str] = ()) -> list[Any]:
    """What stands in the next request for the answer and the outputs of its tools."""
    blocks: list[dict[str, Any]] = []
    if said.thought:
        blocks.append({"type": "thinking", "thinking": said.thought, "signature": signature(said)})
    if said.text:
        blocks.append({"type": "text", "text": said.text})
    for call in said.calls:
        blocks.append({"type": "tool_use", "id": call_id(call), "name": call.name, "input": call.arguments})
    results = [
        {"type": "tool_result", "tool_use_id": call_id(call), "content": as_text(output)}
        for call, output in zip(said.calls, outputs, strict=True)
    ]
    return [("assistant", block) for block in blocks] + [("user", result) for result in results]


def question(text: str) -> Any:
    return "user", {"type": "text", "text": text}
