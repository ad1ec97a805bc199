"""Keeps older clients from going on by themselves with what the service has done already.

One that continues automatically (`maxSteps` of AI SDK 4, `sendAutomaticallyWhen` of early releases of 5) posts again
when all calls of the last step have results, those that the service ran itself included. With an empty step behind it,
that step is not the last.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.core.events import (
    Abort,
    MessageFinish,
    StepFinish,
    StepStart,
    StreamEvent,
    ToolInputError,
    ToolOutputAvailable,
    ToolOutputError,
)


class LastStep:
    """Of one answer."""

    def __init__(self) -> None:
        self._service_ran_tools = False

    def pass_on(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """The event, with the empty step before the answer's end where one is needed."""
        match event:
            case StepStart():
                self._service_ran_tools = False
            case ToolInputError() | ToolOutputAvailable() | ToolOutputError():
                self._service_ran_tools |= event.provider_executed
            case MessageFinish() | Abort() if self._service_ran_tools:
                return [StepStart(), StepFinish(), event]
            case _:
                pass
        return [event]
