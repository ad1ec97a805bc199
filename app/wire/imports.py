"""What may be imported: our own export, plain lists of messages, the exports of ChatGPT and Claude.

Which of them a conversation is, its shape tells. Ids are kept, and where there is none it follows from the content: so
the same import made twice finds what the first one stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.errors import InvalidRequest
from app.core.feedback import Feedback
from app.core.ids import is_block_id
from app.core.messages import UIMessage
from app.wire.chat_request import read_messages
from app.wire.exports import FORMAT
from app.wire.feedback import read_feedback
from app.wire.imported import LONGEST_TITLE, ImportedConversation, digest_of, read_dates, record
from app.wire.imports_chatgpt import read_chatgpt
from app.wire.imports_claude import read_claude

MAX_CONVERSATIONS = 1_000
"""Of one request."""

_KNOWN = (
    'An export of Palaver ("palaver"), messages ("messages": a list of {"role", "content"}), or a conversation of '
    'ChatGPT ("mapping") or Claude ("chat_messages") was expected.'
)


@dataclass(frozen=True, slots=True)
class Skipped:
    index: int
    """Its place in the list, from 0."""
    why: str


@dataclass(frozen=True, slots=True)
class Import:
    conversations: Sequence[tuple[int, ImportedConversation]]
    """Each with its place in the list, from 0."""
    skipped: Sequence[Skipped]
    is_list: bool


def read_import(value: Any) -> Import:
    """Everything in a decoded body: one conversation, or a list of them, bare or as `{"conversations": […]}`.

    Takes seconds for the largest bodies: call it in a thread.

    Raises:
        InvalidRequest: the body is none of that, or its only conversation is wrong. One of a list is skipped.
    """
    values = _conversations(value)
    if values is None:
        return Import([(0, _read(value))], [], is_list=False)
    if not values:
        raise InvalidRequest("There is no conversation in this import.")
    if len(values) > MAX_CONVERSATIONS:
        raise InvalidRequest(
            f"At most {MAX_CONVERSATIONS:,} conversations can be imported at once. Send them in parts."
        )
    conversations: list[tuple[int, ImportedConversation]] = []
    skipped: list[Skipped] = []
    for index, item in enumerate(values):
        try:
            conversations.append((index, _read(item)))
        except InvalidRequest as error:
            skipped.append(Skipped(index, error.message))
    return Import(conversations, skipped, is_list=True)


def _conversations(value: Any) -> list[Any] | None:
    """None where the value is one conversation."""
    if isinstance(value, dict) and isinstance(value.get("conversations"), list):
        value = value["conversations"]
    if not isinstance(value, list) or (value and "role" in record(value[0])):
        return None
    return value


def _read(value: Any) -> ImportedConversation:
    if isinstance(value, list):
        return _read_plain({"messages": value})
    match value:
        case {"palaver": version}:
            return _read_own(version, value.get("conversation"))
        case {"mapping": _}:
            return read_chatgpt(value)
        case {"chat_messages": _}:
            return read_claude(value)
        case {"messages": _}:
            return _read_plain(value)
        case _:
            raise InvalidRequest(f"This is no conversation that can be imported. {_KNOWN}")


def _read_own(version: Any, value: Any) -> ImportedConversation:
    if version != FORMAT:
        raise InvalidRequest(
            f"`palaver` must be {FORMAT}: another version wrote this export, and a newer one may be able to read it.",
            param="palaver",
        )
    if not isinstance(value, dict):
        raise InvalidRequest("`conversation` must be an object.", param="conversation")
    block_id, title, metadata = value.get("id"), value.get("title"), value.get("metadata", {})
    if not isinstance(block_id, str) or not is_block_id(block_id):
        raise InvalidRequest(
            "`conversation.id` must be 1 to 128 letters, digits, `_`, `.`, `:` or `-`, beginning with a letter or "
            "digit.",
            param="conversation.id",
        )
    if not isinstance(title, str):
        raise InvalidRequest("`conversation.title` must be a string.", param="conversation.title")
    if not isinstance(metadata, dict):
        raise InvalidRequest("`conversation.metadata` must be an object.", param="conversation.metadata")
    messages = _messages(value.get("messages"))
    return ImportedConversation(
        block_id=block_id,
        title=title,
        messages=messages,
        dates=read_dates(value.get("createdAt"), value.get("updatedAt")),
        metadata=metadata,
        feedback=_feedback(value.get("feedback", {}), messages),
    )


def _feedback(value: Any, messages: Sequence[UIMessage]) -> Mapping[str, Feedback]:
    if not isinstance(value, dict):
        raise InvalidRequest("`conversation.feedback` must be an object.", param="conversation.feedback")
    answers = {message.id for message in messages if message.role == "assistant"}
    return {message_id: read_feedback(said) for message_id, said in value.items() if message_id in answers}


def _read_plain(value: Mapping[str, Any]) -> ImportedConversation:
    messages = _messages(value["messages"])
    block_id, title = value.get("id"), value.get("title")
    return ImportedConversation(
        block_id=block_id if isinstance(block_id, str) and is_block_id(block_id) else _minted(value["messages"]),
        title=" ".join(title.split())[:LONGEST_TITLE] if isinstance(title, str) else "",
        messages=messages,
        dates=read_dates(value.get("createdAt"), value.get("updatedAt")),
    )


def _minted(messages: Any) -> str:
    return f"import-{digest_of(messages)}"


def _messages(raw: Any) -> tuple[UIMessage, ...]:
    """A message without an id gets one that says what stands there and before: a longer list keeps those it had."""
    if not isinstance(raw, list):
        raise InvalidRequest("`messages` must be a list of messages.", param="messages")
    named: list[Any] = []
    before = ""
    for item in raw:
        before = digest_of([before, item])
        named.append({**item, "id": before} if isinstance(item, dict) and item.get("id") is None else item)
    messages, _ = read_messages(named, "messages", lambda: before)
    if not messages:
        raise InvalidRequest("The conversation has no messages.", param="messages")
    return messages
