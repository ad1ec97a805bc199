"""A conversation in Gemini's words: turns of the user and of the model that take turns, each a list of parts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from app.core.heal import ANSWER_ENDED
from app.core.messages import ProviderMetadata
from app.core.model import Content, Media, ModelMessage, Reasoning, Text, ToolCall, ToolResult
from app.providers.google.metadata import signed
from app.providers.google.server_tools import sent_back
from app.providers.metadata import own_metadata
from app.providers.unmapped import Unmapped

SKIP_SIGNATURE = "skip_thought_signature_validator"
"""Google's own word for calls that another model made: Gemini 3 refuses one without a signature (documented at
ai.google.dev/gemini-api/docs/thought-signatures)."""

_MEDIA_TYPES: Mapping[str, str] = {"audio/mpeg": "audio/mp3"}
"""Where Google calls it otherwise."""


def to_contents(messages: Iterable[ModelMessage], unmapped: Unmapped, *, sign_calls: bool) -> list[dict[str, Any]]:
    """The `contents` of a request.

    Args:
        messages: the history, in the order of `app.core.heal`.
        unmapped: counts what is left out.
        sign_calls: the model wants a signature on the first call of each turn.
    """
    contents: list[dict[str, Any]] = []
    for message in messages:
        role = "model" if message.role == "assistant" else "user"
        parts = [part for item in message.content for part in _parts(item, unmapped)]
        if not parts:
            # Another service's thinking and tools were all that it said, and results want an answer behind them.
            parts = [{"text": ANSWER_ENDED}]
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    if sign_calls:
        for turn in contents:
            _sign_first_call(turn["parts"])
    return contents


def _parts(item: Content, unmapped: Unmapped) -> list[dict[str, Any]]:
    match item:
        case Text(text, metadata):
            return _said({"text": text}, metadata)
        case Media(media_type, data):
            return [{"inlineData": {"mimeType": _MEDIA_TYPES.get(media_type, media_type), "data": data}}]
        case Reasoning(text, metadata):
            if "thoughtSignature" in own_metadata(metadata, "google"):
                return _said({"text": text, "thought": True}, metadata)
            unmapped.count("google: unsigned thinking in the history")
            return []
        case ToolCall() | ToolResult() if item.provider_executed:
            parts = sent_back(item)
            if not parts:
                unmapped.count("google: another service's own tool in the history")
            return parts
        case ToolCall(call_id, name, value, _, metadata):
            arguments = value if isinstance(value, Mapping) else {}
            return [signed({"functionCall": {"id": call_id, "name": _name(name), "args": arguments}}, metadata)]
        case ToolResult(call_id, name, output, is_error):
            response = {"error" if is_error else "output": _speakable(output)}
            return [{"functionResponse": {"id": call_id, "name": _name(name), "response": response}}]


def _name(name: str) -> str:
    """Of a tool that another model called: Gemini's begin with a letter or an underscore."""
    return name if name[:1].isalpha() or name.startswith("_") else f"_{name}"


def _said(part: dict[str, Any], metadata: ProviderMetadata | None) -> list[dict[str, Any]]:
    """The parts that a text came in, signed as it was; none for blanks that nobody signed."""
    if part["text"] and own_metadata(metadata, "google").get("signedBehind"):
        return [part, signed({**part, "text": ""}, metadata)]
    whole = signed(part, metadata)
    return [whole] if whole is not part or part["text"].strip() else []


def _speakable(output: Any) -> Any:
    """`$ref` means a file of the same response to Google, and any other is a 400: such output goes as text."""
    text = json.dumps(output, ensure_ascii=False)
    return text if '"$ref"' in text else output


def _sign_first_call(parts: list[dict[str, Any]]) -> None:
    """Only the first of parallel calls is signed."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None:
        first.setdefault("thoughtSignature", SKIP_SIGNATURE)
