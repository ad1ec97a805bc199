"""UIMessages → the neutral prompt.

Within an assistant message each `step-start` begins a new block; a block becomes one assistant message (thinking,
text, tool calls) and one tool message with the results, as `convert-to-model-messages.ts` (ai@7) does it. Debris that
clients keep (stopped answers, calls without a result, empty messages) is left out or answered, so that a provider
never sees a history it must refuse.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence

from app.core.errors import UnsupportedContent
from app.core.messages import FilePart, OtherPart, Part, ReasoningPart, StepStartPart, TextPart, ToolPart, UIMessage
from app.core.model import Content, Image, ModelMessage, ModelRole, Reasoning, Text, ToolCall, ToolResult

MAX_IMAGE_BYTES = 5_000_000

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)
_IMAGE_SIGNATURES = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}


def to_model_messages(messages: Sequence[UIMessage]) -> tuple[ModelMessage, ...]:
    """The prompt for `messages`, without system messages (`system_texts` has those).

    Raises:
        UnsupportedContent: a user's part cannot be sent to a model; `param` names it.
    """
    out: list[ModelMessage] = []
    for index, message in enumerate(messages):
        if message.role == "user":
            _append(out, "user", _user_content(message, f"messages[{index}]"))
        elif message.role == "assistant":
            for block in _blocks(message.parts):
                _append(out, "assistant", _assistant_content(block))
                _append(out, "tool", _tool_results(block))
    return tuple(out)


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


def _user_content(message: UIMessage, where: str) -> list[Content]:
    content: list[Content] = []
    for index, part in enumerate(message.parts):
        if isinstance(part, TextPart):
            if part.text.strip():
                content.append(Text(part.text))
        elif isinstance(part, FilePart):
            content.append(read_image(part, f"{where}.parts[{index}]"))
        elif isinstance(part, OtherPart):
            raise UnsupportedContent(
                f"A part of type {part.type[:40]!r} cannot be sent to a model; use text or file.",
                param=f"{where}.parts[{index}].type",
            )
    return content


def read_image(part: FilePart, where: str) -> Image:
    """The image in a `data:` URL. Nothing is ever fetched, and the bytes must be what the media type says.

    Raises:
        UnsupportedContent: another scheme, another type, too big, or not an image.
    """
    prefix = _DATA_URL.match(part.url)
    if prefix is None:
        raise UnsupportedContent("A file must be sent as a base64 data: URL; addresses are not fetched.", param=where)
    media_type = (prefix[1] or part.media_type).lower()
    media_type = "image/jpeg" if media_type == "image/jpg" else media_type
    if media_type not in _IMAGE_SIGNATURES:
        raise UnsupportedContent(
            "This kind of file cannot be sent to the model; use a PNG, JPEG, GIF or WebP image.", param=where
        )
    data = part.url[prefix.end() :]
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise UnsupportedContent("The data: URL of the file is not valid base64.", param=where) from None
    if len(content) > MAX_IMAGE_BYTES:
        raise UnsupportedContent(f"An image may have at most {MAX_IMAGE_BYTES // 1_000_000} MB.", param=where)
    if not content.startswith(_IMAGE_SIGNATURES[media_type]):
        raise UnsupportedContent("The file is not an image of the type that it claims to be.", param=where)
    return Image(media_type, data)


def _blocks(parts: Sequence[Part]) -> Iterable[list[Part]]:
    block: list[Part] = []
    for part in parts:
        if isinstance(part, StepStartPart):
            yield block
            block = []
        else:
            block.append(part)
    yield block


def _assistant_content(block: Sequence[Part]) -> list[Content]:
    content: list[Content] = []
    for part in block:
        if isinstance(part, TextPart) and part.text.strip():
            content.append(Text(part.text))
        elif isinstance(part, ReasoningPart):
            content.append(Reasoning(part.text, part.provider_metadata))
        elif isinstance(part, ToolPart) and part.state != "input-streaming":
            content.append(ToolCall(part.tool_call_id, part.name, part.input))
    if all(isinstance(item, Reasoning) for item in content):
        return []  # thinking that led to nothing: an interrupted answer
    return content


def _tool_results(block: Sequence[Part]) -> list[Content]:
    results: list[Content] = []
    for part in block:
        if not isinstance(part, ToolPart) or part.state == "input-streaming":
            continue
        match part.state:
            case "output-available":
                output, is_error = part.output, False
            case "output-error":
                output, is_error = part.error_text or "The tool failed.", True
            case "output-denied":
                output, is_error = "The user did not allow this call.", True
            case _:
                output, is_error = "The call was cancelled before it had a result.", True
        results.append(ToolResult(part.tool_call_id, part.name, output, is_error))
    return results
