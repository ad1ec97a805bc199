"""Texts as vectors: what is asked, what comes back, and the stores and seams around it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from app.core.conversations import ConversationSummary
from app.core.events import Usage

InputType: TypeAlias = Literal["query", "document"]
"""What a text is for: some models make other vectors of a question than of what may answer it."""

Vector: TypeAlias = bytes
"""Its numbers as little-endian float32, one behind the other: as they are stored and as base64 sends them."""

SearchMode: TypeAlias = Literal["text", "semantic", "hybrid"]


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """None means: leave it to the service."""

    model: str
    texts: Sequence[str]
    input_type: InputType | None = None
    dimensions: int | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    vectors: Sequence[Vector]
    """One for each text, in the same order."""
    usage: Usage


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Of one request to a service."""

    texts: int = 100
    tokens: int | None = None
    """Of all its texts together; None: the service names no limit."""


@dataclass(frozen=True, slots=True)
class AskedEmbeddings:
    """What a program asks for, whatever API it came by."""

    model: str
    """As the client names it: see `app.chat.model_names`."""
    texts: tuple[str, ...]
    encoding: Literal["float", "base64"] = "float"
    input_type: InputType | None = None
    dimensions: int | None = None
    user: str | None = None


class Embedder(Protocol):
    """One service with its address and key, ready to be asked."""

    def limits(self, model: str) -> BatchLimits: ...

    def prefix(self, model: str, input_type: InputType) -> str:
        """What such texts begin with, for this model."""
        ...

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        """One request within the limits, tried again where that makes sense.

        Raises:
            ProviderError: it failed, the last time too.
        """
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a message's text, short enough for every model."""

    start: int
    text: str


@dataclass(frozen=True, slots=True)
class Unindexed:
    """A message whose text has no vectors yet."""

    row: int
    text: str


@dataclass(frozen=True, slots=True)
class Indexed:
    """A message's passages, each with its vector."""

    row: int
    text: str
    """As it was: if the message says something else by now, its vectors are worth nothing."""
    passages: Sequence[tuple[Passage, Vector]]


@dataclass(frozen=True, slots=True)
class Progress:
    """Messages."""

    done: int
    total: int


class VectorStore(Protocol):
    """The vectors of what was said, by model. They go with the messages that they were made of.

    Chats of which nothing shall be stored (`ai:store` false), and what is in the trash, are not in it.
    Every method may raise StorageUnavailable.
    """

    def problem(self) -> str | None:
        """Why there can be no search by meaning here; a sentence for people."""
        ...

    async def unindexed(
        self, model: str, after: int, block_id: str | None = None
    ) -> tuple[Sequence[Unindexed], int | None]:
        """Some messages behind the row `after` that have no vectors of the model, and the row to go on behind; None
        at the end.
        """
        ...

    async def known(self, model: str, texts: Sequence[str]) -> Sequence[Vector | None]:
        """The vectors that are there already of these texts."""
        ...

    async def put(self, model: str, messages: Sequence[Indexed]) -> None: ...

    async def forget(self, model: str, *, others: bool = False) -> None:
        """All vectors of the model, or of all others."""
        ...

    async def progress(self, model: str) -> Progress: ...

    async def nearest(
        self, model: str, query: Vector, *, archived: bool | None, limit: int
    ) -> Sequence[ConversationSummary]:
        """The conversations that say something near to the query, the nearest first, each with its nearest message as
        its match. Not to be called where there is a `problem`.
        """
        ...


def to_vector(numbers: Sequence[float]) -> Vector:
    """Raises struct.error or OverflowError for what is no list of such numbers."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def numbers_of(vector: Vector) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector)
