"""The answer to `POST /embeddings`: vectors by their index, as lists of numbers or as base64, whichever came."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from app.core.embeddings import Embedded, Vector, numbers_of, to_vector
from app.core.events import Usage
from app.providers.failures import ReportedError
from app.providers.reader import Incoming

MAX_ANSWER_BYTES = 64_000_000


class NoVectorsError(Exception):
    """The answer is not what was asked for; the text says why, for the log."""


async def read_whole(arriving: Incoming) -> bytes:
    """Raises NoVectorsError where it is more than MAX_ANSWER_BYTES."""
    pieces: list[bytes] = []
    size = 0
    while data := await arriving.read():
        pieces.append(data)
        size += len(data)
        if size > MAX_ANSWER_BYTES:
            raise NoVectorsError("the answer has no end")
    return b"".join(pieces)


def read_embedded(body: bytes, count: int) -> Embedded:
    """The `count` vectors in `body`.

    Raises:
        ReportedError: the service reports an error under status 200.
        NoVectorsError: it is something else.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise NoVectorsError("the answer is not JSON") from None
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(data, list):
        if isinstance(value, dict) and value.get("error"):
            raise ReportedError(value)
        raise NoVectorsError("the answer holds no list of embeddings")
    return embedded_of(data, count, _usage(value.get("usage")))


def embedded_of(data: Sequence[Any], count: int, usage: Usage) -> Embedded:
    """`count` vectors in items with an `embedding`, and perhaps its `index`. Raises NoVectorsError."""
    vectors: list[Vector | None] = [None] * count
    for place, item in enumerate(data):
        index = item.get("index", place) if isinstance(item, dict) else None
        if type(index) is not int or not 0 <= index < count or vectors[index] is not None:
            raise NoVectorsError("an embedding is of no text that was sent")
        vectors[index] = _vector(item.get("embedding"))
    found = [vector for vector in vectors if vector is not None]
    if len(found) < count:
        raise NoVectorsError("there are fewer embeddings than texts")
    if len({len(vector) for vector in found}) > 1:
        raise NoVectorsError("the embeddings are of different lengths")
    return Embedded(found, usage)


def _vector(value: Any) -> Vector:
    try:
        vector = base64.b64decode(value, validate=True) if isinstance(value, str) else to_vector(value)
        numbers = numbers_of(vector)
    except (ValueError, TypeError, OverflowError, struct.error):
        raise NoVectorsError("an embedding is neither a list of numbers nor float32 in base64") from None
    if not numbers or not math.isfinite(sum(numbers)):
        raise NoVectorsError("an embedding is empty or holds what is no number")
    return vector


def _usage(value: Any) -> Usage:
    """Services that count only in total count the same: nothing comes out but vectors."""
    figures = [value.get(name) for name in ("prompt_tokens", "total_tokens")] if isinstance(value, dict) else []
    return Usage(next((figure for figure in figures if type(figure) is int and figure > 0), 0), 0)
