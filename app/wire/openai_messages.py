"""The `messages` of a chat completion → the neutral prompt, in the order that every service takes.

A result stands right behind the answer that called for it, as OpenAI wants it; a call without a result is answered as
cancelled, which is what there is after a program has stopped one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from app.core.attached import attached
from app.core.errors import InvalidRequest, UnsupportedContent
from app.core.files import AUDIO_TYPES, IMAGE_TYPES, PDF
from app.core.gateway import CLIENT
from app.core.heal import Dialogue
from app.core.messages import FilePart, ProviderMetadata
from app.core.model import GO_ON, Content, ModelMessage, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import CANCELLED, is_tool_name
from app.wire.reasoning_details import read_details

MAX_MESSAGES = 5_000
REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where clients put what was thought, as DeepSeek and others do."""

_FILES = IMAGE_TYPES | AUDIO_TYPES | {PDF}
_AUDIO: Mapping[str, str] = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_LONGEST_CALL_ID = 256


def read_messages(raw: Any) -> tuple[str | None, tuple[ModelMessage, ...]]:
    """The system prompt, None where there is none, and the conversation.

    Raises:
        InvalidRequest: `param` names the field, such as `messages[2].role`.
    """
    if not isinstance(raw, list) or not raw:
        raise InvalidRequest("`messages` must be a list of at least one message.", param="messages")
    if len(raw) > MAX_MESSAGES:
        raise InvalidRequest(f"At most {MAX_MESSAGES:,} messages can be sent.", param="messages")
    conversation = _Conversation()
    for index, message in enumerate(raw):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise InvalidRequest(f"{where} must be an object with `role` and `content`.", param=where)
        conversation.add(message, where)
    return conversation.whole()


class _Conversation:
    """As far as it has been read. An answer waits for its results."""

    def __init__(self) -> None:
        self._system: list[str] = []
        self._dialogue = Dialogue()
        self._answer: tuple[str, list[Content]] | None = None
        self._results: dict[str, ToolResult | None] = {}
        """Of the waiting answer's calls, by id, in their order."""
        self._names: dict[str, str] = {}

    def add(self, message: Mapping[str, Any], where: str) -> None:
        match message.get("role"):
            case "system" | "developer":
                self._system.append(_text(message.get("content"), f"{where}.content"))
            case "user":
                self._end_answer()
                if content := _user_content(message.get("content"), f"{where}.content"):
                    self._dialogue.ask(content, where)
            case "assistant":
                self._end_answer()
                self._begin_answer(_assistant_content(message, where), where)
            case "tool":
                self._add_result(message, where)
            case "function":
                raise InvalidRequest(
                    f"{where}: the role function is not supported. Use `tools`, `tool_calls` and the role tool.",
                    param=f"{where}.role",
                )
            case _:
                raise InvalidRequest(
                    f"{where}.role must be system, developer, user, assistant or tool.", param=f"{where}.role"
                )

    def whole(self) -> tuple[str | None, tuple[ModelMessage, ...]]:
        self._end_answer()
        if not self._dialogue.messages:
            raise InvalidRequest("`messages` says nothing to answer. Send a user message with text.", param="messages")
        if self._dialogue.messages[-1].role == "assistant":  # few services go on with one by themselves
            self._dialogue.ask([Text(GO_ON)], "messages")
        system = "\n\n".join(filter(None, self._system)) if self._system else None
        return system, tuple(self._dialogue.messages)

    def _begin_answer(self, content: list[Content], where: str) -> None:
        self._answer = (where, content)
        calls = [item for item in content if isinstance(item, ToolCall)]
        self._results = {call.id: None for call in calls}
        if len(self._results) < len(calls):
            raise InvalidRequest(f"{where}: two calls have the same id.", param=f"{where}.tool_calls")
        self._names |= {call.id: call.name for call in calls}

    def _add_result(self, message: Mapping[str, Any], where: str) -> None:
        call_id = message.get("tool_call_id")
        if not isinstance(call_id, str) or call_id not in self._results:
            raise InvalidRequest(
                f"{where} answers no call: a tool message stands behind the assistant message whose `tool_calls` has "
                "its `tool_call_id`.",
                param=f"{where}.tool_call_id",
            )
        output = _text(message.get("content"), f"{where}.content")
        self._results[call_id] = ToolResult(call_id, self._names[call_id], output)

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


def _user_content(content: Any, where: str) -> list[Content]:
    if isinstance(content, str):
        return [Text(content)] if content.strip() else []
    if not isinstance(content, list):
        raise InvalidRequest(f"{where} must be a string or a list of parts.", param=where)
    parts = [_user_part(part, f"{where}[{index}]") for index, part in enumerate(content)]
    return [part for part in parts if not isinstance(part, Text) or part.text.strip()]


def _user_part(part: Any, where: str) -> Content:
    match part:
        case {"type": "text", "text": str(text)}:
            return Text(text)
        case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
            return _file(url, f"{where}.image_url", media_type="image/png")
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": "wav" | "mp3" as sound}}:
            return _file(f"data:{_AUDIO[sound]};base64,{data}", f"{where}.input_audio")
        case {"type": "file", "file": {"file_data": str(data), **rest}}:
            name = rest.get("filename")
            url = data if ":" in data else f"data:;base64,{data}"
            return _file(url, f"{where}.file", filename=name if isinstance(name, str) else None)
        case {"type": "file", "file": {"file_id": _}}:
            raise UnsupportedContent(
                "This server keeps no files for the gateway. Send the file itself, as `file_data`.",
                param=f"{where}.file.file_id",
            )
        case _:
            pass
    raise InvalidRequest(f"{where} must be a text, image_url, input_audio or file part, complete.", param=where)


def _file(url: str, where: str, *, media_type: str = "", filename: str | None = None) -> Content:
    return attached(FilePart(media_type=media_type, url=url, filename=filename), where, {}, _FILES)


def _assistant_content(message: Mapping[str, Any], where: str) -> list[Content]:
    """Thinking first, calls last: that is how the format tells it."""
    if message.get("function_call") is not None:
        raise InvalidRequest(
            f"{where}.function_call is not supported. Use `tool_calls`.", param=f"{where}.function_call"
        )
    content: list[Content] = list(_thoughts(message, where))
    said = message.get("content")
    texts = [] if said is None else [_text(said, f"{where}.content")]
    if isinstance(refusal := message.get("refusal"), str):
        texts.append(refusal)
    content += [Text(text) for text in texts if text.strip()]
    calls = message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        raise InvalidRequest(f"{where}.tool_calls must be a list.", param=f"{where}.tool_calls")
    content += [_call(call, f"{where}.tool_calls[{index}]", message) for index, call in enumerate(calls or ())]
    return content


def _thoughts(message: Mapping[str, Any], where: str) -> Iterator[Content]:
    thoughts = read_details(message.get("reasoning_details"), f"{where}.reasoning_details")
    if thoughts:
        yield from thoughts
        return
    for field in REASONING_FIELDS:
        if isinstance(text := message.get(field), str) and text.strip():
            yield Reasoning(text, {CLIENT: {"unnamed": True}})
            return


def _call(call: Any, where: str, message: Mapping[str, Any]) -> ToolCall:
    match call:
        case {"id": str(call_id), "function": {"name": str(name), "arguments": str(arguments)}} if (
            call.get("type", "function") == "function" and 0 < len(call_id) <= _LONGEST_CALL_ID and is_tool_name(name)
        ):
            return ToolCall(call_id, name, _arguments(arguments), provider_metadata=_call_metadata(call, message))
    raise InvalidRequest(
        f'{where} must be {{"id": …, "type": "function", "function": {{"name": …, "arguments": "…"}}}}.', param=where
    )


def _arguments(text: str) -> Mapping[str, Any]:
    """What a model has written, which need not be JSON: then no tool has run, and every service wants an object."""
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _call_metadata(call: Mapping[str, Any], message: Mapping[str, Any]) -> ProviderMetadata | None:
    """What came with the call or, of OpenRouter, with its message. Gemini's signature stands where Google itself puts
    it in this format.
    """
    metadata: dict[str, Mapping[str, Any]] = {}
    if isinstance(extra := call.get("extra_content"), dict) and extra:
        metadata[CLIENT] = {"extra_content": extra}
        match extra:
            case {"google": {"thought_signature": str(signature)}}:
                metadata["google"] = {"thoughtSignature": signature}
            case _:
                pass
    if details := message.get("reasoning_details"):
        metadata["openrouter"] = {"reasoning_details": details}
    return metadata or None


def _text(content: Any, where: str) -> str:
    """A string, or the texts of a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidRequest(f"{where} must be a string or a list of text parts.", param=where)
    return "".join(_texts(content, where))


def _texts(parts: Sequence[Any], where: str) -> Iterator[str]:
    for index, part in enumerate(parts):
        match part:
            case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
                yield text
            case _:
                place = f"{where}[{index}]"
                raise InvalidRequest(f"{place} must be a text part: only users send files.", param=place)
