"""ChatGPT's `conversations.json`: trees of nodes, of which the current branch is kept.

What people see there becomes text, thinking and sources: what both sides said, thoughts, code that ran and what it
printed, canvas documents, links. Left out is what they do not see: system messages, hidden ones, calls of other tools
and what these answer. Files are not in the JSON; a word in brackets stands in their place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.core.errors import InvalidRequest
from app.wire.fences import fenced
from app.wire.imported import (
    ImportedConversation,
    follow_branch,
    foreign_conversation,
    message,
    placeholder_part,
    reasoning_part,
    record,
    records,
    source_part,
    text_part,
)

Part = dict[str, Any]

_FILES = {
    "image_asset_pointer": "image",
    "audio_asset_pointer": "audio",
    "video_container_asset_pointer": "video",
    "real_time_user_audio_video_asset_pointer": "audio",
}
_SPOKEN = "audio_transcription"

# Where a citation stands in the text: between private characters, or in the brackets of older models.
_MARK = re.compile("\ue200[^\ue200\ue201]*\ue201|【[^【】†]*†[^【】]*】")
_PRIVATE = re.compile("[\ue200-\ue206]")


def read_chatgpt(value: Mapping[str, Any]) -> ImportedConversation:
    """One conversation of the export.

    Raises:
        InvalidRequest: it is not what ChatGPT writes, or nothing in it can be kept.
    """
    mapping = value["mapping"]
    if not isinstance(mapping, dict):
        raise InvalidRequest("`mapping` must be an object of nodes, as in ChatGPT's export.", param="mapping")
    nodes: dict[str, Mapping[str, Any]] = {key: record(node) for key, node in mapping.items()}
    messages: list[dict[str, Any]] = []
    for key in follow_branch(_leaf(value, nodes), lambda key: nodes[key].get("parent"), nodes):
        said = record(nodes[key].get("message"))
        parts = [*_parts(said), *_sources(said)]
        if not parts:
            continue
        role = "user" if record(said.get("author")).get("role") == "user" else "assistant"
        if role == "assistant" and messages and messages[-1]["role"] == "assistant":
            messages[-1]["parts"] += parts  # one answer is many nodes there
        else:
            model = record(said.get("metadata")).get("model_slug") if role == "assistant" else None
            messages.append(message(said.get("id") or key, role, parts, said.get("create_time"), model))
    return foreign_conversation(
        "chatgpt",
        value.get("conversation_id") or value.get("id"),
        value.get("title"),
        messages,
        value.get("create_time"),
        value.get("update_time"),
    )


def _leaf(value: Mapping[str, Any], nodes: dict[str, Mapping[str, Any]]) -> str | None:
    """Where the conversation stands; where the export does not say, at the last node that nothing follows."""
    current = value.get("current_node")
    if isinstance(current, str) and current in nodes:
        return current
    parents = {_text(node.get("parent")) for node in nodes.values()}
    return next((key for key in reversed(nodes) if key not in parents), None)


def _parts(said: Mapping[str, Any]) -> Iterator[Part]:
    content, metadata = record(said.get("content")), record(said.get("metadata"))
    hidden = metadata.get("is_visually_hidden_from_conversation") or metadata.get("is_user_system_message")
    if hidden or said.get("weight") == 0:
        return
    author = record(said.get("author"))
    recipient = said.get("recipient") or "all"
    match author.get("role"), content.get("content_type"):
        case "assistant", "thoughts":
            yield from _thoughts(content)
        case "assistant", "code" if recipient == "python":
            yield from _code(content, "python")
        case "assistant", _ if str(recipient).startswith("canmore.create"):
            yield from _document(content)
        case (("user" | "assistant"), ("text" | "multimodal_text")) if recipient == "all":
            yield from _multimodal(content, metadata)
        case (("user" | "assistant"), "code") if recipient == "all":
            yield from _code(content, _text(content.get("language")) or "")
        case "tool", "execution_output":
            yield from _code(content, "")
        case "tool", "multimodal_text":
            yield from (part for part in map(_file, records(content.get("parts"))) if part is not None)
        case _:
            pass


def _multimodal(content: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[Part]:
    pieces = _pieces(content)
    for part in pieces:
        text = part if isinstance(part, str) else _text(record(part).get("text"))
        spoken = record(part).get("content_type") == _SPOKEN
        if text and (isinstance(part, str) or spoken):
            cleaned = _without_marks(text, metadata)
            if cleaned.strip():
                yield text_part(cleaned)
        elif (file := _file(record(part))) is not None:
            yield file
    images = any(_file(record(part)) is not None for part in pieces)
    for attached in records(metadata.get("attachments")):
        if not (images and str(attached.get("mime_type") or attached.get("mimeType")).startswith("image/")):
            yield placeholder_part("file", attached.get("name"))


def _file(part: Mapping[str, Any]) -> Part | None:
    kind = _FILES.get(str(part.get("content_type")))
    return placeholder_part(kind) if kind is not None else None


def _thoughts(content: Mapping[str, Any]) -> Iterator[Part]:
    for thought in records(content.get("thoughts")):
        summary, words = _text(thought.get("summary")), _text(thought.get("content"))
        text = "\n\n".join(text for text in (f"**{summary}**" if summary else "", words or "") if text.strip())
        if text:
            yield reasoning_part(text)


def _code(content: Mapping[str, Any], language: str) -> Iterator[Part]:
    code = _text(content.get("text")) or "\n".join(_strings(content))
    if code.strip():
        yield text_part(fenced(code, language if language != "unknown" else ""))


def _document(content: Mapping[str, Any]) -> Iterator[Part]:
    """A canvas: the call that made it holds the document as JSON."""
    pieces = [_text(content.get("text")) or "", *_strings(content)]
    try:
        document = record(json.loads("".join(pieces)))
    except (ValueError, RecursionError):
        return
    text, kind = _text(document.get("content")), _text(document.get("type")) or ""
    if text and text.strip():
        yield text_part(fenced(text, kind.removeprefix("code/")) if kind.startswith("code/") else text)


def _sources(said: Mapping[str, Any]) -> Iterator[Part]:
    metadata = record(said.get("metadata"))
    if record(said.get("author")).get("role") != "assistant":
        return
    cited = [record(citation.get("metadata")) for citation in records(metadata.get("citations"))]
    for reference in records(metadata.get("content_references")):
        cited += [reference, *records(reference.get("items"))]
    parts = (source_part(item.get("url"), item.get("title")) for item in cited)
    yield from (part for part in parts if part is not None)


def _without_marks(text: str, metadata: Mapping[str, Any]) -> str:
    """The text with each citation's readable form in the place of its mark, where the export has one."""
    readable: dict[str, str] = {}
    for reference in records(metadata.get("content_references")):
        readable[_text(reference.get("matched_text")) or ""] = _text(reference.get("alt")) or ""
    return _PRIVATE.sub("", _MARK.sub(lambda mark: readable.get(mark[0], ""), text))


def _pieces(content: Mapping[str, Any]) -> list[Any]:
    parts = content.get("parts")
    return parts if isinstance(parts, list) else []


def _strings(content: Mapping[str, Any]) -> list[str]:
    return [part for part in _pieces(content) if isinstance(part, str)]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
