"""The order that every service takes, made of whatever is left of a conversation.

The user speaks first; questions and answers take turns; an answer's results stand right behind it, and what the user
says next does not stand right behind results. Each service has rules of its own and none refuses this: Anthropic and
Perplexity want roles to alternate, Gemini wants the user first, Mistral refuses a user behind a tool. What is added
here depends on nothing that comes later, so that the longer conversation begins as the shorter one did: prompt caches
live on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from app.core.model import GO_ON, Content, ModelMessage, Text

RepairKind: TypeAlias = Literal[
    "unknown-call",
    "unfinished-call",
    "unanswered-call",
    "repeated-call",
    "unfinished-thought",
    "empty-message",
    "assistant-first",
    "same-role",
    "missing-answer",
    "unusable-file",
]
"""What was mended, and how:

`unknown-call`        a tool call that this server never made: left out
`unfinished-call`     a call whose arguments never came whole: left out
`unanswered-call`     a call without a result: answered as cancelled; left out where the service itself was to run it
`repeated-call`       a call that stands there a second time: left out
`unfinished-thought`  thinking that broke off or led to nothing: left out
`empty-message`       a message that says nothing: left out
`assistant-first`     an answer to nothing: a line of the user's stands before it
`same-role`           two questions in a row: joined; two answers: between them the user asks to go on
`missing-answer`      results of tools that no answer followed: a line of the assistant's stands there
`unusable-file`       an attachment of the past that this model cannot be given: a note stands for it
"""

ASSISTANT_BEGINS = "[The assistant speaks first.]"
ANSWER_ENDED = "[The answer ended here.]"


@dataclass(frozen=True, slots=True)
class Repair:
    """Something of the history that not every service takes as it was."""

    kind: RepairKind
    message_id: str


class Dialogue:
    """A prompt that grows message by message and is in order all the time."""

    def __init__(self) -> None:
        self.messages: list[ModelMessage] = []
        self.repairs: list[Repair] = []
        self._noted: set[Repair] = set()
        self._answering = ""
        """The message that the last answer stands in."""

    def mended(self, kind: RepairKind, message_id: str) -> None:
        """Note a repair, once for each message."""
        repair = Repair(kind, message_id)
        if repair not in self._noted:
            self._noted.add(repair)
            self.repairs.append(repair)

    def ask(self, content: Sequence[Content], message_id: str) -> None:
        """Add what the user says; it must be something."""
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == "user":
            self.mended("same-role", message_id)
            self.messages[-1] = ModelMessage("user", (*last.content, *content))
            return
        if last is not None and last.role == "tool":
            self.mended("missing-answer", self._answering)
            self.messages.append(ModelMessage("assistant", (Text(ANSWER_ENDED),)))
        self.messages.append(ModelMessage("user", tuple(content)))

    def answer(
        self, content: Sequence[Content], results: Sequence[Content], message_id: str, *, joined: bool = False
    ) -> None:
        """Add what one model call answered, which must be something, and the results of its calls. `joined`: the calls
        between it and the answer before it were left out, so that the two are one.
        """
        if not self.messages:
            self.mended("assistant-first", message_id)
            self.messages.append(ModelMessage("user", (Text(ASSISTANT_BEGINS),)))
        elif self.messages[-1].role == "assistant" and joined:
            content = [*self.messages.pop().content, *content]
        elif self.messages[-1].role == "assistant":
            if message_id != self._answering:
                self.mended("same-role", message_id)
            self.messages.append(ModelMessage("user", (Text(GO_ON),)))  # what a continued answer was asked with
        self._answering = message_id
        self.messages.append(ModelMessage("assistant", tuple(content)))
        if results:
            self.messages.append(ModelMessage("tool", tuple(results)))
