"""The `messages` of a chat completion → the neutral prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.core.errors import InvalidRequest
from app.core.gateway import CLIENT
from app.core.messages import ProviderMetadata
from app.core.model import Content, ModelMessage, Reasoning, Text, ToolCall
from app.wire.openai_conversation import (
    MAX_MESSAGES,
    Conversation,
    is_call,
    no_file_id,
    read_document,
    read_picture,
    read_sound,
    to_call,
)
from app.wire.reasoning_details import read_details

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where clients put what was thought, as DeepSeek and others do."""

_AUDIO: Mapping[str, str] = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def read_messages(raw: Any) -> tuple[str | None, tuple[ModelMessage, ...]]:
    """The system prompt, None where there is none, and the conversation.

    Raises:
        InvalidRequest: `param` names the field, such as `messages[2].role`.
    """
    if not isinstance(raw, list) or not raw:
        raise InvalidRequest("`messages` must be a list of at least one message.", param="messages")
    if len(raw) > MAX_MESSAGES:
        raise InvalidRequest(f"At most {MAX_MESSAGES:,} messages can be sent.", param="messages")
    conversation = Conversation()
    for index, message in enumerate(raw):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise InvalidRequest(f"{where} must be an object with `role` and `content`.", param=where)
        _add(conversation, message, where)
    return conversation.whole("messages")


def _add(conversation: Conversation, message: Mapping[str, Any], where: str) -> None:
    match message.get("role"):
        case "system" | "developer":
            conversation.instruct(_text(message.get("content"), f"{where}.content"))
        case "user":
            conversation.ask(_user_content(message.get("content"), f"{where}.content"), where)
        case "assistant":
            conversation.answer(_assistant_content(message, where), where, calls_at=f"{where}.tool_calls")
        case "tool":
            _add_result(conversation, message, where)
        case "function":
            raise InvalidRequest(
                f"{where}: the role function is not supported. Use `tools`, `tool_calls` and the role tool.",
                param=f"{where}.role",
            )
        case _:
            raise InvalidRequest(
                f"{where}.role must be system, developer, user, assistant or tool.", param=f"{where}.role"
            )


def _add_result(conversation: Conversation, message: Mapping[str, Any], where: str) -> None:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str) or not conversation.awaits(call_id):
        raise InvalidRequest(
            f"{where} answers no call: a tool message stands behind the assistant message whose `tool_calls` has its "
            "`tool_call_id`.",
            param=f"{where}.tool_call_id",
        )
    conversation.add_result(call_id, [Text(_text(message.get("content"), f"{where}.content"))])


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
            return read_picture(url, f"{where}.image_url")
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": "wav" | "mp3" as sound}}:
            return read_sound(data, _AUDIO[sound], f"{where}.input_audio")
        case {"type": "file", "file": {"file_data": str(data), **rest}}:
            return read_document(data, f"{where}.file", rest.get("filename"))
        case {"type": "file", "file": {"file_id": _}}:
            raise no_file_id(f"{where}.file.file_id")
        case _:
            pass
    raise InvalidRequest(f"{where} must be a text, image_url, input_audio or file part, complete.", param=where)


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
        case {"id": str(call_id), "function": {"name": str(name), "arguments": str(arguments)}} if call.get(
            "type", "function"
        ) == "function" and is_call(call_id, name):
            return to_call(call_id, name, arguments, _call_metadata(call, message))
    raise InvalidRequest(
        f'{where} must be {{"id": …, "type": "function", "function": {{"name": …, "arguments": "…"}}}}.', param=where
    )


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
