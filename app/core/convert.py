"""UIMessages → the neutral prompt.

Within an assistant message each `step-start` begins what one model call answered: it becomes one assistant message
(thinking, text, tool calls) and one tool message with the results, as `convert-to-model-messages.ts` (ai@7) does it.
What clients keep of stopped and broken turns is mended (`app.core.heal` lists how), so that no service ever sees a
history it must refuse, whichever service it is moved to.

Nothing here looks ahead: a longer history gives the messages of the shorter one and more of them, save that the user's
last message may have grown.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from app.core.attached import attached
from app.core.errors import UnsupportedContent
from app.core.files import IMAGE_TYPES, File
from app.core.heal import ANSWER_ENDED, Dialogue, Repair
from app.core.messages import FilePart, OtherPart, Part, ReasoningPart, StepStartPart, TextPart, ToolPart, UIMessage
from app.core.model import Content, ModelMessage, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import CANCELLED, SETTLED, ToolRecord

NOT_SENT = "[An attachment that could not be sent stood here.]"
FILE_ANSWER = "[The answer is a file.]"
FILE_MADE = "[A file that you made:]"

_NO_FILES: Mapping[str, File] = MappingProxyType({})
_NO_CALLS: Mapping[str, ToolRecord] = MappingProxyType({})
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Prompt:
    messages: tuple[ModelMessage, ...]
    repairs: tuple[Repair, ...] = ()
    """What had to be mended; none in a history that is as it should be."""


def to_prompt(
    messages: Sequence[UIMessage],
    *,
    files: Mapping[str, File] = _NO_FILES,
    calls: Mapping[str, ToolRecord] = _NO_CALLS,
    takes: Container[str] = IMAGE_TYPES,
) -> Prompt:
    """The prompt for `messages`, without system messages (`system_texts` has those).

    Args:
        messages: the history.
        files: by id, what parts name by `/files/<id>`.
        calls: by id, the tool calls that this server made itself: their arguments and results are taken from here. A
            client's word about any other is no evidence that it happened, so they are left out.
        takes: the media types that the model can be given, beside text.

    Raises:
        UnsupportedContent: a part of the last message, the user's, cannot be sent to this model; `param` names it.
    """
    history = _History(files, calls, takes)
    for index, message in enumerate(messages):
        if message.role == "user":
            history.question(message, f"messages[{index}]" if index == len(messages) - 1 else None)
        elif message.role == "assistant":
            history.answer(message)
    return Prompt(tuple(history.dialogue.messages), tuple(history.dialogue.repairs))


def system_texts(messages: Iterable[UIMessage]) -> list[str]:
    return [message.text for message in messages if message.role == "system" and message.text.strip()]


class _History:
    """The conversation as far as it has been read."""

    def __init__(self, files: Mapping[str, File], calls: Mapping[str, ToolRecord], takes: Container[str]) -> None:
        self.dialogue = Dialogue()
        self._files = files
        self._calls = calls
        self._takes = takes
        self._seen: set[str] = set()
        """Ids of calls."""
        self._made: list[Content] = []
        """Files of answers. Most services take files from the user alone, who gives them with the next message."""

    def question(self, message: UIMessage, where: str | None) -> None:
        """A part that this model cannot take is refused where it is to be answered now (`where` says where); in the
        past of a conversation it must not block the chat for ever, and a note stands for it.
        """
        content: list[Content] = []
        for index, part in enumerate(message.parts):
            try:
                content += self._said(part, f"{where}.parts[{index}]")
            except UnsupportedContent:
                if where is not None:
                    raise
                self.dialogue.mended("unusable-file", message.id)
                content.append(Text(NOT_SENT))
        if content:
            self.dialogue.ask([*self._made, *content], message.id)
            self._made.clear()
        else:
            self.dialogue.mended("empty-message", message.id)

    def answer(self, message: UIMessage) -> None:
        added, mended = len(self.dialogue.messages), len(self.dialogue.repairs)
        lost = False
        for step in _steps(message.parts, self._calls):
            content, results = self._step(step, message.id)
            if content:
                begins = isinstance(content[0], Reasoning)  # which no service takes in mid-answer
                self.dialogue.answer(content, results, message.id, joined=lost and not begins)
                lost = not results and any(_is_unknown(part, self._calls) for part in step)
        if (added, mended) == (len(self.dialogue.messages), len(self.dialogue.repairs)):
            self.dialogue.mended("empty-message", message.id)

    def _said(self, part: Part, where: str) -> Sequence[Content]:
        if isinstance(part, TextPart):
            return [Text(part.text)] if part.text.strip() else []
        if isinstance(part, FilePart):
            return [attached(part, where, self._files, self._takes)]
        if isinstance(part, OtherPart):
            raise UnsupportedContent(
                f"A part of type {part.type[:40]!r} cannot be sent to a model; use text or file.", param=f"{where}.type"
            )
        return []

    def _step(self, parts: Sequence[Part], message_id: str) -> tuple[list[Content], list[Content]]:
        """What one model call answered, and the results of the calls it made."""
        content: list[Content] = []
        results: list[Content] = []
        for part in parts:
            if isinstance(part, TextPart):
                if part.text.strip() or part.provider_metadata:  # a signature may come with no text at all
                    content.append(Text(part.text, part.provider_metadata))
            elif isinstance(part, ReasoningPart):
                if part.state == "streaming":  # what its service wants back comes with its end
                    self.dialogue.mended("unfinished-thought", message_id)
                else:
                    content.append(Reasoning(part.text, part.provider_metadata))
            elif isinstance(part, FilePart):
                self._keep(part)
            elif isinstance(part, ToolPart) and (record := self._record(part, message_id)) is not None:
                content.append(_call(record))
                if record.runs != "provider":
                    results.append(_result(record))
                elif record.state in SETTLED:
                    content.append(_result(record))
        has_files = any(isinstance(part, FilePart) for part in parts)
        return self._whole(content, message_id, has_files=has_files), results

    def _record(self, part: ToolPart, message_id: str) -> ToolRecord | None:
        """What the server knows of the call; None where it is to be left out."""
        record = self._calls.get(part.tool_call_id)
        if record is None:
            self.dialogue.mended("unfinished-call" if part.state == "input-streaming" else "unknown-call", message_id)
            return None
        if part.tool_call_id in self._seen:
            self.dialogue.mended("repeated-call", message_id)
            return None
        self._seen.add(part.tool_call_id)
        if record.state not in SETTLED and record.runs != "provider":
            self.dialogue.mended("unanswered-call", message_id)
        return record

    def _keep(self, part: FilePart) -> None:
        """A file that cannot be shown again is no loss worth a word: the answer speaks of it."""
        with suppress(UnsupportedContent):
            self._made += [Text(FILE_MADE), attached(part, "", self._files, self._takes)]

    def _whole(self, content: list[Content], message_id: str, *, has_files: bool) -> list[Content]:
        """The step's content as a message that stands for itself at every service; empty where it says nothing."""
        if len(content) == 1 and isinstance(content[0], Text) and _shows(content[0]):
            return content  # nearly all of a long history: nothing of what follows applies
        content = self._without_waiting_calls(_calls_last(content), message_id)
        if has_files and not _speaks(content):
            content = [*content, Text(FILE_ANSWER)]
        content = self._without_vain_thoughts(content, message_id)
        if _speaks(content):
            return content
        if any(isinstance(item, ToolCall) for item in content):  # another service never sees those
            self.dialogue.mended("missing-answer", message_id)
            return [*content, Text(ANSWER_ENDED)]
        return []

    def _without_waiting_calls(self, content: list[Content], message_id: str) -> list[Content]:
        """A service's own call has its result, unless it waits for calls of ours."""
        if any(_is_ours(item) for item in content):
            return content
        ran = {item.id for item in content if isinstance(item, ToolResult)}
        whole = [item for item in content if not isinstance(item, ToolCall) or item.id in ran]
        if len(whole) < len(content):
            self.dialogue.mended("unanswered-call", message_id)
        return whole

    def _without_vain_thoughts(self, content: list[Content], message_id: str) -> list[Content]:
        """Thinking leads to something that others see."""
        end = 1 + max((index for index, item in enumerate(content) if _shows(item)), default=-1)
        signatures = [item for item in content[end:] if not isinstance(item, Reasoning)]
        if len(signatures) < len(content[end:]):
            self.dialogue.mended("unfinished-thought", message_id)
        return content[:end] + signatures


def _steps(parts: Sequence[Part], calls: Mapping[str, ToolRecord]) -> Iterable[list[Part]]:
    """Parts by model call. Clients that set no marks (SDK 4 before 4.2) show where a new one began by what they have
    behind a call: it was said when the result was there.
    """
    step: list[Part] = []
    marked = called = False
    for part in parts:
        if isinstance(part, StepStartPart) or (called and not marked and isinstance(part, TextPart | ReasoningPart)):
            if step:
                yield step
            step, called = [], False
        if isinstance(part, StepStartPart):
            marked = True
            continue
        if isinstance(part, ToolPart) and (record := calls.get(part.tool_call_id)) is not None:
            called = called or record.runs != "provider"
        step.append(part)
    if step:
        yield step


def _is_unknown(part: Part, calls: Mapping[str, ToolRecord]) -> bool:
    return isinstance(part, ToolPart) and part.tool_call_id not in calls


def _is_ours(item: Content) -> bool:
    """Whether it is a call that we answer."""
    return isinstance(item, ToolCall) and not item.provider_executed


def _shows(item: Content) -> bool:
    """Not what is thought, nor an empty text that only carries a signature."""
    return bool(item.text.strip()) if isinstance(item, Text) else not isinstance(item, Reasoning)


def _speaks(content: Iterable[Content]) -> bool:
    """Whether there is something in it that every service can be given."""
    return any(_is_ours(item) or (isinstance(item, Text) and _shows(item)) for item in content)


def _calls_last(content: Sequence[Content]) -> list[Content]:
    """Text and a service's own calls go before the first call that we answer: Anthropic refuses them behind it, chat
    completions have no place for them there. Thinking stays before the call that it led to.
    """
    first: list[Content] = []
    last: list[Content] = []
    for item in content:
        stays = _is_ours(item) or (last and isinstance(item, Reasoning))
        (last if stays else first).append(item)
    return first + last


def _call(record: ToolRecord) -> ToolCall:
    name, ran = record.tool_name, record.runs == "provider"
    if not ran:  # a model may have made it up
        name = _NOT_IN_NAMES.sub("_", name)[:64] or "_"
    arguments = record.input if isinstance(record.input, Mapping) else {}  # those that were no object never ran
    return ToolCall(record.tool_call_id, name, arguments, ran, record.call_metadata)


def _result(record: ToolRecord) -> ToolResult:
    match record.state:
        case "done":
            output, is_error = record.output, False
        case "failed":
            output, is_error = record.error_text or "The tool failed.", True
        case "denied":
            reason = f" They said: {record.error_text}" if record.error_text else ""
            output, is_error = f"The user did not allow this call.{reason}", True
        case _:
            output, is_error = CANCELLED, True
    call = _call(record)
    return ToolResult(call.id, call.name, output, is_error, call.provider_executed, record.result_metadata)
