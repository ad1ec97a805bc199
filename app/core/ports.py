"""The seams: what `chat` and `web` ask of the outside. Nothing to inherit; whatever fits, fits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from app.core.events import ModelEvent, StreamEvent, Usage
from app.core.messages import Role, UIMessage
from app.core.model import ModelRequest, Preset
from app.core.tools import CallState, Offered, ToolOverview, ToolRecord


class Provider(Protocol):
    """One model service with its address and key, ready to be asked."""

    @property
    def takes(self) -> Container[str]:
        """The media types that may stand in a prompt, beside text."""
        ...

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
    earlier: str | None = None
    """Of a page: `before` for the messages that stand above these; None where there are none."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a conversation has come to by a save."""

    title: str
    version: int
    message_ids: tuple[str, ...]
    """Of its active branch from the root on, without the message in flight."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where a search found its words."""

    message_id: str | None
    """The newest message of the active branch that has them all; None where only the title has."""
    snippet: tuple[tuple[str, bool], ...]
    """Some of its text in pieces, in order: text, and whether it is one of the words. Plain text, not HTML."""


@dataclass(frozen=True, slots=True)
class Dates:
    """When an imported conversation began and when it was last changed, as `Conversation` has them."""

    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    block_id: str
    title: str
    created_at: str
    updated_at: str
    message_count: int
    pinned: bool
    archived: bool
    match: Match | None = None
    """Only in what a search answers."""


@dataclass(frozen=True, slots=True)
class ConversationPage:
    items: tuple[ConversationSummary, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Branch:
    """One of the messages that stand at the same place: other questions, or other answers to the same question."""

    handle: str
    """Names it for `choose`: an edited message keeps its id, so the id does not."""
    message_id: str
    role: Role
    active: bool
    preview: str
    """The beginning of its text."""
    created_at: str


Placement = Literal["branch", "merge"]
"""Where unknown messages go that follow a known one which already has followers: beside those (`branch`: the sender
means this very history, a chat turn or a save with If-Match), or, for user messages, behind the end of the active
branch (`merge`: a save from a client that may not have seen the rest, so nothing it did not name disappears)."""

AnswerStatus = Literal["streaming", "complete", "stopped", "interrupted", "error"]


class ConversationStore(Protocol):
    """Conversations as trees of messages: nothing that was saved is overwritten or lost.

    Every method may raise StorageUnavailable (locked for too long, disk full).
    """

    async def load(self, block_id: str, *, limit: int | None = None, before: str | None = None) -> Conversation | None:
        """The conversation, or a page of it.

        Args:
            block_id: which one.
            limit: how many messages at most, the last of them; None for all.
            before: `earlier` of the page below: the messages above that one. It stays right when messages come in
                and when another branch is chosen meanwhile: it goes on above what that page showed.

        Raises:
            InvalidRequest: a `before` that is none of this conversation.
        """
        ...

    async def save(
        self,
        block_id: str,
        messages: Sequence[UIMessage],
        *,
        placement: Placement,
        if_version: int | None = None,
        dates: Dates | None = None,
    ) -> Saved:
        """Merge a linear history into the tree and move the head to its end. Saving the same thing twice changes
        nothing. `if_version` 0 means: must not exist yet. `dates` count only for a conversation that this save makes.

        Raises:
            VersionConflict: `if_version` is not the current version.
        """
        ...

    async def put_answer(self, block_id: str, parent_id: str | None, message: UIMessage, status: AnswerStatus) -> None:
        """Write an answer below the message `parent_id` of the active branch, or replace what an earlier call with
        the same message id wrote. The head moves to it when it is first written, unless the head has moved on.
        """
        ...

    async def delete(self, block_id: str) -> bool:
        """For good. False where there is no such conversation."""
        ...

    async def trash(self, block_id: str) -> bool:
        """Delete it so that `restore` can bring it back. Until then it is nowhere: whoever writes to its id begins a
        new conversation, and what was there is deleted for good. False where there is no such conversation.
        """
        ...

    async def restore(self, block_id: str) -> bool:
        """False where the trash has no such conversation any more."""
        ...

    async def empty_trash(self, seconds: float) -> frozenset[str]:
        """Delete for good what has been in the trash for so long; the ids of the files that it named."""
        ...

    async def file_ids(self, block_id: str | None = None) -> frozenset[str]:
        """The files that messages name, on whatever branch: those of one conversation, or of all."""
        ...

    async def branches(
        self, block_id: str, *, limit: int | None = None, before: str | None = None
    ) -> Sequence[Sequence[Branch]]:
        """The places where there is more than one message, from the root on; at each place all of them, oldest first.
        Of the messages that `load` answers for the same arguments; answers in flight are left out, as there.

        Raises:
            NotFound: no such conversation.
            InvalidRequest: as `load`.
        """
        ...

    async def choose(self, block_id: str, branch: str) -> Conversation:
        """Make a branch the active one, with the newest of what was ever said below it.

        Raises:
            NotFound: no such conversation, or no branch of it has this handle.
        """
        ...

    async def fork(self, block_id: str, new_block_id: str, *, until: str | None = None) -> Conversation:
        """Copy the active branch, up to the message with the id `until`, into a conversation of its own, and with it
        the block's `ai:*` metadata. Message ids stay the same.

        Raises:
            NotFound: no such conversation.
            InvalidRequest: its active branch has no such message.
            AlreadyExists: `new_block_id` is a conversation.
        """
        ...

    async def page(
        self, *, query: str = "", cursor: str | None = None, limit: int = 50, archived: bool | None = False
    ) -> ConversationPage:
        """Newest first, pinned before all others.

        Args:
            query: words that must all be in the title or in one message of the active branch, whatever their case and
                accents; the last one may be the beginning of a word. What is no word counts for nothing.
            cursor: `next_cursor` of the page before.
            limit: 1 to 200.
            archived: whether to list the archived conversations or the others; None for both.

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


@dataclass(frozen=True, slots=True)
class StoredFile:
    path: str
    size: int
    media_type: str
    """By its content: `app.core.files.media_type_of`."""


class Files(Protocol):
    """What is attached to messages, once each: a file's id is the hash of its content (`app.core.files.file_id_of`).

    Every method may raise StorageUnavailable.
    """

    async def put(self, content: bytes) -> str:
        """Keep a file; it is on the disk when this returns its id. One that is there already becomes as new."""
        ...

    async def find(self, file_id: str) -> StoredFile | None:
        """None for what is not there or is no id at all, such as `../palaver.db`."""
        ...

    async def read(self, file_id: str) -> bytes | None: ...

    async def remove(self, file_ids: Iterable[str]) -> None: ...

    async def older_than(self, seconds: float) -> frozenset[str]:
        """The files that were last put so long ago. What a crash left half written so long ago is removed."""
        ...


class ToolBox(Protocol):
    """Hands out the tools that the server knows: its own, those of modules and MCP servers, declared client tools."""

    async def tools(self, names: Sequence[str]) -> Offered:
        """The tools that `names`, names or patterns with `*`, mean. What is missing is a problem, never an error."""
        ...

    async def overview(self) -> ToolOverview: ...


class ToolLedger(Protocol):
    """What the server remembers of the tool calls of a conversation. Every method may raise StorageUnavailable."""

    async def records(self, block_id: str) -> Mapping[str, ToolRecord]:
        """By tool call id."""
        ...

    async def put(self, block_id: str, records: Sequence[ToolRecord]) -> None:
        """Write calls, or what has become of them."""
        ...

    async def change(self, block_id: str, record: ToolRecord, *, when: CallState) -> bool:
        """Write `record` if the call's state is still `when`: of several who try it at once, one succeeds."""
        ...


Purpose = Literal["chat", "title"]
"""What a model call was for."""


@dataclass(frozen=True, slots=True)
class UsageEntry:
    """One model call in the books."""

    at: str
    """When it ended: ISO 8601, UTC."""
    block_id: str | None
    """None for a temporary chat."""
    message_id: str | None
    """The answer that it was made for."""
    preset: str
    provider: str
    model: str
    purpose: Purpose
    usage: Usage
    cost_usd: float | None
    """None: nobody knows the price."""


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """Some calls added up."""

    name: str | None
    """What they have in common: a block id, a preset, a model, a day, a purpose. No block id: temporary chats and
    conversations that were deleted."""
    calls: int
    usage: Usage
    cost_usd: float
    """Of the calls whose price is known."""
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    total: UsageTotal
    conversations: Sequence[UsageTotal]
    """At most 1,000, the dearest first."""
    presets: Sequence[UsageTotal]
    models: Sequence[UsageTotal]
    """Named `provider/model`."""
    days: Sequence[UsageTotal]
    """`2026-11-21`, UTC, oldest first."""
    purposes: Sequence[UsageTotal]


class UsageLedger(Protocol):
    """What model calls have used. Entries stay when a conversation is deleted, but no longer name it.

    Every method may raise StorageUnavailable.
    """

    async def add(self, entry: UsageEntry) -> None: ...

    async def report(self, since: str | None = None, until: str | None = None) -> UsageReport:
        """What was used from the day `since` to the day `until`, both included; both as `UsageReport.days` has them."""
        ...


class Tail(Protocol):
    """A reader's place in the log of a run: at first its beginning."""

    def take(self) -> Sequence[StreamEvent]:
        """All events that have come since the last call."""
        ...

    @property
    def ended(self) -> bool:
        """All have been taken, and no more will come."""
        ...

    def watch(self, wake: Callable[[], None]) -> None:
        """`wake` is called whenever there is something to take, or the end has come: at once, by whoever brings it.
        It must be quick and raise nothing.
        """
        ...

    def close(self) -> None: ...


class StreamLog(Protocol):
    """The events of running turns. A run's log is kept for a while after its end, for late readers."""

    async def open(self, run_id: str) -> None: ...

    async def append(self, run_id: str, events: Sequence[StreamEvent]) -> None: ...

    async def close(self, run_id: str) -> None: ...

    def tail(self, run_id: str) -> Tail:
        """A new reader, who counts until it is closed."""
        ...

    def readers(self, run_id: str) -> int:
        """How many readers are attached right now."""
        ...


class Encoder(Protocol):
    """Events → the bytes of one wire format. One encoder per response; it may remember what it has sent."""

    format: str
    """Encoders of the same format make the same bytes of the same events."""
    media_type: str
    headers: Mapping[str, str]
    keep_alive: bytes
    """What may be sent at any time between two writes without meaning anything; empty where the format has none."""

    def encode(self, events: Sequence[StreamEvent]) -> bytes: ...

    def end(self) -> bytes:
        """The format's own end mark."""
        ...
