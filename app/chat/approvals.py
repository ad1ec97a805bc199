"""Going on with an answer that waits: the outputs of a client's tools, the user's yes or no, and what follows of them.

The records decide (`core.tools`). What a client sends counts only where a record is open for it, once; a client that
contradicts a record is refused, and nothing runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from app.chat.outputs import limited, plain, taken
from app.core.errors import ApprovalRefused, InvalidRequest
from app.core.events import (
    StreamEvent,
    ToolApprovalRequest,
    ToolApprovalResponse,
    ToolInputAvailable,
    ToolOutputAvailable,
    ToolOutputDenied,
    ToolOutputError,
)
from app.core.fold import fold
from app.core.messages import Part, ToolPart, UIMessage
from app.core.tools import SETTLED, ApprovalAnswer, CallState, ToolRecord

UNFINISHED = "The server was restarted while this call ran. Whether it had its effect is not known."
SUPERSEDED = "The user went on without answering."
_FINAL = frozenset({"output-available", "output-error", "output-denied"})


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a call, if its state is still `when`."""

    record: ToolRecord
    when: CallState


@dataclass(frozen=True, slots=True)
class Continuation:
    """An answer that is gone on with."""

    base: UIMessage
    """As it is stored, with what the client has brought."""
    changes: tuple[Change, ...] = ()
    """To be written before anything runs."""
    events: tuple[StreamEvent, ...] = ()
    """What has happened to calls that the client may not know."""
    to_run: tuple[ToolRecord, ...] = ()
    """Calls that have their yes."""
    waits: bool = False
    """Other calls are still open: nothing to ask the model for."""
    allowed: frozenset[str] = frozenset()
    """Tools that need no yes any more in this conversation."""


def is_confirmation(record: ToolRecord) -> bool:
    """It is no call of the model's but our question to a client that shows no requests for approval."""
    return record.runs == "client" and record.approval_id is not None


def go_on(
    stored: UIMessage,
    sent: UIMessage | None,
    answers: Sequence[ApprovalAnswer],
    records: Mapping[str, ToolRecord],
    *,
    is_stored: bool = True,
) -> Continuation:
    """What a client's message, which ends with an answer of ours, means.

    Args:
        stored: the answer as we know it.
        sent: the same as the client has it, if it sent it.
        answers: to requests for approval, beside those in `sent`.
        records: of the conversation.
        is_stored: whether `stored` is; otherwise it is all that the client has.

    Raises:
        ApprovalRefused: a forged, altered, repeated or contradicting answer to a request for approval.
    """
    calls = {call_id: record for call_id, record in records.items() if record.message_id == stored.id}
    parts = {part.tool_call_id: part for part in (sent or stored).parts if isinstance(part, ToolPart)}
    outputs = list(_outputs(calls, parts))
    allowed = _allowed(calls, answers)
    answers = [*answers, *_implied(calls, allowed)]
    decided, repeated = _decisions(calls, [*_sent_answers(parts, calls), *answers, *_confirmed(outputs)])
    changes = [*outputs, *decided, *_confirmations_of(decided, calls, outputs)]
    changes += [
        Change(record.settled("failed", error_text=UNFINISHED), "running")
        for record in calls.values()
        if record.state == "running" and record.runs == "server"
    ]
    now = {**calls, **{change.record.tool_call_id: change.record for change in changes}}
    unseen = _unseen(stored, sent, calls)
    base = _with_outputs(stored, changes, [now[call_id] for call_id in unseen if call_id in now])
    ours = [
        record
        for call_id, record in now.items()
        if record.runs != "provider" and not is_confirmation(record) and call_id not in unseen
    ]
    told = _told(base, parts)
    untold = is_stored and any(_is_news(record, _told(stored, {})) for record in ours)  # a crash came between
    if repeated and not changes and not untold:
        raise ApprovalRefused("This request for approval has been answered already. Load the conversation again.")
    return Continuation(
        base=base,
        changes=tuple(changes),
        events=tuple(event for record in ours for event in _news(record, calls, told)),
        to_run=tuple(record for record in ours if record.state == "approved"),
        waits=any(record.state in ("open", "asking") for record in ours),
        allowed=allowed,
    )


def supersede(records: Mapping[str, ToolRecord], message_ids: Sequence[str]) -> list[Change]:
    """A new question leaves open what the messages before it wait for: nobody is asked any more."""
    left = frozenset(message_ids)
    return [
        Change(record.settled("denied", error_text=SUPERSEDED), record.state)
        for record in records.values()
        if record.message_id in left and record.state in ("open", "asking", "approved")
    ]


def without_confirmations(messages: Sequence[UIMessage], records: Mapping[str, ToolRecord]) -> Sequence[UIMessage]:
    """The messages as the model knows them: in the place of a question of ours stands the call that it is about."""
    asking = {record.approval_id: record for record in records.values() if record.runs == "server"}
    asked = {call_id: asking.get(record.approval_id) for call_id, record in records.items() if is_confirmation(record)}
    if not asked:
        return messages
    return [message.model_copy(update={"parts": tuple(_as_called(message.parts, asked))}) for message in messages]


def _as_called(parts: Sequence[Part], asked: Mapping[str, ToolRecord | None]) -> Iterator[Part]:
    """`asked`: by our questions, the calls that they are about."""
    done: set[str] = set()
    for part in parts:
        if not isinstance(part, ToolPart):
            yield part
        elif part.tool_call_id not in asked:
            if part.tool_call_id not in done:
                yield part
        elif (record := asked[part.tool_call_id]) is not None:
            done.add(record.tool_call_id)  # it is shown once more behind the answer
            kind, call_id = f"tool-{record.tool_name}", record.tool_call_id
            yield ToolPart(type=kind, tool_call_id=call_id, state="input-available", input=record.input)


def closed(message: UIMessage, changes: Sequence[Change]) -> UIMessage:
    """A stored answer whose open calls are superseded, as it is shown from then on."""
    events: list[StreamEvent] = []
    shown = {part.tool_call_id for part in message.parts if isinstance(part, ToolPart)}
    for record in (change.record for change in changes):
        if record.tool_call_id in shown and record.runs == "client":
            events.append(ToolOutputError(record.tool_call_id, SUPERSEDED, record.dynamic))
        elif record.tool_call_id in shown:
            events.append(ToolOutputDenied(record.tool_call_id, record.dynamic))
    return fold(message, events) or message


def _outputs(calls: Mapping[str, ToolRecord], parts: Mapping[str, ToolPart]) -> Iterator[Change]:
    """What the client's own tools gave, where we wait for it."""
    for call_id, part in parts.items():
        record = calls.get(call_id)
        if record is None or record.state != "open":
            continue
        if part.state == "output-available":
            yield Change(record.settled("done", output=taken(part.output)), "open")
        elif part.state == "output-error":
            text = str(taken(part.error_text or "The tool failed."))
            yield Change(record.settled("failed", error_text=text), "open")


def _sent_answers(parts: Mapping[str, ToolPart], calls: Mapping[str, ToolRecord]) -> Iterator[ApprovalAnswer]:
    for call_id, part in parts.items():
        if part.state != "approval-responded" or part.approval is None or part.approval.approved is None:
            continue
        record = calls.get(call_id)
        if record is None or record.approval_id != part.approval.id:
            raise ApprovalRefused("There is no such request for approval. Load the conversation again.")
        if part.name != record.tool_name or ("input" in part.model_fields_set and not _same(part.input, record.input)):
            raise ApprovalRefused("The call that is approved is not the one that was asked about.")
        yield ApprovalAnswer(part.approval.id, part.approval.approved, part.approval.reason)


def _allowed(calls: Mapping[str, ToolRecord], answers: Sequence[ApprovalAnswer]) -> frozenset[str]:
    """The tools whose open requests are answered with a yes for always."""
    always = {answer.approval_id for answer in answers if answer.approved and answer.always}
    return frozenset(
        record.tool_name for record in calls.values() if record.state == "asking" and record.approval_id in always
    )


def _implied(calls: Mapping[str, ToolRecord], allowed: frozenset[str]) -> Iterator[ApprovalAnswer]:
    """The other open requests of tools that need no yes any more have it too."""
    for record in calls.values():
        if record.state == "asking" and record.tool_name in allowed and record.approval_id is not None:
            yield ApprovalAnswer(record.approval_id, approved=True)


def _same(sent: Any, ours: Any) -> bool:
    """Whether it is the same JSON; JavaScript knows numbers only as floats."""
    if isinstance(ours, Mapping):
        return isinstance(sent, Mapping) and sent.keys() == ours.keys() and all(_same(sent[k], ours[k]) for k in ours)
    if isinstance(ours, list):
        return isinstance(sent, list) and len(sent) == len(ours) and all(map(_same, sent, ours))
    if isinstance(ours, bool) or isinstance(sent, bool):
        return sent is ours
    if isinstance(ours, int | float) and isinstance(sent, int | float):
        with suppress(OverflowError):  # no client's number, then
            return sent == ours or float(sent) == float(ours)
        return False
    return bool(sent == ours)


def _confirmed(outputs: Sequence[Change]) -> Iterator[ApprovalAnswer]:
    """What `confirm` gave; a tool that could not ask has no yes.

    Raises:
        InvalidRequest: neither a clear yes nor a clear no: the question stays open.
    """
    for record in (change.record for change in outputs):
        if is_confirmation(record) and record.approval_id is not None:
            output = record.output if isinstance(record.output, Mapping) else {"approved": record.output}
            reason = output.get("reason")
            if record.state == "done" and not isinstance(output.get("approved"), bool):
                raise InvalidRequest(
                    'The output of `confirm` must be {"approved": true}, or {"approved": false, "reason": …}.',
                    param="output",
                )
            yield ApprovalAnswer(
                record.approval_id, output.get("approved") is True, reason if isinstance(reason, str) else None
            )


def _decisions(
    calls: Mapping[str, ToolRecord], answers: Sequence[ApprovalAnswer]
) -> tuple[list[Change], list[ToolRecord]]:
    """What the answers change, and the calls whose request had the very same answer already."""
    asked = {record.approval_id: record for record in calls.values() if record.runs == "server" and record.approval_id}
    changes: dict[str, Change] = {}
    repeated: list[ToolRecord] = []
    for answer in answers:
        record = asked.get(answer.approval_id)
        if record is None:
            raise ApprovalRefused("There is no such request for approval. Load the conversation again.")
        earlier = changes[record.tool_call_id].record if record.tool_call_id in changes else record
        if earlier.state != "asking":
            if (earlier.state == "denied") == answer.approved:
                raise ApprovalRefused("This request for approval has another answer already, or was given up.")
            if record.state not in ("asking", "approved"):
                repeated.append(record)
        elif answer.approved:
            changes[record.tool_call_id] = Change(replace(record, state="approved"), "asking")
        else:
            reason = None if answer.reason is None else limited(plain(answer.reason))
            changes[record.tool_call_id] = Change(record.settled("denied", error_text=reason), "asking")
    return list(changes.values()), repeated


def _confirmations_of(
    decided: Sequence[Change], calls: Mapping[str, ToolRecord], outputs: Sequence[Change]
) -> Iterator[Change]:
    """The calls of `confirm` whose question was answered elsewhere: on the page, say."""
    answered = {change.record.approval_id: change.record.state == "approved" for change in decided}
    settled = {change.record.tool_call_id for change in outputs}
    for record in calls.values():
        is_open = is_confirmation(record) and record.state == "open" and record.tool_call_id not in settled
        if is_open and record.approval_id in answered:
            yield Change(record.settled("done", output={"approved": answered[record.approval_id]}), "open")


def _unseen(stored: UIMessage, sent: UIMessage | None, calls: Mapping[str, ToolRecord]) -> frozenset[str]:
    """Calls that the client does not have, because its copy is older: it could not be told of them."""
    if sent is None or not sent.parts:
        return frozenset()
    has = {part.tool_call_id for part in sent.parts if isinstance(part, ToolPart)}
    shown = {part.tool_call_id for part in stored.parts if isinstance(part, ToolPart)}
    lost = shown - has
    questions = {calls[call_id].approval_id for call_id in lost if call_id in calls} - {None}
    hidden = {call_id for call_id, record in calls.items() if record.approval_id in questions and call_id not in shown}
    return frozenset(lost | hidden)


def _with_outputs(stored: UIMessage, changes: Sequence[Change], unseen: Sequence[ToolRecord]) -> UIMessage:
    """The stored answer with what the client knows already, or is not told."""
    shown = {part.tool_call_id: part.state for part in stored.parts if isinstance(part, ToolPart)}
    events: list[StreamEvent] = []
    for record in (change.record for change in changes):
        if record.tool_call_id not in shown:
            continue
        if record.runs == "client":
            events += _outcome(record)
        elif record.state in ("approved", "denied"):
            events.append(_response(record))
    for record in unseen:
        if shown.get(record.tool_call_id, "output-denied") not in _FINAL:
            events += _outcome(record)
    return fold(stored, events) or stored


def _told(base: UIMessage, sent: Mapping[str, ToolPart]) -> Mapping[str, bool]:
    """The calls that are shown, and whether the stored answer and the client both have what came of them."""
    shown = {part.tool_call_id: part for part in base.parts if isinstance(part, ToolPart)}
    return {
        call_id: part.state in _FINAL and sent.get(call_id, part).state in _FINAL for call_id, part in shown.items()
    }


def _is_news(record: ToolRecord, told: Mapping[str, bool]) -> bool:
    return record.state in SETTLED | {"approved"} and not told.get(record.tool_call_id)


def _news(record: ToolRecord, before: Mapping[str, ToolRecord], told: Mapping[str, bool]) -> Iterator[StreamEvent]:
    """What the client is told of a call before anything runs."""
    decided = record.state != before[record.tool_call_id].state and record.state in ("approved", "denied")
    if record.tool_call_id not in told:
        if not _is_news(record, told) or record.approval_id is None:
            return  # not shown yet, and there is nothing to show
        call_id, name = record.tool_call_id, record.tool_name
        yield ToolInputAvailable(call_id, name, record.input, record.dynamic, provider_metadata=record.call_metadata)
        yield ToolApprovalRequest(call_id, record.approval_id)
        decided = True
    if decided and record.approval_id is not None:
        yield _response(record)
    if not told.get(record.tool_call_id):
        yield from _outcome(record)


def _response(record: ToolRecord) -> ToolApprovalResponse:
    approved = record.state != "denied"
    reason = None if approved else record.error_text
    return ToolApprovalResponse(record.tool_call_id, record.approval_id or "", approved, reason)


def _outcome(record: ToolRecord) -> Iterator[StreamEvent]:
    match record.state:
        case "done":
            yield ToolOutputAvailable(record.tool_call_id, record.output, record.dynamic)
        case "failed":
            yield ToolOutputError(record.tool_call_id, record.error_text or "", record.dynamic)
        case "denied":
            yield ToolOutputDenied(record.tool_call_id, record.dynamic)
        case _:
            pass
