"""The seams: what `chat` and `web` ask of the outside. Nothing to inherit; whatever fits, fits.

A store stands beside what it keeps: `conversations`, `usage`, `shares`, `prompt_templates`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from app.core.embeddings import Embedder
from app.core.events import ModelEvent, StreamEvent
from app.core.model import ModelRequest, Preset
from app.core.routing import Abilities
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


Api: TypeAlias = Literal["anthropic"]
"""A format that both our clients and services speak, so that a call can be passed on."""


class Providers(Protocol):
    """Hands out the provider of a preset; the same preset gets the same connection pool."""

    def open(self, preset: Preset, *, hurried: bool = False) -> Provider:
        """Who answers for a preset that is no router: `chat.answerers` opens any.

        Args:
            preset: whose service, key and address.
            hurried: somebody else can be asked instead, so give up early.

        Raises:
            NotConfigured: the preset's key is missing.
            InvalidRequest: its service makes embeddings only.
        """
        ...

    def relay(self, preset: Preset, api: Api, *, whole: bool, hurried: bool = False) -> Provider | None:
        """Who passes requests of clients on to the preset's service as they are (`ModelRequest.relayed`), and tells
        `Verbatim` what it answers. None: the service does not speak `api`, and what is asked must be translated.

        Args:
            preset: whose service, key and address.
            api: the format of the requests.
            whole: the answers come in one piece, so that the first word is the last one.
            hurried: as for `open`.

        Raises:
            NotConfigured: the preset's key is missing.
        """
        ...

    def abilities(self, preset: Preset) -> Abilities: ...

    def embedder(self, preset: Preset) -> Embedder:
        """Who makes vectors of texts for the preset.

        Raises:
            InvalidRequest: its service makes none.
            NotConfigured: its key is missing.
        """
        ...

    def knows(self, provider: str) -> bool:
        """Whether it is a row of the catalog that a preset may name without more."""
        ...

    def maker_of(self, model: str) -> str | None:
        """The provider whose own models are named so: `claude-…`, `gpt-…`."""
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

    def append(self, run_id: str, events: Sequence[StreamEvent]) -> None:
        """At once: the deltas of a model come here in the step of the event loop that has read them."""
        ...

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
