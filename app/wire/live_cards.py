"""The cards of an answer's tool calls while it is made: how far each is, and what the page does not show of it yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, assert_never

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
from app.core.messages import ToolPart, UIMessage, approval_of
from app.core.tools import CANCELLED
from app.wire.tool_card import ENDED, Condition, ToolCard, confirm_card, show_input, shown_output, tool_card
from app.wire.transcript import show_duration


class LiveCards:
    def __init__(self, base: UIMessage | None, *, timed: bool, monotonic: Callable[[], float]) -> None:
        """`base` has the calls that the page shows already; without `timed` no duration is told."""
        parts = base.parts if base is not None else ()
        self._cards = {part.tool_call_id: tool_card(part) for part in parts if isinstance(part, ToolPart)}
        self._timed = timed
        self._monotonic = monotonic
        self._began: dict[str, float] = {}
        self._arguments: dict[str, list[str]] = {}
        """What has come of arguments that are being written, and is not shown yet."""
        self._inputs: dict[str, str] = {}
        """Those that are whole now, and are not shown so yet."""
        self._changed: dict[str, None] = {}
        """Cards that are not shown as they are, in the order in which they changed."""

    def apply(self, event: ToolEvent) -> ToolCard | None:
        """The card, if the page has none of this call yet."""
        call_id = event.tool_call_id
        match event:
            case ToolInputStart(_, name):
                return self._put(call_id, ToolCard(name, "writing", ""))
            case ToolInputDelta(_, delta):
                self._arguments.setdefault(call_id, []).append(delta)
            case ToolInputAvailable(_, name, value):
                asking = confirm_card(name, value, approval_of(event.provider_metadata))
                return self._put(call_id, asking or ToolCard(name, "running", show_input(value)))
            case ToolInputError(_, name, value, text):
                return self._put(call_id, ToolCard(name, "failed", show_input(value), error=text))
            case ToolOutputAvailable(_, output):
                condition: Condition = "running" if event.preliminary else "done"
                self._change(call_id, condition, **shown_output(output))
            case ToolOutputError(_, text):
                stopped = text == CANCELLED
                condition = "stopped" if stopped else "failed"
                self._change(call_id, condition, **shown_output(None), error="" if stopped else text)
            case ToolOutputDenied():
                self._change(call_id, "denied", approval_id=None)
            case ToolApprovalRequest(_, approval_id):
                self._change(call_id, "asking", approval_id=approval_id)
            case ToolApprovalResponse(_, _, approved):
                self._began[call_id] = self._monotonic()
                self._change(call_id, "running" if approved else "denied", approval_id=None)
            case _:
                assert_never(event)
        return None

    def end(self) -> None:
        """The answer has ended: nothing will come of the calls that nothing has come of, here at least."""
        for call_id, card in self._cards.items():
            if card.condition in ("writing", "running"):
                self._change(call_id, "waiting")

    @property
    def requests(self) -> int:
        """How many calls wait for the user's yes."""
        return sum(card.condition == "asking" for card in self._cards.values())

    def take_arguments(self) -> Iterator[tuple[str, str, bool]]:
        """What has been written of arguments since the last time; whether it stands for all that was before."""
        for call_id, pieces in self._arguments.items():
            yield call_id, "".join(pieces), False
        for call_id, text in self._inputs.items():
            yield call_id, text, True
        self._arguments.clear()
        self._inputs.clear()

    def take_changes(self) -> Iterator[tuple[str, ToolCard]]:
        """The cards that have changed since the last time."""
        for call_id in self._changed:
            yield call_id, self._cards[call_id]
        self._changed.clear()

    def _put(self, call_id: str, card: ToolCard) -> ToolCard | None:
        self._arguments.pop(call_id, None)
        self._began[call_id] = self._monotonic()
        is_new = call_id not in self._cards
        self._cards[call_id] = card
        if is_new:
            return card
        self._inputs[call_id] = card.input
        self._changed[call_id] = None
        return None

    def _change(self, call_id: str, condition: Condition, **changes: Any) -> None:
        duration = ""
        if self._timed and condition in ENDED and (began := self._began.get(call_id)) is not None:
            duration = show_duration(self._monotonic() - began)
        self._cards[call_id] = replace(self._cards[call_id], condition=condition, duration=duration, **changes)
        self._changed[call_id] = None
