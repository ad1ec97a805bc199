"""Claude's `conversations.json`: messages with blocks of content, of which the current branch is kept.

Text, thinking, sources and artifacts are kept; calls of other tools and their results are not. Of an attachment the
export has the text, which is part of the question; of other files it has the names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

_ROLES = {"human": "user", "assistant": "assistant"}


def read_claude(value: Mapping[str, Any]) -> ImportedConversation:
    """One conversation of the export.

    Raises:
        InvalidRequest: it is not what Claude writes, or nothing in it can be kept.
    """
    if not isinstance(value["chat_messages"], list):
        raise InvalidRequest("`chat_messages` must be a list, as in Claude's export.", param="chat_messages")
    messages: list[dict[str, Any]] = []
    for said in _branch(value):
        role = _ROLES.get(str(said.get("sender")))
        if role is None:
            raise InvalidRequest("The `sender` of a message must be human or assistant.", param="chat_messages")
        parts = [*_attached(said), *_parts(said)]
        if parts:
            model = said.get("model") or value.get("model") if role == "assistant" else None
            messages.append(message(said.get("uuid"), role, parts, said.get("created_at"), model))
    return foreign_conversation(
        "claude",
        value.get("uuid"),
        value.get("name"),
        messages,
        value.get("created_at"),
        value.get("updated_at"),
    )


def _branch(value: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The list, or, where its messages name their parents, the way to the current or else the newest leaf."""
    said = records(value["chat_messages"])
    by_id = {item["uuid"]: item for item in said if isinstance(item.get("uuid"), str)}
    parents = {item.get("parent_message_uuid") for item in said if isinstance(item.get("parent_message_uuid"), str)}
    if len(by_id) < len(said) or parents.isdisjoint(by_id):
        return said
    leaf = value.get("current_leaf_message_uuid")
    if not isinstance(leaf, str) or leaf not in by_id:
        leaves = [item for item in said if item["uuid"] not in parents]
        leaf = max(leaves, key=lambda item: str(item.get("created_at")))["uuid"] if leaves else said[-1]["uuid"]
    return [by_id[key] for key in follow_branch(leaf, lambda key: by_id[key].get("parent_message_uuid"), by_id)]


def _attached(said: Mapping[str, Any]) -> Iterator[Part]:
    for attachment in records(said.get("attachments")):
        name, text = attachment.get("file_name"), attachment.get("extracted_content")
        if not isinstance(text, str) or not text.strip():
            yield placeholder_part("file", name)
        elif isinstance(name, str) and name:
            yield text_part(f"{name}:\n\n{fenced(text)}")
        else:  # pasted text
            yield text_part(text)
    for file in records(said.get("files")):
        yield placeholder_part("file", file.get("file_name"))


def _parts(said: Mapping[str, Any]) -> Iterator[Part]:
    blocks = records(said.get("content"))
    if not blocks:
        blocks = [{"type": "text", "text": said.get("text")}]
    for block in blocks:
        match block:
            case {"type": "text", "text": str(text)} if text.strip():
                yield text_part(text)
            case {"type": "thinking", "thinking": str(text)} if text.strip():
                yield reasoning_part(text)
            case {"type": "tool_use", "name": "artifacts", "input": {"content": str(text), **artifact}} if text.strip():
                title, language = artifact.get("title"), artifact.get("language")
                heading = f"**{' '.join(title.split())}**\n\n" if isinstance(title, str) else ""
                yield text_part(heading + fenced(text, language if isinstance(language, str) else ""))
            case _:
                pass
    for block in blocks:
        for citation in records(block.get("citations")):
            details = {**citation, **record(citation.get("details"))}
            if (source := source_part(details.get("url"), details.get("title"))) is not None:
                yield source
