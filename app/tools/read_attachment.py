"""The text of what is attached to the conversation at hand: texts of any kind, and PDF."""

from __future__ import annotations

import io
import math
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from pydantic import Field

from app.core.conversations import ConversationStore
from app.core.files import PDF, TEXT, file_id_in, media_type_of
from app.core.messages import FilePart
from app.core.ports import Files
from app.core.tools import ToolContext, ToolFailure
from app.tools.threads import in_thread

PART_CHARACTERS = 40_000
"""What a part holds at most; of a text exactly."""
PART_PAGES = 10

Name = Annotated[str, Field(min_length=1, max_length=500)]
PartNumber = Annotated[int, Field(ge=1, le=100_000)]


def read_attachment_tool(store: ConversationStore, files: Files) -> Callable[..., Awaitable[dict[str, Any]]]:
    async def read_attachment(context: ToolContext, file: Name | None = None, part: PartNumber = 1) -> dict[str, Any]:
        """Read the text of a file that is attached to this conversation: a text of any kind, or a PDF.

        Args:
            context: the server's, not the model's
            file: its name; leave it out to see which files there are
            part: long files come in parts, from 1 on
        """
        names = await _attached(store, context.block_id)
        if file is None:
            return {"files": sorted(names)}
        file_id = names.get(file, file)
        # The store, not the model, says what belongs to this conversation.
        content = await files.read(file_id) if file_id in await store.file_ids(context.block_id) else None
        if content is None:
            raise ToolFailure("No such file is attached to this conversation. Call without `file` to see which are.")
        media_type = media_type_of(content)
        if media_type == PDF:
            return {"file": file, **await in_thread(read_pdf, content, part)}
        if media_type == TEXT:
            return {"file": file, **read_text(content, part)}
        raise ToolFailure("This file is neither a text nor a PDF.")

    return read_attachment


async def _attached(store: ConversationStore, block_id: str) -> dict[str, str]:
    """Name → id, of the active branch. Files without a name have their id for one; of equal names the last counts."""
    conversation = await store.load(block_id)
    names: dict[str, str] = {}
    for message in conversation.messages if conversation is not None else ():
        for part in message.parts:
            if isinstance(part, FilePart) and (file_id := file_id_in(part.url)) is not None:
                names[part.filename or file_id] = file_id
    return names


def read_text(content: bytes, part: int) -> dict[str, Any]:
    text = content.decode("utf-8-sig", errors="replace")
    parts = max(1, math.ceil(len(text) / PART_CHARACTERS))
    _check_part(part, parts)
    return {"part": part, "parts": parts, "text": text[(part - 1) * PART_CHARACTERS : part * PART_CHARACTERS]}


def read_pdf(content: bytes, part: int) -> dict[str, Any]:
    """Ten pages, each after a line with its number."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ToolFailure("This PDF is locked with a password.")
        count = len(reader.pages)
        parts = max(1, math.ceil(count / PART_PAGES))
        _check_part(part, parts)
        first = (part - 1) * PART_PAGES
        texts: list[str] = []
        for number in range(first, min(first + PART_PAGES, count)):
            texts.append(f"[page {number + 1}]\n{reader.pages[number].extract_text().strip()}")
            if sum(map(len, texts)) > PART_CHARACTERS:
                break
    except (PyPdfError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError):
        # pypdf raises nearly anything at files that are none
        raise ToolFailure("This PDF cannot be read: it is damaged.") from None
    text = "\n\n".join(texts)
    cut = text[:PART_CHARACTERS] + "\n[cut off here]" if len(text) > PART_CHARACTERS else text
    return {"part": part, "parts": parts, "pages": count, "text": cut}


def _check_part(part: int, parts: int) -> None:
    if part > parts:
        raise ToolFailure(f"This file has {parts} part{'s' if parts > 1 else ''}.")
