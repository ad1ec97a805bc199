"""UIMessages → the neutral prompt.

Within an assistant message each `step-start` begins a new block; a block becomes one assistant message (thinking,
text, tool calls) and one tool message with the results, as `convert-to-model-messages.ts` (ai@7) does it. Debris that
clients keep (stopped answers, calls without a result, empty messages) is left out or answered, so that a provider
never sees a history it must refuse.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from app.core.errors import UnsupportedContent
from app.core.files import IMAGE_TYPES, File, file_id_in, read_data_url, to_file
from app.core.messages import FilePart, OtherPart, Part, ReasoningPart, StepStartPart, TextPart, ToolPart, UIMessage
from app.core.model import Content, Media, ModelMessage, ModelRole, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import ToolRecord

_NO_FILES: Mapping[str, File] = MappingProxyType({})
_NO_CALLS: Mapping[str, ToolRecord] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Repair:
    """Something of the history that no service takes as it was."""

    kind: str
    """What was mended, such as `call-without-result`."""
    message_id: str


@dataclass(frozen=True, slots=True)
class Prompt:
    messages: tuple[ModelMessage, ...]
    repairs: tuple[Repair, ...] = ()


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
        takes: the media types that the model can be given.

    Raises:
        UnsupportedContent: a user's part cannot be sent to a model; `param` names it.
    """
    out: list[ModelMessage] = []
    for index, message in enumerate(messages):
        if message.role == "user":
            where = f"messages[{index}]" if message is messages[-1] else None
            _append(out, "user", _user_content(message, where, files))
        elif message.role == "assistant":
            for block in _blocks(message.parts, calls):
                _append(out, "assistant", _assistant_content(block, calls))
                _append(out, "tool", _tool_results(block, calls))
    return Prompt(tuple(out))


def system_texts(messages: Iterable[UIMessage]) -> list[str]:
    return [message.text for message in messages if message.role == "system" and message.text.strip()]


def _append(out: list[ModelMessage], role: ModelRole, content: Sequence[Content]) -> None:
    """Add a message, or lengthen the last one of the same role; an empty one is left out."""
    if not content:
        return
    if out and out[-1].role == role:
        out[-1] = ModelMessage(role, (*out[-1].content, *content))
    else:
        out.append(ModelMessage(role, tuple(content)))


def _user_content(message: UIMessage, where: str | None, files: Mapping[str, File]) -> list[Content]:
    """What the user says. A part that no model can take is refused where it is to be answered now (`where` says where);
    in the past of a conversation it must not block the chat for ever, and a note stands for it.
    """
    content: list[Content] = []
    for index, part in enumerate(message.parts):
        try:
            content += _user_part(part, f"{where}.parts[{index}]", files)
        except UnsupportedContent:
            if where is not None:
                raise
            content.append(Text("[An attachment that could not be sent stood here.]"))
    return content


def _user_part(part: Part, where: str, files: Mapping[str, File]) -> Sequence[Content]:
    if isinstance(part, TextPart):
        return [Text(part.text)] if part.text.strip() else []
    if isinstance(part, FilePart):
        return [_image(part, where, files)]
    if isinstance(part, OtherPart):
        raise UnsupportedContent(
            f"A part of type {part.type[:40]!r} cannot be sent to a model; use text or file.", param=f"{where}.type"
        )
    return []


def _image(part: FilePart, where: str, files: Mapping[str, File]) -> Media:
    file_id = file_id_in(part.url)
    file = files.get(file_id) if file_id is not None else to_file(read_data_url(part.url, where))
    if file is None:
        raise UnsupportedContent("The server does not have this file. Attach it again.", param=where)
    if file.media_type in IMAGE_TYPES:
        return Media(file.media_type, file.data)
    if part.media_type.lower() in IMAGE_TYPES:
        raise UnsupportedContent("The file is not an image of the type that it claims to be.", param=where)
    raise UnsupportedContent(
        "This kind of file cannot be sent to the model; use a PNG, JPEG, GIF or WebP image.", param=where
    )


def _blocks(parts: Sequence[Part], calls: Mapping[str, ToolRecord]) -> Iterable[list[Part]]:
    block: list[Part] = []
    for part in parts:
        if isinstance(part, StepStartPart):
            yield block
            block = []
        elif not isinstance(part, ToolPart) or part.tool_call_id in calls:
            block.append(part)
    yield block


def _assistant_content(block: Sequence[Part], calls: Mapping[str, ToolRecord]) -> list[Content]:
    content: list[Content] = []
    for part in block:
        if isinstance(part, TextPart) and part.text.strip():
            content.append(Text(part.text, part.provider_metadata))
        elif isinstance(part, ReasoningPart):
            content.append(Reasoning(part.text, part.provider_metadata))
        elif isinstance(part, ToolPart):
            record = calls[part.tool_call_id]
            ran = record.runs == "provider"
            content.append(ToolCall(part.tool_call_id, record.tool_name, record.input, ran, record.call_metadata))
            if ran:
                content.append(_result(record))
    if all(isinstance(item, Reasoning) for item in content):
        return []  # thinking that led to nothing: an interrupted answer
    return content


def _tool_results(block: Sequence[Part], calls: Mapping[str, ToolRecord]) -> list[Content]:
    records = [calls[part.tool_call_id] for part in block if isinstance(part, ToolPart)]
    return [_result(record) for record in records if record.runs != "provider"]


def _result(record: ToolRecord) -> ToolResult:
    match record.state:
        case "done":
            output, is_error = record.output, False
        case "failed":
            output, is_error = record.error_text or "The tool failed.", True
        case "denied":
            output, is_error = "The user did not allow this call.", True
        case _:
            output, is_error = "The call was cancelled before it had a result.", True
    ran = record.runs == "provider"
    return ToolResult(record.tool_call_id, record.tool_name, output, is_error, ran, record.result_metadata)
