"""OpenAI's Responses: how a scripted answer streams, and how it must come back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.acceptance.said import Called, Said, as_text, pieces
from tests.upstream import anthropic_frames


def frames(said: Said, *, finish: str | None = None) -> list[bytes]:
    """Calls begin together, and their arguments come in turns. `finish`: the reason of an incomplete answer."""
    made = {"id": f"resp_{said.number}", "object": "response", "model": "m", "status": "in_progress", "output": []}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": made}]
    index = 0
    if said.thought:
        events += _thinking(said)
        index += 1
    if said.text:
        events += _message(said, index)
        index += 1
    events += _calls(said, index, whole=finish is None)
    tokens = said.tokens
    usage = {
        "input_tokens": tokens.sent,
        "input_tokens_details": {"cached_tokens": tokens.read},
        "output_tokens": tokens.said,
        "output_tokens_details": {"reasoning_tokens": tokens.thought},
        "total_tokens": tokens.sent + tokens.said,
    }
    status = "completed" if finish is None else "incomplete"
    details = {} if finish is None else {"incomplete_details": {"reason": finish}}
    end = {**made, "status": status, **details, "usage": usage}
    return anthropic_frames([*events, {"type": f"response.{status}", "response": end}])


def thought_item(said: Said) -> dict[str, Any]:
    return {
        "type": "reasoning",
        "id": f"rs_{said.number}",
        "summary": [{"type": "summary_text", "text": said.thought}],
        "encrypted_content": f"T3BlbkFJ{said.number}",
    }


def call_id(call: Called) -> str:
    return f"call_QrStUvWxYz{call.number}"


def _thinking(said: Said) -> list[dict[str, Any]]:
    whole = thought_item(said)
    where = {"output_index": 0, "summary_index": 0}
    deltas = [
        {"type": "response.reasoning_summary_text.delta", **where, "delta": piece} for piece in pieces(said.thought)
    ]
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": {**whole, "summary": []}},
        {"type": "response.reasoning_summary_part.added", **where, "part": {"type": "summary_text", "text": ""}},
        *deltas,
        {"type": "response.output_item.done", "output_index": 0, "item": whole},
    ]


def _message(said: Said, index: int) -> list[dict[str, Any]]:
    item = {"type": "message", "id": f"msg_{said.number}", "role": "assistant", "phase": phase(said), "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    where = {"output_index": index, "content_index": 0}
    deltas = [{"type": "response.output_text.delta", **where, "delta": piece} for piece in pieces(said.text)]
    done = {**part, "text": said.text}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": item},
        {"type": "response.content_part.added", **where, "part": part},
        *deltas,
        {"type": "response.output_text.done", **where, "text": said.text},
        {"type": "response.content_part.done", **where, "part": done},
        {"type": "response.output_item.done", "output_index": index, "item": {**item, "content": [done]}},
    ]


def phase(said: Said) -> str:
    return "commentary" if said.calls else "final_answer"


def _calls(said: Said, index: int, *, whole: bool) -> list[dict[str, Any]]:
    items = [
        {"type": "function_call", "id": f"fc_{call.number}", "call_id": call_id(call), "name": call.name}
        for call in said.calls
    ]
    arguments = [json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":")) for call in said.calls]
    events: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "output_index": index + n, "item": {**item, "arguments": ""}}
        for n, item in enumerate(items)
    ]
    for piece in range(3):
        events += [
            {
                "type": "response.function_call_arguments.delta",
                "output_index": index + n,
                "delta": pieces(text)[piece],
            }
            for n, text in enumerate(arguments)
        ]
    if not whole:
        return events
    for n, (item, text) in enumerate(zip(items, arguments, strict=True)):
        done = {**item, "arguments": text, "status": "completed"}
        events.append({"type": "response.function_call_arguments.done", "output_index": index + n, "arguments": text})
        events.append({"type": "response.output_item.done", "output_index": index + n, "item": done})
    return events


def prompt(body: Mapping[str, Any]) -> list[Any]:
    return [*body.get("tools", ()), *body["input"]]


def sent_back(said: Said, outputs: Sequence[Any], ids: Sequence[str] = ()) -> list[Any]:
    items: list[dict[str, Any]] = []
    if said.thought:
        items.append(thought_item(said))
    if said.text:
        content = [{"type": "output_text", "text": said.text}]
        items.append({"type": "message", "role": "assistant", "content": content, "phase": phase(said)})
    for call in said.calls:
        arguments = json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))
        items.append({"type": "function_call", "call_id": call_id(call), "name": call.name, "arguments": arguments})
    items += [
        {"type": "function_call_output", "call_id": call_id(call), "output": as_text(output)}
        for call, output in zip(said.calls, outputs, strict=True)
    ]
    return items


def question(text: str) -> Any:
    return {"role": "user", "content": [{"type": "input_text", "text": text}]}
