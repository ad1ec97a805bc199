"""Attachments: how a message names them, what they are, how big they may be.

A file is known by the SHA-256 of its content, so the same one is there once, however often it is sent. What it is is
decided by its first bytes, never by what a client says of it.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import re
from dataclasses import dataclass

from app.core.errors import UnsupportedContent

MAX_IMAGE_BYTES = 5_000_000
MAX_FILE_BYTES = 10_000_000

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
AUDIO_TYPES = frozenset({"audio/wav", "audio/mpeg"})
PDF = "application/pdf"
TEXT = "text/plain"

HEAD_BYTES = 4_096
"""As much of a file as `media_type_of` looks at."""

_DATA_URL = re.compile(r"data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)
_FILE_URL = re.compile(r"(?:https?://[^/?#\s]+)?/files/([0-9a-f]{64})(?:[?#].*)?", re.DOTALL)
_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"%PDF-"), PDF),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"ID3[\x02-\x04]|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]"), "audio/mpeg"),  # with a tag, or a first frame
)
_NOT_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class File:
    """A file as a model gets it."""

    media_type: str
    data: str
    """Base64, without the `data:` prefix."""


def file_id_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file_url(file_id: str) -> str:
    return f"/files/{file_id}"


def is_data_url(url: str) -> bool:
    return url[:5].lower() == "data:"


def file_id_in(url: str) -> str | None:
    """The id in `/files/<id>`, also behind a scheme and a host: pages of another origin need those. Whose host it is
    says nothing: the id is the content.
    """
    match = _FILE_URL.fullmatch(url)
    return match[1] if match is not None else None


def media_type_of(content: bytes) -> str:
    """The type of what begins with `content`. HTML, SVG, CSV and the like are all `text/plain`; what is neither text
    nor of a type that we know is `application/octet-stream`.
    """
    for signature, media_type in _SIGNATURES:
        if signature.match(content):
            return media_type
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(content[:HEAD_BYTES])  # a cut character is no error
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "application/octet-stream" if _NOT_IN_TEXT.search(text) else TEXT


def read_data_url(url: str, where: str) -> bytes:
    """What a `data:` URL holds.

    Args:
        url: anything; nothing is ever fetched.
        where: the part's path, for `param`.

    Raises:
        UnsupportedContent: another scheme, not base64, or too big.
    """
    prefix = _DATA_URL.match(url)
    if prefix is None:
        raise UnsupportedContent("A file must be sent as a base64 data: URL; addresses are not fetched.", param=where)
    try:
        content = base64.b64decode(url[prefix.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise UnsupportedContent("The data: URL of the file is not valid base64.", param=where) from None
    check_size(content, where)
    return content


def check_size(content: bytes, where: str) -> None:
    """Raises UnsupportedContent, with `where` as `param`."""
    is_image = media_type_of(content[:HEAD_BYTES]) in IMAGE_TYPES
    kind, limit = ("An image", MAX_IMAGE_BYTES) if is_image else ("A file", MAX_FILE_BYTES)
    if len(content) > limit:
        raise UnsupportedContent(f"{kind} may have at most {limit // 1_000_000} MB.", param=where)


def to_file(content: bytes) -> File:
    return File(media_type_of(content), base64.b64encode(content).decode("ascii"))
