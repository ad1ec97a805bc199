"""Feedback: what a person thinks of an answer, and the seam to where it is kept.

It is no part of the message: a client that sends a message back can neither forge nor lose it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Rating = Literal["up", "down"]

MAX_COMMENT = 2_000
"""Characters."""


@dataclass(frozen=True, slots=True)
class Feedback:
    rating: Rating
    comment: str | None = None
    """A sentence or two; never empty."""


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """For whoever compares models."""

    block_id: str
    message_id: str
    feedback: Feedback
    rated_at: str
    """ISO 8601, UTC."""
    model: str | None = None
    """As the answer's metadata have it."""
    preset: str | None = None


class FeedbackStore(Protocol):
    """Every method may raise StorageUnavailable. Feedback goes with its message, and with its conversation."""

    async def put(self, block_id: str, message_id: str, feedback: Feedback) -> None:
        """What was said of this answer before is replaced.

        Raises:
            NotFound: there is no such message in this conversation.
            InvalidRequest: it is no answer.
        """
        ...

    async def remove(self, block_id: str, message_id: str) -> bool:
        """False where there is none."""
        ...

    async def of(self, block_id: str) -> Mapping[str, Feedback]:
        """By message id."""
        ...

    async def since(self, moment: str, limit: int) -> Sequence[RatedAnswer]:
        """What was rated later than that, the oldest first; not what is in the trash."""
        ...
