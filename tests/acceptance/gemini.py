"""Google's Gemini: how a scripted answer streams, and how it must come back."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from tests.acceptance.said import Said, pieces
from tests.upstream import chat_frames


def frames(said: Said, *, finish: str | None = None) -> list[bytes]:
    """Each call comes whole and without an id; only the first is signed. An answer's signature comes on empty text."""
    parts: list[dict[str, Any]] = []
    if said.thought:
        parts += [{"text": piece, "thought": True} for piece in pieces(said.thought)]
    if said.text:
        parts += [{"text": piece} for piece in pieces(said.text)]
    for place, call in enumerate(said.calls):
        signed = {"thoughtSignature": signature(said)} if place == 0 else {}
        parts.append({"functionCall": {"name": call.name, "args": call.arguments}, **signed})
    if said.text and not said.calls:
        parts.append({"text": "", "thoughtSignature": signature(said)})
    chunks = [{"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]} for part in parts]
    tokens = said.tokens
    usage = {
        "promptTokenCount": tokens.sent,
        "cachedContentTokenCount": tokens.read,
        "candidatesTokenCount": tokens.said - tokens.thought,
        "thoughtsTokenCount": tokens.thought,
        "totalTokenCount": tokens.sent + tokens.said,
    }
    end = {"candidates": [{"finishReason": finish or "STOP", "index": 0}], "usageMetadata": usage}
    return chat_frames([*chunks, end], done=False)


def signature(said: Said) -> str:
    return base64.b64encode(f"Gemini signed {said.number}".encode()).decode()


def prompt(body: Mapping[str, Any]) -> list[Any]:
    parts = [(content["role"], part) for content in body["contents"] for part in content["parts"]]
    return [*body.get("tools", ()), body.get("systemInstruction"), *parts]


def sent_back(said: Said, outputs: Sequence[Any], ids: Sequence[str] = ()) -> list[Any]:
    """`ids`: those that the server gave the calls, which have none here."""
    parts: list[dict[str, Any]] = []
    if said.text:
        parts.append({"text": said.text})
    if said.text and not said.calls:
        parts.append({"text": "", "thoughtSignature": signature(said)})
    for place, (call, call_id) in enumerate(zip(said.calls, ids, strict=True)):
        signed = {"thoughtSignature": signature(said)} if place == 0 else {}
        parts.append({"functionCall": {"id": call_id, "name": call.name, "args": call.arguments}, **signed})
    results = [
        {"functionResponse": {"id": call_id, "name": call.name, "response": {"output": output}}}
        for call, call_id, output in zip(said.calls, ids, outputs, strict=True)
    ]
    return [("model", part) for part in parts] + [("user", result) for result in results]


def question(text: str) -> Any:
    return "user", {"text": text}
