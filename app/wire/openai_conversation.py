"""What OpenAI's two ways to write a conversation have in common: it is put in the order that every service takes.

A result stands behind the answer that called for it, as OpenAI wants it; a call without a result is answered as
cancelled, which is what there is after a program has stopped one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from app.core.attached import attached
from app.core.convert import FILE_MADE
from app.core.errors import InvalidRequest, UnsupportedContent
from app.core.files import AUDIO_TYPES, IMAGE_TYPES, PDF
from app.core.heal import Dialogue
from app.core.messages import FilePart, ProviderMetadata
from app.core.model import GO_ON, Content, ModelMessage, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import CANCELLED, is_tool_name

MAX_MESSAGES = 5_000

_FILES = IMAGE_TYPES | AUDIO_TYPES | {PDF}
_LONGEST_CALL_ID = 256


class Conversation:
    """As far as it has been read. An answer waits for its results."""

    def __init__(self) -> None:
        self._system: list[str] = []
        self._dialogue = Dialogue()
        self._answer: tuple[str, Sequence[Content]] | None = None
        self._results: dict[str, ToolResult | None] = {}
        """Of the waiting answer's calls, by id, in their order."""
        self._names: dict[str, str] = {}
        self._files: list[Content] = []
        """In those results: not every service takes them there, so they stand behind."""

    def instruct(self, text: str) -> None:
        self._system.append(text)

    def ask(self, content: Sequence[Content], where: str) -> None:
        self._end_answer()
        if content:
            self._dialogue.ask(content, where)

    def answer(self, content: Sequence[Content], where: str, *, calls_at: str) -> None:
        self._end_answer()
        self._answer = (where, content)
        calls = [item for item in content if isinstance(item, ToolCall)]
        self._results = {call.id: None for call in calls}
        if len(self._results) < len(calls):
            raise InvalidRequest(f"{where}: two calls have the same id.", param=calls_at)
        self._names |= {call.id: call.name for call in calls}

    def awaits(self, call_id: Any) -> bool:
        """Whether a result of this call can come now."""
        return isinstance(call_id, str) and call_id in self._results

    def add_result(self, call_id: str, output: Sequence[Content]) -> None:
        """Of a call that is awaited: texts and files."""
        files = [item for item in output if not isinstance(item, Text)]
        said = "\n".join(item.text for item in output if isinstance(item, Text))
        said = said or ("The result is a file." if files else "")
        self._results[call_id] = ToolResult(call_id, self._names[call_id], said)
        self._files += files

    def whole(self, field: str) -> tuple[str | None, tuple[ModelMessage, ...]]:
        """The system prompt, None where there is none, and what was said. `field` of the request holds it."""
        self._end_answer()
        if not self._dialogue.messages:
            raise InvalidRequest(f"`{field}` says nothing to answer. Send a user message with text.", param=field)
        if self._dialogue.messages[-1].role == "assistant":  # few services go on with one by themselves
            self._dialogue.ask([Text(GO_ON)], field)
        system = "\n\n".join(filter(None, self._system)) if self._system else None
        return system, tuple(self._dialogue.messages)

    def _end_answer(self) -> None:
        if self._answer is None:
            return
        where, content = self._answer
        self._answer = None
        results = [
            result or ToolResult(call_id, self._names[call_id], CANCELLED, is_error=True)
            for call_id, result in self._results.items()
        ]
        self._results = {}
        if any(not isinstance(item, Reasoning) for item in content):  # thinking that led to nothing
            begins = isinstance(content[0], Reasoning)
            self._dialogue.answer(content, results, where, joined=not begins)
        if self._files:
            self._dialogue.ask([Text(FILE_MADE), *self._files], where)
            self._files = []


def read_picture(url: str, where: str) -> Content:
    return _file(url, where, media_type="image/png")


def read_document(data: str, where: str, filename: Any) -> Content:
    """`data`: a `data:` URL, or base64 alone."""
    url = data if ":" in data else f"data:;base64,{data}"
    return _file(url, where, filename=filename if isinstance(filename, str) else None)


def read_sound(data: str, media_type: str, where: str) -> Content:
    return _file(f"data:{media_type};base64,{data}", where)


def no_file_id(where: str) -> UnsupportedContent:
    return UnsupportedContent(
        "This server keeps no files for the gateway. Send the file itself, as `file_data`.", param=where
    )


def is_call(call_id: str, name: str) -> bool:
    return 0 < len(call_id) <= _LONGEST_CALL_ID and is_tool_name(name)


def to_call(call_id: str, name: str, arguments: str, metadata: ProviderMetadata | None = None) -> ToolCall:
    return ToolCall(call_id, name, _arguments(arguments), provider_metadata=metadata)


def _file(url: str, where: str, *, media_type: str = "", filename: str | None = None) -> Content:
    return attached(FilePart(media_type=media_type, url=url, filename=filename), where, {}, _FILES)


def _arguments(text: str) -> Mapping[str, Any]:
    """What a model has written, which need not be JSON: then no tool has run, and every service wants an object."""
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
