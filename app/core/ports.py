"""The seams: what `chat` and `web` ask of the outside. Nothing to inherit; whatever fits, fits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from app.core.events import ModelEvent, StreamEvent
from app.core.messages import UIMessage
from app.core.model import ModelRequest, Preset


class Provider(Protocol):
    """One model service with its address and key, ready to be asked."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """Yield the answer's events, one batch per network read, ending with exactly one `ModelFinish`.

        Closing the generator closes the connection to the service at once.

        Raises:
            ProviderError: before or in the middle of the stream; also where the end mark is missing.
        """
        ...


class Providers(Protocol):
    """Hands out the provider of a preset; the same preset gets the same connection pool."""

    def open(self, preset: Preset) -> Provider:
        """Raises NotConfigured where the preset's key is missing."""
        ...


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation as the browser sees it: the active branch, without the message in flight."""

    block_id: str
    title: str
    messages: tuple[UIMessage, ...]
    created_at: str
    updated_at: str
    """ISO 8601, UTC."""
    version: int
    """Goes up with every change; the ETag."""


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    block_id: str
    title: str
    created_at: str
    updated_at: str
    message_count: int
    pinned: bool


@dataclass(frozen=True, slots=True)
class ConversationPage:
    items: tuple[ConversationSummary, ...]
    next_cursor: str | None


Placement = Literal["branch", "merge"]
"""Where unknown messages go that follow a known one which already has followers: beside those (`branch`: the sender
means this very history, a chat turn or a save with If-Match), or, for user messages, behind the end of the active
branch (`merge`: a save from a client that may not have seen the rest, so nothing it did not name disappears)."""

AnswerStatus = Literal["streaming", "complete", "stopped", "interrupted", "error"]


class ConversationStore(Protocol):
    """Conversations as trees of messages: nothing that was saved is overwritten or lost.

    Every method may raise StorageUnavailable (locked for too long, disk full).
    """

    async def load(self, block_id: str) -> Conversation | None: ...

    async def save(
        self,
        block_id: str,
        messages: Sequence[UIMessage],
        *,
        placement: Placement,
        if_version: int | None = None,
    ) -> Conversation:
        """Merge a linear history into the tree and move the head to its end. Saving the same thing twice changes
        nothing. `if_version` 0 means: must not exist yet.

        Raises:
            VersionConflict: `if_version` is not the current version.
        """
        ...

    async def put_answer(self, block_id: str, parent_id: str | None, message: UIMessage, status: AnswerStatus) -> None:
        """Write an answer below the message `parent_id` of the active branch, or replace what an earlier call with
        the same message id wrote. The head moves to it when it is first written, unless the head has moved on.
        """
        ...

    async def delete(self, block_id: str) -> bool: ...

    async def page(self, *, query: str = "", cursor: str | None = None, limit: int = 50) -> ConversationPage:
        """Newest first, pinned before all others. `query` matches titles and text.

        Raises:
            InvalidRequest: a cursor that is none of ours.
        """
        ...

    async def block(self, block_id: str) -> Mapping[str, Any]:
        """The block's metadata (`ai:preset`, `title`, …); empty for an unknown block."""
        ...

    async def patch_block(self, block_id: str, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Set the given keys, remove those whose value is None, answer all that stand then."""
        ...


class StreamLog(Protocol):
    """The events of running turns. A run's log is kept for a while after its end, for late readers."""

    async def open(self, run_id: str) -> None: ...

    async def append(self, run_id: str, events: Sequence[StreamEvent]) -> None: ...

    async def close(self, run_id: str) -> None: ...

    def read(self, run_id: str, after: int = 0) -> AsyncGenerator[Sequence[StreamEvent], None]:
        """All events from position `after` on, then live, until the run ends. What piled up comes in one batch."""
        ...

    def readers(self, run_id: str) -> int:
        """How many readers are attached right now."""
        ...


class Encoder(Protocol):
    """Events → the bytes of one wire format. One encoder per response; it may remember what it has sent."""

    media_type: str
    headers: Mapping[str, str]
    keep_alive: bytes
    """What may be sent at any time between two writes without meaning anything; empty where the format has none."""

    def encode(self, events: Sequence[StreamEvent]) -> bytes: ...

    def end(self) -> bytes:
        """The format's own end mark."""
        ...
