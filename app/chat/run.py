"""One run: ask the model, run the tools that it calls, ask again, and end well whatever happens.

A run tells batches of events, one per network read. It tells nothing until the model's first event, so that a failure
before that can still become an HTTP status. From then on the order is MessageStart, then for each model call StepStart,
parts, the calls of tools and what came of them, StepFinish, and at last MessageFinish.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from app.chat.approvals import Continuation
from app.chat.calls import CUT_OFF_REASONS, CallEvent, StepCalls
from app.chat.durations import Durations
from app.chat.execution import run_calls
from app.chat.ledger import CallBook
from app.chat.made_files import MadeFiles
from app.chat.open_parts import OpenParts
from app.chat.tools import Toolset
from app.core.convert import Prompt
from app.core.errors import AppError, ProviderBroken
from app.core.events import (
    Answering,
    CallWarning,
    FinishReason,
    GeneratedFile,
    MessageFinish,
    MessageStart,
    ModelEvent,
    ModelFinish,
    ReasoningDelta,
    ReasoningStart,
    SourceDocument,
    SourceUrl,
    Status,
    StepFinish,
    StepStart,
    StreamError,
    StreamEvent,
    TextDelta,
    TextStart,
    ToolInputDelta,
    ToolOutputError,
    Usage,
    Verbatim,
)
from app.core.fold import fold, merge_metadata
from app.core.heal import Repair
from app.core.messages import UIMessage
from app.core.model import ModelRequest
from app.core.ports import Provider
from app.core.tools import ToolRecord

log = logging.getLogger(__name__)

MAX_STEPS = 16
"""Model calls of one turn, unless a preset or a request says otherwise."""
MAX_ANSWER_CHARACTERS = 4_000_000
"""An upstream that never stops is cut here: the log and the database hold whole answers."""
MAX_ANSWER_PARTS = 2_000
"""Likewise. Clients send whole answers back; `wire.chat_request` takes those that are a little longer, too."""

_BEFORE_ANSWERS = (Status, CallWarning, Answering)
_BEGIN_PARTS = frozenset({TextStart, ReasoningStart, SourceUrl, SourceDocument, GeneratedFile, StepStart})


@dataclass(frozen=True, slots=True)
class Clock:
    now: Callable[[], datetime]
    """The time of day, UTC."""
    monotonic: Callable[[], float]
    """Seconds, for durations."""


class Account(Protocol):
    """Where the usage of the turn's model calls is entered."""

    def answered_by(self, answering: Answering) -> None:
        """A router has chosen who makes the calls that are entered from now on."""
        ...

    def note(self, usage: Usage) -> Mapping[str, Any]:
        """Enter one model call; what the message's metadata say of all of them so far."""
        ...

    async def written(self) -> None:
        """When the ledger has everything that was noted."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """Everything one run needs."""

    block_id: str
    message_id: str
    """The id of the answer: sent in `start`, stored, never changed."""
    preset_name: str
    provider: Provider
    request: ModelRequest
    """Without messages: `prompt` has those."""
    prompt: Callable[[UIMessage | None], Prompt]
    """What the model is asked when the answer has come so far."""
    account: Account
    tools: Toolset
    calls: CallBook
    files: MadeFiles
    new_id: Callable[[], str]
    max_steps: int = MAX_STEPS
    goes_on: Continuation | None = None
    """The stored answer that this run goes on with."""


Tell = Callable[[Sequence[StreamEvent]], Awaitable[None]]
"""Where a run's events go; never an empty batch."""

Say = Callable[[Sequence[StreamEvent]], None]
"""Where deltas go, nearly all there is: at once."""


async def run(turn: Turn, clock: Clock, open_parts: OpenParts, tell: Tell, say: Say) -> None:
    """Tell the answer's events in batches; failures become a StreamError. It raises what `tell` does."""
    made = _Run(turn, clock, open_parts, tell, say)
    try:
        await made.answer()
    except AppError as error:
        log.warning("run failed", extra={"block_id": turn.block_id, "preset": turn.preset_name, "code": error.code})
        failure = StreamError(error.message, error.code, error.status, error.retry_after)
    except Exception:  # one broken run must not end the others: a task group falls as one
        log.exception("run crashed", extra={"block_id": turn.block_id, "preset": turn.preset_name})
        failure = StreamError("The server made a mistake while answering. Please try again.", "internal_error", 500)
    else:
        return
    await tell([*open_parts.close(), failure] if made.begun else [failure])


class _Run:
    """The steps of one run, and what its end will tell of them."""

    def __init__(self, turn: Turn, clock: Clock, open_parts: OpenParts, tell: Tell, say: Say) -> None:
        self.begun = False
        """Something has been told."""
        self._turn = turn
        self._tell = tell
        self._say = say
        self._stepping = False
        """The model has begun to answer, and has not ended."""
        self._trouble: Exception | None = None
        """What `say` raised, where nobody could meet it."""
        self._clock = clock
        self._open_parts = open_parts
        self._began_at = clock.monotonic()
        self._first_event: float | None = None
        self._answering: Answering | None = None
        """Whom a router has chosen; without one the turn's own preset answers."""
        self._started = False
        self._characters = 0
        self._usage = Usage()
        self._reason: FinishReason = "tool-calls"
        self._metadata: dict[str, Any] = {}
        self._warnings = [CallWarning("tools", problem) for problem in turn.tools.problems]
        self._repairs: list[Repair] = []
        self._message = turn.goes_on.base if turn.goes_on is not None else None
        self._parts = len(self._message.parts) if self._message is not None else 0
        """Of the answer, without the calls of the step that is being made."""
        self._durations = Durations(clock.monotonic, self._message)
        self._said: list[StreamEvent] = []
        """What has happened to the message since."""

    async def answer(self) -> None:
        going_on = self._turn.goes_on
        if going_on is not None and (going_on.events or going_on.to_run or going_on.waits):
            await self._resume(going_on)
        waits = going_on is not None and going_on.waits
        for number in range(0 if waits else self._turn.max_steps):
            calls = StepCalls(self._turn.tools, self._turn.calls, self._turn.message_id, self._turn.new_id)
            await self._step(calls)
            if not calls.made or calls.waits or not self._goes_on:
                break
            if number == self._turn.max_steps - 1:
                limit = f"The answer ended after {self._turn.max_steps} model calls, as max_steps has it."
                self._warnings.append(CallWarning("max_steps", limit))
        await self._tell_noting([*self._open_parts.close(), self._finish()])

    @property
    def _goes_on(self) -> bool:
        """Whether calls of tools that the model has made are worth running."""
        return self._reason not in CUT_OFF_REASONS

    async def _tell_noting(self, events: Sequence[StreamEvent]) -> None:
        """Tell events, after noting which parts and calls they begin and end."""
        self._parts += sum(type(event) in _BEGIN_PARTS for event in events)
        self._durations.note(events)
        self._open_parts.note(events)
        self.begun = True
        self._said += events  # the next step begins with what was said
        await self._tell(events)

    def _hear(self, batch: Sequence[ModelEvent]) -> bool:
        """The short way of deltas, which begin and end nothing: from the network to the clients in one step of the
        event loop, while the run's task sleeps. False if the batch has to go the long way.
        """
        if not self._stepping or self._trouble is not None:
            return False
        characters = self._characters
        for event in batch:
            kind = type(event)
            if kind is not TextDelta and kind is not ReasoningDelta:
                return False
            characters += len(event.delta)  # type: ignore[union-attr]  # it is a delta, as has just been seen
        if characters > MAX_ANSWER_CHARACTERS:
            return False
        self._characters = characters
        self._said += batch  # type: ignore[arg-type]  # likewise
        try:
            self._say(batch)  # type: ignore[arg-type]  # likewise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the task's to end with
            self._trouble = error
            return False
        return True

    async def _resume(self, going_on: Continuation) -> None:
        """What has become of calls since, then those that have their yes."""
        await self._tell_noting([*self._start(), *going_on.events])
        to_run: list[ToolRecord] = []
        for record in going_on.to_run:
            problem = self._turn.tools.problem_of(record.tool_name, record.input)
            if problem is not None:
                await self._turn.calls.settle([record.settled("failed", error_text=problem)])
            elif await self._turn.calls.change(running := replace(record, state="running"), when="approved"):
                to_run.append(running)
            else:
                problem = "This call is being run already."
            if problem is not None:
                await self._tell_noting([ToolOutputError(record.tool_call_id, problem, record.dynamic)])
        await self._execute(to_run)

    async def _step(self, calls: StepCalls) -> None:
        """One model call, and the calls of tools that it makes."""
        finish = await self._listen(calls)
        self._reason = finish.reason
        self._parts += calls.count
        self._open_parts.whole = not calls.made or not self._goes_on
        self._note(finish)
        if announced := [*self._open_parts.close_texts(), *await calls.announce(finish.reason)]:
            await self._tell_noting(announced)
        await self._execute(calls.to_run)
        await self._tell_noting([StepFinish()])

    async def _listen(self, calls: StepCalls) -> ModelFinish:
        """What the model says, to its end. The deltas, nearly all there is, take the short way."""
        self._stepping = False
        async with aclosing(self._turn.provider.stream(self._request())) as batches:
            async for batch in batches:
                if self._hear(batch):
                    continue
                if self._trouble is not None:
                    raise self._trouble
                events, finish = await self._read(batch, calls)
                if not self._stepping and (
                    finish is not None or any(not isinstance(event, Status) for event in events)
                ):
                    self._stepping = True
                    events = [StepStart(), *events]
                if events:
                    await self._tell_noting([*self._start(), *events])
                if self._parts + calls.count > MAX_ANSWER_PARTS:
                    raise ProviderBroken(f"The answer was cut off: it grew past {MAX_ANSWER_PARTS:,} parts.")
                if finish is not None:
                    return finish
                if self._characters > MAX_ANSWER_CHARACTERS:
                    raise ProviderBroken(f"The answer was cut off: it grew past {MAX_ANSWER_CHARACTERS:,} characters.")
        raise ProviderBroken("The model's answer stopped before its end.")

    async def _execute(self, records: Sequence[ToolRecord]) -> None:
        self._open_parts.run(records)
        known = self._turn.tools.tools
        calls = [(record, known[record.tool_name]) for record in records]
        async with aclosing(run_calls(calls, self._turn.calls, self._turn.files)) as batches:
            async for events in batches:
                await self._tell_noting(events)

    def _request(self) -> ModelRequest:
        if self._said:
            self._message = fold(self._message, self._said)
            self._said = []
        prompt = self._turn.prompt(self._message)
        self._repairs += [repair for repair in prompt.repairs if repair not in self._repairs]
        return replace(self._turn.request, messages=prompt.messages, at_once=self._hear)

    async def _read(
        self, batch: Sequence[ModelEvent], calls: StepCalls
    ) -> tuple[list[StreamEvent], ModelFinish | None]:
        """What a client may hear of the batch, and its end mark."""
        if self._first_event is None and not all(isinstance(event, _BEFORE_ANSWERS) for event in batch):
            self._first_event = self._clock.monotonic()
        events: list[StreamEvent] = []
        for event in batch:
            match event:
                case TextDelta() | ReasoningDelta():
                    self._characters += len(event.delta)
                    events.append(event)
                case CallWarning():
                    self._warnings.append(event)
                case Answering():
                    self._answering = event
                    self._turn.account.answered_by(event)
                case ModelFinish():
                    return events, event
                case Verbatim():
                    pass  # no turn is relayed
                case GeneratedFile():
                    if (kept := await self._turn.files.keep_generated(event)) is not None:
                        events.append(kept)
                case _ if isinstance(event, CallEvent):
                    self._characters += len(event.delta) if isinstance(event, ToolInputDelta) else 0
                    if (shown := calls.read(event)) is not None:
                        events.append(shown)
                case _:
                    events.append(event)
        return events, None

    def _note(self, finish: ModelFinish) -> None:
        self._usage += finish.usage
        self._metadata.update(self._turn.account.note(finish.usage))
        if finish.explanation is not None:
            self._metadata["explanation"] = finish.explanation

    def _start(self) -> list[StreamEvent]:
        """The message's start, the first time."""
        if self._started:
            return []
        self._started = True
        metadata = {
            "model": self._turn.request.model,
            "preset": self._turn.preset_name,
            "createdAt": self._clock.now().isoformat(timespec="milliseconds"),
            **self._routed(),
        }
        return [MessageStart(self._turn.message_id, metadata)]

    def _routed(self) -> dict[str, Any]:
        if self._answering is None:
            return {}
        return {"model": self._answering.model, "routed": self._answering.route.to_wire()}

    def _finish(self) -> MessageFinish:
        metadata = merge_metadata(self._metadata, {"finishReason": self._reason, **self._durations.metadata()})
        metadata |= self._routed()
        if self._first_event is not None:
            metadata["timeToFirstTokenMs"] = round((self._first_event - self._began_at) * 1000)
        metadata["durationMs"] = round((self._clock.monotonic() - self._began_at) * 1000)
        if self._turn.goes_on is not None:
            metadata["status"] = "complete"
        warnings = [*self._warnings, *(CallWarning("files", problem) for problem in self._turn.files.problems)]
        if warnings:
            metadata["warnings"] = [
                {"setting": setting, "details": details}
                for setting, details in dict.fromkeys((warning.setting, warning.details) for warning in warnings)
            ]
        if self._repairs:
            metadata["repairs"] = [{"kind": repair.kind, "messageId": repair.message_id} for repair in self._repairs]
            log.info("history mended", extra={"block_id": self._turn.block_id, "repairs": len(self._repairs)})
        return MessageFinish(self._reason, self._usage, metadata)
