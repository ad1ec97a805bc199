"""What is written of an answer in flight: text at its end as that, everything else as a reason to write it whole."""

from __future__ import annotations

import json

import pytest

from app.core.events import (
    Abort,
    MessageFinish,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceUrl,
    Status,
    StepFinish,
    StepStart,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputStart,
    Usage,
)
from app.core.fold import fold
from app.core.messages import UIMessage
from app.core.said import Follower, Said, from_row, grown, to_row

START = [MessageStart("a", {}), StepStart()]
SOURCE = SourceUrl("s", "https://example.com/")


def following(*events):
    """A follower of an answer that has said that much."""
    follower = Follower()
    follower.follow([*START, *events])
    return follower


def message(*parts):
    return UIMessage.model_validate({"id": "a", "role": "assistant", "parts": list(parts)})


def test_deltas_become_one_piece():
    follower = following(TextStart("t"), TextDelta("t", "a"))
    assert follower.follow([TextDelta("t", "b"), TextDelta("t", "c")]) == [Said("text", "bc", False, False)]


def test_nothing_said_is_nothing_to_write():
    assert list(following(TextStart("t")).follow([])) == []
    assert list(following(TextStart("t")).follow([Status("waiting", "Wait."), StepFinish()])) == []


def test_a_part_that_ends_and_one_that_begins_are_told():
    follower = following(ReasoningStart("r"), ReasoningDelta("r", "Hm"))
    assert follower.follow(
        [ReasoningDelta("r", "m."), ReasoningEnd("r"), TextStart("t"), TextDelta("t", "A"), TextDelta("t", "h")]
    ) == [Said("reasoning", "m.", False, True), Said("text", "Ah", True, False)]
    assert follower.follow([TextEnd("t")]) == [Said("text", "", False, True)]


def test_a_part_without_a_word_is_one_all_the_same():
    follower = following()
    assert follower.follow([TextStart("t")]) == [Said("text", "", True, False)]
    assert follower.follow([TextEnd("t"), TextStart("u"), TextEnd("u")]) == [
        Said("text", "", False, True),
        Said("text", "", True, True),
    ]


@pytest.mark.parametrize(
    "event",
    [
        SOURCE,
        StepStart(),
        ToolInputStart("c", "clock"),
        ToolInputAvailable("c", "clock", {}),
        TextEnd("t", {"openai": {"itemId": "1"}}),
        MessageFinish("stop", Usage(), {}),
        Abort(),
    ],
    ids=lambda event: type(event).__name__,
)
def test_everything_else_is_none(event):
    follower = following(TextStart("t"), TextDelta("t", "a"))
    assert follower.follow([TextDelta("t", "b"), event]) is None


def test_text_of_a_part_that_is_not_the_last_is_none():
    follower = following(TextStart("t"), TextDelta("t", "a"))
    assert follower.follow([SOURCE]) is None
    assert follower.follow([TextDelta("t", "b")]) is None
    assert follower.follow([TextEnd("t")]) is None
    assert follower.follow([TextStart("u"), TextDelta("u", "c")]) == [Said("text", "c", True, False)]


def test_of_two_open_parts_only_the_later_one_grows():
    follower = following(TextStart("t"), ReasoningStart("r"))
    assert follower.follow([ReasoningDelta("r", "a")]) == [Said("reasoning", "a", False, False)]
    assert follower.follow([TextDelta("t", "b"), ReasoningDelta("r", "c")]) is None
    assert follower.follow([TextEnd("t")]) is None
    follower.follow([ReasoningEnd("r")])
    assert follower.follow([TextStart("u")]) == [Said("text", "", True, False)]


@pytest.mark.parametrize(
    "events",
    [
        [TextStart("t"), TextDelta("t", "a"), TextDelta("t", "b")],
        [TextStart("t"), TextDelta("t", "a"), TextEnd("t"), TextStart("u"), TextDelta("u", "b")],
        [ReasoningStart("r"), ReasoningDelta("r", "a"), ReasoningEnd("r"), TextStart("t"), TextDelta("t", "b")],
        [TextStart("t"), TextEnd("t"), StepFinish()],
        [TextStart("t"), TextDelta("t", "\U0001f99c"), TextDelta("t", '\\"\n\u2028')],
    ],
)
def test_a_message_with_what_was_said_is_what_the_reducer_makes_of_it(events):
    whole = fold(None, [*START, *events])
    for cut in range(len(events) + 1):
        follower = following(*events[:cut])
        base = fold(None, [*START, *events[:cut]])
        assert base is not None
        said = follower.follow(events[cut:])
        assert said is not None
        assert grown(base, from_row(json.loads(json.dumps(to_row(said))))) == whole


def test_what_a_message_was_grown_from_stays_as_it_is():
    base = message({"type": "text", "text": "a", "state": "streaming"})
    assert grown(base, [Said("text", "b", False, True)]).to_wire()["parts"] == [
        {"type": "text", "text": "ab", "state": "done"}
    ]
    assert base.to_wire()["parts"] == [{"type": "text", "text": "a", "state": "streaming"}]


def test_a_piece_for_a_message_without_parts_begins_one():
    assert grown(message(), [Said("text", "b", False, False)]).text == "b"


def test_halves_of_a_character_meet_again():
    """Some services cut between the two halves of a surrogate pair."""
    said = [Said("text", "\ud83e", True, False), Said("text", "\udd9c", False, True)]
    assert from_row(json.loads(json.dumps(to_row(said)))) == said
    text = grown(message(), said).text
    assert text.encode("utf-16-le", "surrogatepass").decode("utf-16-le") == "\U0001f99c"
