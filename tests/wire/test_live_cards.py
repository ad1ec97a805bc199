"""How tool cards change while an answer is made."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.events import (
    ToolApprovalRequest,
    ToolApprovalResponse,
    ToolEvent,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputDenied,
    ToolOutputError,
)
from app.core.messages import UIMessage
from app.core.tools import CANCELLED
from app.wire.live_cards import LiveCards
from app.wire.tool_card import ToolCard

CALL = ToolInputAvailable("c", "weigh", {"what": "tea"})
ASKING = {
    "type": "tool-weigh",
    "toolCallId": "c",
    "input": {"what": "tea"},
    "state": "approval-requested",
    "approval": {"id": "ap1"},
}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def live(events: Sequence[ToolEvent], *, base: UIMessage | None = None, timed: bool = True) -> LiveCards:
    """Cards after events, one a second."""
    cards = LiveCards(base, timed=timed, monotonic=Clock())
    for event in events:
        cards.apply(event)
    return cards


def changed(cards: LiveCards) -> list[ToolCard]:
    return [card for _, card in cards.take_changes()]


def asking() -> UIMessage:
    return UIMessage.model_validate({"id": "a1", "role": "assistant", "parts": [ASKING]})


def test_a_call_is_new_once() -> None:
    cards = LiveCards(None, timed=True, monotonic=Clock())
    assert cards.apply(ToolInputStart("c", "weigh")) == ToolCard("weigh", "writing", "")
    assert cards.apply(CALL) is None
    assert cards.apply(ToolInputAvailable("d", "count", {})) == ToolCard("count", "running", "")


def test_what_happens_at_once_is_one_change() -> None:
    cards = live([ToolInputStart("c", "weigh"), CALL, ToolApprovalRequest("c", "ap1")])
    (card,) = changed(cards)
    assert (card.condition, card.approval_id) == ("asking", "ap1")
    assert changed(cards) == []


def test_arguments_are_told_piece_by_piece_and_once_more_when_they_are_whole() -> None:
    start = [ToolInputStart("c", "weigh"), ToolInputDelta("c", '{"wh'), ToolInputDelta("c", 'at": ')]
    cards = live(start)
    assert list(cards.take_arguments()) == [("c", '{"what": ', False)]
    assert list(cards.take_arguments()) == []
    cards.apply(ToolInputDelta("c", '"tea"}'))
    cards.apply(CALL)
    assert list(cards.take_arguments()) == [("c", '{\n  "what": "tea"\n}', True)]


def test_a_call_tells_how_long_it_ran() -> None:
    (card,) = changed(live([CALL, ToolOutputAvailable("c", "451 g")]))
    assert (card.condition, card.text, card.duration) == ("done", "451 g", "1.0 s")
    (card,) = changed(live([CALL, ToolOutputAvailable("c", "451 g")], timed=False))
    assert card.duration == ""


def test_a_preliminary_output_is_no_end() -> None:
    (card,) = changed(live([CALL, ToolOutputAvailable("c", {"done": 1}, preliminary=True)]))
    assert (card.condition, card.duration) == ("running", "")
    assert "done" in card.text


def test_a_call_that_ends_with_its_answer_is_stopped() -> None:
    (card,) = changed(live([CALL, ToolOutputError("c", CANCELLED)]))
    assert (card.condition, card.error) == ("stopped", "")


def test_an_error_takes_the_place_of_what_came_before() -> None:
    (card,) = changed(live([CALL, ToolOutputAvailable("c", "x", preliminary=True), ToolOutputError("c", "down")]))
    assert (card.condition, card.text, card.error) == ("failed", "", "down")


def test_a_call_that_cannot_run_has_failed() -> None:
    cards = LiveCards(None, timed=True, monotonic=Clock())
    card = cards.apply(ToolInputError("c", "weigh", "{", "not JSON"))
    assert card == ToolCard("weigh", "failed", "{", error="not JSON")


def test_a_stored_call_goes_on_with_its_name_and_arguments_and_the_yes_starts_the_clock() -> None:
    yes = [ToolApprovalResponse("c", "ap1", approved=True), ToolOutputAvailable("c", "ok")]
    (card,) = changed(live(yes, base=asking()))
    assert (card.name, card.condition, card.duration, card.approval_id) == ("weigh", "done", "1.0 s", None)
    assert "tea" in card.input


def test_a_no_closes_the_question() -> None:
    no = ToolApprovalResponse("c", "ap1", approved=False)
    for events in ([no], [no, ToolOutputDenied("c")], [ToolOutputDenied("c")]):
        (card,) = changed(live(events, base=asking()))
        assert (card.condition, card.approval_id, card.duration) == ("denied", None, "")


def test_open_requests_are_counted() -> None:
    cards = live([], base=asking())
    assert cards.requests == 1
    cards.apply(ToolInputAvailable("d", "count", {}))
    cards.apply(ToolApprovalRequest("d", "ap2"))
    assert cards.requests == 2
    cards.apply(ToolApprovalResponse("c", "ap1", approved=True))
    assert cards.requests == 1


def test_at_the_end_nothing_runs_any_more() -> None:
    cards = live(
        [CALL, ToolInputStart("d", "count"), ToolInputAvailable("e", "sell", {}), ToolApprovalRequest("e", "a")]
    )
    changed(cards)
    cards.end()
    assert [card.condition for card in changed(cards)] == ["waiting", "waiting"]
