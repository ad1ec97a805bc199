"""The tool calls of one model call: what of them is shown, what is recorded, and which are to run.

Calls that the service runs itself pass through. All others are held back until the model call has ended: then they are
recorded together, and only after that does anybody hear of them or run them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from app.chat.ledger import CallBook
from app.chat.outputs import is_too_long, plain
from app.chat.tools import CONFIRM, Toolset
from app.core.events import (
    FinishReason,
    StreamEvent,
    ToolApprovalRequest,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
)
from app.core.messages import approval_metadata
from app.core.tools import ToolRecord

MOST_CALLS = 16
"""That run in one step; the others are answered with an error."""
MAX_STREAMED = 200_000
"""Characters of arguments that are shown while they come."""

_EXCERPT = 1_000
"""Characters of arguments that are too long."""

CUT_OFF_REASONS: frozenset[FinishReason] = frozenset({"length", "content-filter", "error"})
CUT_OFF = "The answer was cut off, so this call was not run."
TOO_MANY = f"At most {MOST_CALLS} calls can be made at once; this one was not run."
TOO_LONG = "The arguments of this call are too long."
NOT_JSON = "The arguments of this call hold what no tool can take."

CallEvent: TypeAlias = (
    ToolInputStart | ToolInputDelta | ToolInputAvailable | ToolInputError | ToolOutputAvailable | ToolOutputError
)
_Held: TypeAlias = ToolInputAvailable | ToolInputError

_GOOD_ID = re.compile(r"[A-Za-z0-9_-]{9,64}")
_NOT_IN_NAMES = re.compile(r"[^\w.:/-]", re.ASCII)


class StepCalls:
    def __init__(self, toolset: Toolset, book: CallBook, message_id: str, new_id: Callable[[], str]) -> None:
        """`message_id`: the answer that the calls stand in."""
        self.to_run: list[ToolRecord] = []
        """After `announce`: recorded as running."""
        self.waits = False
        """After `announce`: some wait for the client or for the user's yes."""
        self._toolset = toolset
        self._book = book
        self._message_id = message_id
        self._new_id = new_id
        self._ids: dict[str, str] = {}
        """The service's id → ours, of the call that it means at the moment. The same where nothing speaks against it:
        ids that another call of the conversation has, or that look like a number, must not reach a client."""
        self._used: set[str] = set()
        self._whole: set[str] = set()
        """Ids of the service whose arguments are all there: when one comes again, it is another call."""
        self._hidden: set[str] = set()
        """Calls that a client hears of when the user has answered."""
        self._streamed: dict[str, int] = {}
        self._held: list[_Held] = []
        self._ran: dict[str, ToolRecord] = {}
        """Calls that the service runs itself."""

    @property
    def count(self) -> int:
        """How many have begun, the service's own included."""
        return len(self._used)

    @property
    def made(self) -> bool:
        """The model has made calls that are ours to answer."""
        return bool(self._held)

    def read(self, event: CallEvent) -> StreamEvent | None:
        """What a client may hear of the event now."""
        match event:
            case ToolInputStart():
                return self._start(event)
            case ToolInputDelta():
                return self._delta(event)
            case ToolInputAvailable() | ToolInputError():
                return self._input(event)
            case ToolOutputAvailable() | ToolOutputError():
                return self._output(event)

    async def announce(self, reason: FinishReason) -> Sequence[StreamEvent]:
        """Record all calls; then what the client is to hear of them, in their order.

        Raises:
            StorageUnavailable: they are not recorded, so they may not run.
        """
        events: list[StreamEvent] = []
        records: list[ToolRecord] = []
        for number, call in enumerate(self._held):
            problem = self._problem_of(call, reason, number)
            if problem is not None:
                records.append(self._record(call, "failed", error_text=problem))
                events.append(_refused(call, problem))
            else:
                assert isinstance(call, ToolInputAvailable)
                self._admit(call, records, events)
        self.to_run = [record for record in records if record.state == "running"]
        self.waits = any(record.state in ("open", "asking") for record in records)
        await self._book.put([*self._ran.values(), *records])
        return events

    def _start(self, event: ToolInputStart) -> StreamEvent | None:
        call_id = self._id_of(event.tool_call_id, provider_executed=event.provider_executed)
        name = self._name(event.tool_name)
        if self._is_hidden(call_id, name, provider_executed=event.provider_executed):
            return None
        return replace(event, tool_call_id=call_id, tool_name=name, dynamic=self._is_dynamic(name))

    def _delta(self, event: ToolInputDelta) -> StreamEvent | None:
        call_id = self._ids.get(event.tool_call_id)
        if call_id is None or call_id in self._hidden or event.tool_call_id in self._whole:
            return None
        self._streamed[call_id] = self._streamed.get(call_id, 0) + len(event.delta)
        return None if self._streamed[call_id] > MAX_STREAMED else replace(event, tool_call_id=call_id)

    def _input(self, event: _Held) -> StreamEvent | None:
        call_id = self._id_of(event.tool_call_id, provider_executed=event.provider_executed)
        self._whole.add(event.tool_call_id)
        name = self._name(event.tool_name)
        event = replace(event, tool_call_id=call_id, tool_name=name, dynamic=self._is_dynamic(name))
        if not event.provider_executed:
            self._is_hidden(call_id, name, provider_executed=False)
            self._held.append(event)
            return None
        event = replace(event, input=_shown(event.input))
        if isinstance(event, ToolInputError):
            self._ran[call_id] = self._record(event, "failed", error_text=event.error_text)
        else:
            self._ran[call_id] = self._record(event, "running")
        return event

    def _output(self, event: ToolOutputAvailable | ToolOutputError) -> StreamEvent | None:
        call_id = self._ids.get(event.tool_call_id, event.tool_call_id)
        record = self._ran.get(call_id) or self._waiting(call_id)
        if record is None:
            return None
        if isinstance(event, ToolOutputAvailable):
            event = replace(event, output=_plain(event.output))
            settled = record.settled("done", output=event.output)
        else:
            settled = record.settled("failed", error_text=event.error_text)
        self._ran[call_id] = replace(settled, result_metadata=event.provider_metadata)
        return replace(event, tool_call_id=call_id, provider_executed=True, dynamic=record.dynamic)

    def _waiting(self, call_id: str) -> ToolRecord | None:
        """A call of an earlier step of this answer that the service has not run until now."""
        record = self._book.records.get(call_id)
        if record is None or record.message_id != self._message_id:
            return None
        return record if (record.runs, record.state) == ("provider", "running") else None

    def _problem_of(self, call: _Held, reason: FinishReason, number: int) -> str | None:
        if reason in CUT_OFF_REASONS:
            return CUT_OFF
        if isinstance(call, ToolInputError):
            return call.error_text
        if number >= MOST_CALLS:
            return TOO_MANY
        try:
            if plain(call.input) != call.input:
                return NOT_JSON
        except ValueError:
            return NOT_JSON
        return TOO_LONG if is_too_long(call.input) else self._toolset.problem_of(call.tool_name, call.input)

    def _admit(self, call: ToolInputAvailable, records: list[ToolRecord], events: list[StreamEvent]) -> None:
        """A call that may run: now, in the client, or when the user has said yes."""
        tool = self._toolset.tools[call.tool_name]
        if tool.execute is None:
            records.append(replace(self._record(call, "open"), runs="client"))
            events.append(call)
        elif call.tool_name not in self._toolset.asks:
            records.append(self._record(call, "running"))
            events.append(call)
        else:
            approval_id = self._new_id()
            records.append(replace(self._record(call, "asking"), approval_id=approval_id))
            if self._toolset.shows_approvals:
                events += [call, ToolApprovalRequest(call.tool_call_id, approval_id)]
            else:
                question = {"toolName": call.tool_name, "input": call.input, "toolCallId": call.tool_call_id}
                metadata = approval_metadata(approval_id)
                confirm = ToolInputAvailable(f"call_{self._new_id()}", CONFIRM, question, provider_metadata=metadata)
                asked = replace(self._record(confirm, "open"), runs="client", approval_id=approval_id)
                records.append(asked)
                events.append(confirm)

    def _record(self, call: _Held, state: Any, error_text: str | None = None) -> ToolRecord:
        return ToolRecord(
            tool_call_id=call.tool_call_id,
            message_id=self._message_id,
            tool_name=call.tool_name,
            input=_shown(call.input),
            runs="provider" if call.provider_executed else "server",
            state=state,
            error_text=error_text,
            dynamic=call.dynamic,
            call_metadata=call.provider_metadata,
        )

    def _id_of(self, upstream: str, *, provider_executed: bool) -> str:
        """Our id of the call; a service's own calls keep theirs, which the service may know them by."""
        if upstream in self._ids and upstream not in self._whole:
            return self._ids[upstream]
        good = bool(upstream) if provider_executed else _GOOD_ID.fullmatch(upstream) is not None
        good = good and upstream != "__proto__"  # ids become keys of objects
        taken = upstream in self._used or upstream in self._book.records
        call_id = upstream if good and not taken else f"call_{self._new_id()}"
        self._whole.discard(upstream)
        self._used.add(call_id)
        self._ids[upstream] = call_id
        return call_id

    def _is_hidden(self, call_id: str, name: str, *, provider_executed: bool) -> bool:
        if provider_executed or self._toolset.shows_approvals or name not in self._toolset.asks:
            return False
        self._hidden.add(call_id)
        return True

    def _is_dynamic(self, name: str) -> bool:
        tool = self._toolset.tools.get(name)
        return tool is not None and tool.dynamic

    def _name(self, name: str) -> str:
        """What models make up as a name becomes the type of a part."""
        return name if name in self._toolset.tools else _NOT_IN_NAMES.sub("_", name)[:128] or "_"


def _refused(call: _Held, problem: str) -> ToolInputError:
    return ToolInputError(
        call.tool_call_id, call.tool_name, _shown(call.input), problem, call.dynamic, False, call.provider_metadata
    )


def _shown(arguments: Any) -> Any:
    """As much of a model's arguments as everybody can take."""
    arguments = _plain(arguments)
    if not is_too_long(arguments):
        return arguments
    return (arguments if isinstance(arguments, str) else json.dumps(arguments))[:_EXCERPT]


def _plain(value: Any) -> Any:
    try:
        return plain(value)
    except ValueError:
        return ""
