"""What of a conversation a page shows at once: its last messages, and those above them when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from app.core.conversations import Conversation
from app.core.errors import NotFound
from app.core.feedback import Feedback
from app.core.messages import ReasoningPart, TextPart, ToolPart, UIMessage
from app.web.deps import Deps
from app.wire.transcript import Ending, Place, describe_ending, element_id, places_of

SHOWN = 40
"""Messages at once."""
_WEIGHT = 60_000
"""How many characters they may have together, unless it is one turn that has more."""
_WEIGHT_OF_A_MESSAGE = 600


@dataclass(frozen=True, slots=True)
class Transcript:
    """Messages that follow one another."""

    messages: Sequence[UIMessage] = ()
    places: Mapping[str, Place] | None = None
    title: str = ""
    earlier: str | None = None
    """The address of those above; None where there are none."""
    later: str | None = None
    """The address of those between them and what the page shows further down; None where there are none."""
    is_end: bool = True
    """Nothing follows them."""
    ratings: Mapping[str, Feedback] = field(default_factory=dict)
    """What the user thinks of answers, by message id."""

    @property
    def values(self) -> Mapping[str, object]:
        """For `transcript.html`, where nothing runs."""
        return {
            "messages": self.messages,
            "places": self.places or {},
            "earlier": self.earlier,
            "later": self.later,
            "is_end": self.is_end,
            "ratings": self.ratings,
            **_NOTHING_RUNS,
        }

    def told_before(self, message_id: str) -> Sequence[str]:
        """The notes of the answer before this one."""
        told = Ending()
        for message in self.messages:
            if message.id == message_id:
                break
            told = describe_ending(message.metadata) if message.role == "assistant" else told
        return told.notes


_NOTHING_RUNS: Mapping[str, object] = {"answer_id": None, "base": None, "growing": None}


async def load_transcript(
    deps: Deps, block_id: str, *, before: str | None = None, without: str | None = None, limit: int = SHOWN
) -> Transcript | None:
    """The last messages, or those above `before`; not the one with the id `without`, which is being written.

    Raises:
        InvalidRequest: a `before` that is none of this conversation.
    """
    conversation = await deps.store.load(block_id, limit=limit, before=before)
    if conversation is None:
        return None
    fitting = _fitting(reversed(conversation.messages))
    if fitting < len(conversation.messages):
        limit = fitting
        conversation = await deps.store.load(block_id, limit=limit, before=before)
        assert conversation is not None
    return await _transcript(deps, conversation, limit, before, without)


async def load_part(
    deps: Deps, block_id: str, *, before: str, at: str | None = None, after: str | None = None
) -> Transcript | None:
    """The messages from the one with the element `at` on, or from behind `after`, which a page shows already; none from
    `before` on. None where no such message stands above `before`.
    """
    outline = await deps.store.outline(block_id)
    places, elements = [place for place, _ in outline], [element_id(message_id) for _, message_id in outline]
    sought = at or after
    if before not in places or sought not in elements:
        return None
    first, end = elements.index(sought) + (after is not None), places.index(before)
    shown = min(SHOWN, end - first)
    if shown < 1:
        return None
    conversation = await deps.store.load(block_id, limit=shown, before=places[first + shown])
    if conversation is not None and (fitting := _fitting(conversation.messages)) < shown:
        shown = fitting
        conversation = await deps.store.load(block_id, limit=shown, before=places[first + shown])
    if conversation is None:
        return None
    transcript = await _transcript(deps, conversation, shown, places[first + shown])
    later = None
    if first + shown < end:
        later = f"/c/{block_id}?before={before}&after={elements[first + shown - 1]}"
    return replace(transcript, earlier=None if after else transcript.earlier, later=later)


async def _transcript(
    deps: Deps, conversation: Conversation, limit: int, before: str | None, without: str | None = None
) -> Transcript:
    block_id = conversation.block_id
    try:
        branches = await deps.store.branches(block_id, limit=limit, before=before)
    except NotFound:  # deleted meanwhile
        branches = ()
    earlier = f"/c/{block_id}?before={quote(conversation.earlier)}" if conversation.earlier is not None else None
    messages = [message for message in conversation.messages if message.id != without]
    ratings = await deps.feedback.of(block_id)
    places = places_of(branches)
    return Transcript(messages, places, conversation.title, earlier, is_end=before is None, ratings=ratings)


def _fitting(messages: Iterable[UIMessage]) -> int:
    """How many of them, the first before all, are light enough together: two at least."""
    weight = count = 0
    for count, message in enumerate(messages):
        weight += _WEIGHT_OF_A_MESSAGE + sum(_weight(part) for part in message.parts)
        if weight > _WEIGHT and count > 1:
            return count
    return count + 1


def _weight(part: object) -> int:
    if isinstance(part, TextPart | ReasoningPart):
        return len(part.text)
    return 2_000 if isinstance(part, ToolPart) else 0
