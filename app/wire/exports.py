"""A conversation as a file to keep: JSON that can be imported again, Markdown and HTML to read.

The JSON has all that was said, word for word. The other two show what people read: text, thinking, tools, sources and
the names of files.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from jinja2 import Environment

from app.core.conversations import Conversation
from app.core.feedback import Feedback
from app.core.files import file_id_in, media_type_of
from app.core.messages import (
    FilePart,
    Part,
    ReasoningPart,
    SourceDocumentPart,
    SourceUrlPart,
    TextPart,
    ToolPart,
    UIMessage,
)
from app.wire.feedback import feedback_value
from app.wire.fences import close_fences, fenced
from app.wire.json import dump_json
from app.wire.tool_card import pretty_json
from app.wire.transcript import describe_ending, shown_parts

FORMAT = 1
"""Of the JSON. It goes up when an older Palaver could not read it any more."""

_LONGEST_NAME = 60
_NAMES: Mapping[str, str] = {"user": "You", "assistant": "Assistant", "system": "System"}

_NOT_IN_A_NAME = re.compile(r"[^\w]+")
_MARKS = re.compile(r"([\\`*_\[\]<>|])")
_NOT_IN_A_LINK = re.compile(r"[\s<>\\]")


def to_json(conversation: Conversation, metadata: Mapping[str, Any], feedback: Mapping[str, Feedback]) -> bytes:
    """Our own format: the active branch and the block's metadata, with nothing in it that importing would change.

    Args:
        conversation: its title goes beside the metadata, whoever set it.
        metadata: as the block has it.
        feedback: on its answers, by message id; what other branches were given is left out, as they are.
    """
    value = {
        "id": conversation.block_id,
        "title": conversation.title,
        "createdAt": conversation.created_at,
        "updatedAt": conversation.updated_at,
        "metadata": {key: metadata[key] for key in sorted(metadata) if key != "title"},
        "messages": [message.to_wire() for message in conversation.messages],
    }
    ids = (message.id for message in conversation.messages)
    if given := {name: feedback_value(feedback[name]) for name in ids if name in feedback}:
        value["feedback"] = given
    return dump_json({"palaver": FORMAT, "conversation": value})


def file_ids(conversation: Conversation) -> Sequence[str]:
    """The files that its messages name, each once."""
    parts = (part for message in conversation.messages for part in message.parts if isinstance(part, FilePart))
    return list(dict.fromkeys(file_id for part in parts if (file_id := file_id_in(part.url)) is not None))


def with_contents(conversation: Conversation, contents: Mapping[str, bytes]) -> Conversation:
    """The conversation with the files themselves, by id, in the place of their names: what stands alone needs them."""
    urls = {file_id: _data_url(content) for file_id, content in contents.items()}

    def with_content(part: Part) -> Part:
        url = urls.get(file_id_in(part.url) or "") if isinstance(part, FilePart) else None
        return part if url is None else part.model_copy(update={"url": url})

    messages = [
        message.model_copy(update={"parts": tuple(map(with_content, message.parts))})
        for message in conversation.messages
    ]
    return replace(conversation, messages=tuple(messages))


def _data_url(content: bytes) -> str:
    return f"data:{media_type_of(content)};base64,{b64encode(content).decode('ascii')}"


def to_html(templates: Environment, conversation: Conversation) -> str:
    """One page that needs nothing else. Costs what rendering the Markdown does: call it in a thread."""
    return templates.get_template("export.html").render(conversation=conversation, names=_NAMES)


def to_markdown(conversation: Conversation) -> str:
    count = len(conversation.messages)
    blocks = [
        f"# {_line(conversation.title) or 'Conversation'}",
        f"*{conversation.created_at[:10]}, {count} {'message' if count == 1 else 'messages'}*",
    ]
    for message in conversation.messages:
        blocks.append(f"## {_heading(message)}")
        blocks.extend(_blocks(message))
    return "\n\n".join(blocks) + "\n"


def disposition(conversation: Conversation, extension: str) -> str:
    """The `Content-Disposition` that saves the file under the conversation's title.

    The name begins with ours, so that no title makes it a hidden file or a device of Windows.
    """
    title = unicodedata.normalize("NFC", conversation.title)
    name = f"palaver-{_slug(title) or _slug(conversation.block_id)}.{extension}"
    plain_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    plain = f"palaver-{_slug(plain_title) or _slug(conversation.block_id)}.{extension}"
    return f'attachment; filename="{plain}"' + ("" if plain == name else f"; filename*=UTF-8''{quote(name)}")


def _slug(text: str) -> str:
    return _NOT_IN_A_NAME.sub("-", text)[:_LONGEST_NAME].strip("-_")


def _heading(message: UIMessage) -> str:
    model = message.metadata.get("model") if isinstance(message.metadata, Mapping) else None
    name = _NAMES[message.role]
    return f"{name} · {_line(model)}" if isinstance(model, str) and message.role == "assistant" else name


def _blocks(message: UIMessage) -> Iterator[str]:
    for part in shown_parts(message.parts):
        if isinstance(part, TextPart) and part.text.strip():
            yield close_fences(part.text.strip("\r\n"))
        elif isinstance(part, ReasoningPart) and part.text.strip():
            yield _quoted(f"**Thinking**\n\n{part.text.strip()}")
        elif isinstance(part, FilePart):
            yield f"*Attached: {_line(part.filename or part.media_type or 'a file')}*"
        elif isinstance(part, ToolPart):
            yield f"**Tool: {_line(part.name)}**"
            yield fenced(pretty_json(_said(part)), "json")
    sources = [part for part in message.parts if isinstance(part, SourceUrlPart | SourceDocumentPart)]
    if sources:
        yield _listed(sources)
    ending = describe_ending(message.metadata)
    yield from (f"*{_line(text)}*" for text in (ending.note, ending.error) if text)


def _said(part: ToolPart) -> dict[str, Any]:
    """What went in and what came out, so far."""
    said = {"input": part.input, "output": part.output, "error": part.error_text}
    return {name: value for name, value in said.items() if value is not None}


def _listed(sources: Sequence[SourceUrlPart | SourceDocumentPart]) -> str:
    return "Sources:\n\n" + "\n".join(f"{number}. {_source(part)}" for number, part in enumerate(sources, 1))


def _source(part: SourceUrlPart | SourceDocumentPart) -> str:
    if isinstance(part, SourceDocumentPart):
        return _line(part.title)
    title = _line(part.title or part.url)
    if not part.url.startswith(("https://", "http://")):
        return title
    return f"[{title}](<{_NOT_IN_A_LINK.sub(lambda found: quote(found[0]), part.url)}>)"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in close_fences(text).splitlines())


def _line(text: str) -> str:
    """Text on one line that means nothing to Markdown."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
