"""Files of messages → what a model is given: text as text, everything else as it is, if the model takes it."""

from __future__ import annotations

import base64
from collections.abc import Container, Mapping
from html import escape

from app.core.errors import UnsupportedContent
from app.core.files import IMAGE_TYPES, TEXT, File, check_size, file_id_in, media_type_of, read_data_url, to_file
from app.core.messages import FilePart
from app.core.model import Media, Text

MAX_TEXT_BYTES = 1_000_000
"""Of one text file: a quarter of a million tokens, more than most models take."""

_TEXT_TOO_LONG = (
    f"A text file for a model may have at most {MAX_TEXT_BYTES // 1_000_000} MB. Attach the part that matters."
)
_KINDS: Mapping[str, str] = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WebP",
    "application/pdf": "PDF",
    "audio/wav": "WAV",
    "audio/mpeg": "MP3",
}


def attached(part: FilePart, where: str, files: Mapping[str, File], takes: Container[str]) -> Text | Media:
    """What a model is given of a file.

    Args:
        part: names the file; what it says of the type counts for nothing.
        where: the part's path, for `param`.
        files: by id, what parts name by `/files/<id>`.
        takes: the media types that the model can be given, beside text.

    Raises:
        UnsupportedContent: this file cannot be sent to this model.
    """
    file_id = file_id_in(part.url)
    file = files.get(file_id) if file_id is not None else to_file(read_data_url(part.url, where))
    if file is None:
        raise UnsupportedContent("The server does not have this file. Attach it again.", param=where)
    if part.media_type.lower() in IMAGE_TYPES and file.media_type not in IMAGE_TYPES:
        raise UnsupportedContent("The file is not an image of the type that it claims to be.", param=where)
    if file.media_type == TEXT:
        return _text(part, file, where)
    if file.media_type in takes:
        return Media(file.media_type, file.data, part.filename)
    kind = _KINDS.get(file.media_type)
    subject = "Files of this kind" if kind is None else f"{kind} files"
    known = [name for media_type, name in _KINDS.items() if media_type in takes]
    raise UnsupportedContent(
        f"{subject} cannot be sent to this model. It takes text files{_listed(known)}.", param=where
    )


def check_attachable(content: bytes, where: str) -> None:
    """Whether there is a model that this file can be sent to.

    Raises:
        UnsupportedContent: it is empty, too big, or of no kind that models take.
    """
    check_size(content, where)
    media_type = media_type_of(content)
    if not content:
        raise UnsupportedContent("The file is empty.", param=where)
    if media_type == TEXT and len(content) > MAX_TEXT_BYTES:
        raise UnsupportedContent(_TEXT_TOO_LONG, param=where)
    if media_type != TEXT and media_type not in _KINDS:
        raise UnsupportedContent(
            "Files of this kind cannot be sent to a model. Attach an image, a PDF, a sound or a text file.", param=where
        )


def _listed(kinds: list[str]) -> str:
    if not kinds:
        return " only"
    *first, last = kinds
    return f", {', '.join(first)} and {last}" if first else f" and {last}"


def _text(part: FilePart, file: File, where: str) -> Text:
    content = base64.b64decode(file.data)
    if len(content) > MAX_TEXT_BYTES:
        raise UnsupportedContent(_TEXT_TOO_LONG, param=where)
    name = f' name="{escape(" ".join(part.filename.split()))}"' if part.filename else ""
    text = content.decode("utf-8-sig", "replace")
    return Text(f"<file{name}>\n{text}\n</file>")
