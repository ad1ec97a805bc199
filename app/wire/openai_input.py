"""The `input` of a request to OpenAI's Responses API → the neutral prompt.

It is a list of items, in which one answer is several: what was thought, what was said, what was called. What a
service wants back of its thinking and its calls stands in the `encrypted_content` of reasoning items (`metadata_text`);
what was encrypted elsewhere is left out, as nobody could say whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from app.core.errors import InvalidRequest, UnsupportedContent
from app.core.gateway import CLIENT
from app.core.messages import ProviderMetadata
from app.core.model import Content, ModelMessage, Reasoning, Text, ToolCall
from app.wire.metadata_text import is_own_text, read_metadata
from app.wire.openai_conversation import (
    MAX_MESSAGES,
    Conversation,
    is_call,
    no_file_id,
    read_document,
    read_picture,
    to_call,
)

PHASES = ("commentary", "final_answer")
"""Whether a message of the assistant's is its answer, or on the way to it."""


def read_input(raw: Any, instructions: Any) -> tuple[str | None, tuple[ModelMessage, ...]]:
    """The system prompt, None where there is none, and the conversation.

    Raises:
        InvalidRequest: `param` names the field, such as `input[2].role`.
    """
    if not isinstance(instructions, str | None):
        raise InvalidRequest("`instructions` must be a text.", param="instructions")
    items = [{"role": "user", "content": raw}] if isinstance(raw, str) else raw
    if not isinstance(items, list) or not items:
        raise InvalidRequest("`input` must be a text or a list of at least one item.", param="input")
    if len(items) > MAX_MESSAGES:
        raise InvalidRequest(f"At most {MAX_MESSAGES:,} items can be sent.", param="input")
    history = _History()
    if instructions is not None:
        history.conversation.instruct(instructions)
    for index, item in enumerate(items):
        where = f"input[{index}]"
        if not isinstance(item, dict):
            raise InvalidRequest(f"{where} must be an object.", param=where)
        history.add(item, where)
    history.end_answer()
    return history.conversation.whole("input")


class _History:
    """As far as it has been read. Items of one answer are gathered until another kind comes."""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self._answer: list[Content] = []
        self._answered_at = ""
        self._kept: dict[str, ProviderMetadata] = {}
        """What is wanted back with a call, by its id."""

    def add(self, item: Mapping[str, Any], where: str) -> None:
        match item.get("type", "message"):
            case "message":
                self._add_message(item, where)
            case "reasoning":
                self._think(item, where)
            case "function_call":
                self._go_on(_call(item, where), where)
            case "function_call_output":
                self.end_answer()
                self._add_result(item, where)
            case "image_generation_call":
                pass  # a picture that was made here: no service takes it back
            case "item_reference":
                raise InvalidRequest(
                    f"{where}: nothing is kept here that could be referred to. Send the item itself, as clients do "
                    "that are told not to store.",
                    param=f"{where}.type",
                )
            case _:
                raise InvalidRequest(
                    f"{where}.type must be message, reasoning, function_call or function_call_output.",
                    param=f"{where}.type",
                )

    def end_answer(self) -> None:
        if self._answer:
            content = [self._with_kept(item) for item in self._answer]
            self.conversation.answer(content, self._answered_at, calls_at=self._answered_at)
            self._answer = []
        self._kept = {}

    def _with_kept(self, item: Content) -> Content:
        if isinstance(item, ToolCall) and item.id in self._kept:
            return replace(item, provider_metadata=self._kept[item.id])
        return item

    def _go_on(self, content: Content, where: str) -> None:
        if not self._answer:
            self._answered_at = where
        self._answer.append(content)

    def _add_message(self, item: Mapping[str, Any], where: str) -> None:
        content, place = item.get("content"), f"{where}.content"
        match item.get("role"):
            case "system" | "developer":
                self.conversation.instruct(_text(content, place))
            case "user":
                self.end_answer()
                self.conversation.ask(_content(content, place), where)
            case "assistant":
                phase = item.get("phase")
                metadata: ProviderMetadata | None = {CLIENT: {"phase": phase}} if phase in PHASES else None
                if (text := _text(content, place)).strip():
                    self._go_on(Text(text, metadata), where)
            case _:
                raise InvalidRequest(
                    f"{where}.role must be system, developer, user or assistant.", param=f"{where}.role"
                )

    def _think(self, item: Mapping[str, Any], where: str) -> None:
        encrypted = item.get("encrypted_content")
        if not isinstance(encrypted, str) or not is_own_text(encrypted):
            return
        call_id, metadata = read_metadata(encrypted)
        if call_id is not None:
            self._kept[call_id] = metadata
        elif metadata:
            self._go_on(Reasoning(_summary(item.get("summary"), f"{where}.summary"), metadata), where)

    def _add_result(self, item: Mapping[str, Any], where: str) -> None:
        call_id = item.get("call_id")
        if not isinstance(call_id, str) or not self.conversation.awaits(call_id):
            raise InvalidRequest(
                f"{where} answers no call: a function_call_output stands behind the function_call that has its "
                "`call_id`.",
                param=f"{where}.call_id",
            )
        self.conversation.add_result(call_id, _content(item.get("output"), f"{where}.output"))


def _call(item: Mapping[str, Any], where: str) -> ToolCall:
    match item:
        case {"call_id": str(call_id), "name": str(name), "arguments": str(arguments)} if is_call(call_id, name):
            return to_call(call_id, name, arguments)
    raise InvalidRequest(
        f'{where} must be {{"type": "function_call", "call_id": …, "name": …, "arguments": "…"}}.', param=where
    )


def _content(content: Any, where: str) -> list[Content]:
    """What a user says, or a function gives back."""
    if isinstance(content, str):
        return [Text(content)] if content.strip() else []
    if not isinstance(content, list):
        raise InvalidRequest(f"{where} must be a string or a list of parts.", param=where)
    parts = [_part(part, f"{where}[{index}]") for index, part in enumerate(content)]
    return [part for part in parts if not isinstance(part, Text) or part.text.strip()]


def _part(part: Any, where: str) -> Content:
    match part:
        case {"type": "input_text" | "output_text", "text": str(text)}:
            return Text(text)
        case {"type": "input_image", "image_url": str(url)}:
            return read_picture(url, f"{where}.image_url")
        case {"type": "input_file", "file_data": str(data), **rest}:
            return read_document(data, f"{where}.file_data", rest.get("filename"))
        case {"type": "input_file", "file_url": str()}:
            raise UnsupportedContent(
                "Addresses are not fetched. Send the file itself, as `file_data`.", param=f"{where}.file_url"
            )
        case {"type": "input_image" | "input_file", "file_id": str()}:
            raise no_file_id(f"{where}.file_id")
        case _:
            pass
    raise InvalidRequest(f"{where} must be an input_text, input_image or input_file part, complete.", param=where)


def _text(content: Any, where: str) -> str:
    """A string, or the texts of a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidRequest(f"{where} must be a string or a list of text parts.", param=where)
    return "".join(_texts(content, where))


def _texts(parts: list[Any], where: str) -> Iterator[str]:
    for index, part in enumerate(parts):
        match part:
            case {"type": "input_text" | "output_text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
                yield text
            case _:
                place = f"{where}[{index}]"
                raise InvalidRequest(f"{place} must be a text part: only users send files.", param=place)


def _summary(parts: Any, where: str) -> str:
    """As this server gave it: one text, or none."""
    if not isinstance(parts, list | None):
        raise InvalidRequest(f"{where} must be a list of summary_text parts.", param=where)
    texts = [part["text"] for part in parts or () if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "".join(texts)
