"""Shares: what people with a link may read of a conversation, and the seam to where it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.core.files import file_id_in, file_url
from app.core.messages import (
    FilePart,
    Part,
    ReasoningPart,
    SourceDocumentPart,
    SourceUrlPart,
    TextPart,
    ToolPart,
    UIMessage,
)

MAX_SHARES = 100
"""Of one conversation."""

_ENDED = frozenset({"output-available", "output-error", "output-denied"})
_TOLD = frozenset({"status", "finishReason"})
_TOLD_WITH_DETAILS = _TOLD | {"thinkingMs", "toolMs"}


@dataclass(frozen=True, slots=True)
class Share:
    token: str
    """Whoever knows it may read; nobody guesses it."""
    block_id: str
    title: str
    with_details: bool
    """Thinking and tools are in it."""
    created_at: str
    """ISO 8601, UTC."""
    message_count: int


@dataclass(frozen=True, slots=True)
class SharedConversation:
    share: Share
    messages: tuple[UIMessage, ...]
    """As they were, and only what is shown of them."""


class ShareStore(Protocol):
    """Every method may raise StorageUnavailable."""

    async def create(self, share: Share, messages: Sequence[UIMessage]) -> None:
        """Raises NotFound: no such conversation; InvalidRequest: it has too many shares."""
        ...

    async def of(self, block_id: str) -> Sequence[Share]:
        """Newest first."""
        ...

    async def load(self, token: str) -> SharedConversation | None:
        """None too while its conversation is in the trash."""
        ...

    async def revoke(self, block_id: str, token: str) -> bool: ...


def shared_messages(messages: Sequence[UIMessage], *, with_details: bool) -> tuple[UIMessage, ...]:
    """What a share shows of the messages: what was said, its files and sources; with details thinking and tools too.

    Never the system prompt, what it cost, which model answered, what services want back, nor an app's own data.
    """
    return tuple(
        UIMessage(
            id=message.id,
            role=message.role,
            parts=tuple(shown for part in message.parts if (shown := _shown(part, with_details=with_details))),
            metadata=_told(message.metadata, _TOLD_WITH_DETAILS if with_details else _TOLD),
        )
        for message in messages
        if message.role != "system"
    )


def shared_files(messages: Sequence[UIMessage]) -> frozenset[str]:
    """The files that can be read with the share: those attached to what it shows, whatever its texts name."""
    parts = (part for message in messages for part in message.parts if isinstance(part, FilePart))
    return frozenset(file_id for part in parts if (file_id := file_id_in(part.url)) is not None)


def with_file_addresses(messages: Sequence[UIMessage], prefix: str) -> tuple[UIMessage, ...]:
    """The messages, their files below `prefix`: where readers of the share get them."""

    def moved(part: Part) -> Part:
        if isinstance(part, FilePart) and file_id_in(part.url) is not None:
            return part.model_copy(update={"url": prefix + part.url})
        return part

    return tuple(message.model_copy(update={"parts": tuple(map(moved, message.parts))}) for message in messages)


def _shown(part: Part, *, with_details: bool) -> Part | None:
    """The part anew, of the fields that are shown: a new field of a client or a service is not shared unasked."""
    match part:
        case TextPart():
            return TextPart(type="text", text=part.text)
        case FilePart():
            file_id = file_id_in(part.url)
            url = part.url if file_id is None else file_url(file_id)
            return FilePart(type="file", media_type=part.media_type, url=url, filename=part.filename)
        case SourceUrlPart():
            return SourceUrlPart(type="source-url", source_id=part.source_id, url=part.url, title=part.title)
        case SourceDocumentPart():
            return SourceDocumentPart(
                type="source-document", source_id=part.source_id, media_type=part.media_type, title=part.title
            )
        case ReasoningPart() if with_details:
            return ReasoningPart(type="reasoning", text=part.text)
        case ToolPart() if with_details and part.state in _ENDED:
            return ToolPart(
                type=part.type,
                tool_call_id=part.tool_call_id,
                tool_name=part.tool_name,
                state=part.state,
                input=part.input,
                output=part.output,
                error_text=part.error_text,
            )
        case _:
            return None


def _told(metadata: Any, keys: frozenset[str]) -> Mapping[str, Any]:
    said = metadata if isinstance(metadata, Mapping) else {}
    return {key: said[key] for key in sorted(keys) if key in said}
