"""OpenAI's `POST /v1/embeddings`: the body of a request → `AskedEmbeddings`, vectors → the answer."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from app.core.embeddings import AskedEmbeddings, Embedded, InputType, numbers_of
from app.core.errors import InvalidRequest
from app.wire.json import dump_json

MOST_TEXTS = 2_048
MOST_DIMENSIONS = 100_000

_FIELDS = ("model", "input", "encoding_format", "dimensions", "user", "input_type")
_LONGEST_NAME = 500


def read_embeddings(body: Mapping[str, Any]) -> AskedEmbeddings:
    """What the body asks for. A field that is null is not said.

    Raises:
        InvalidRequest: `param` names the field.
    """
    said = {name: value for name, value in body.items() if value is not None}
    for name in said:
        if name not in _FIELDS:
            raise InvalidRequest(f"{name[:80]} is not known here. Known are {', '.join(_FIELDS)}.", param=name[:80])
    return AskedEmbeddings(
        model=_text(said, "model", required=True) or "",
        texts=_texts(said.get("input")),
        encoding=_one_of(said, "encoding_format", ("float", "base64")) or "float",
        input_type=_input_type(said),
        dimensions=_dimensions(said.get("dimensions")),
        user=_text(said, "user"),
    )


def embeddings_answer(embedded: Embedded, model: str, asked: AskedEmbeddings) -> bytes:
    tokens = embedded.usage.input_tokens
    return dump_json(
        {
            "object": "list",
            "data": [
                {
                    "object": "embedding",
                    "index": index,
                    "embedding": base64.b64encode(vector).decode()
                    if asked.encoding == "base64"
                    else numbers_of(vector),
                }
                for index, vector in enumerate(embedded.vectors)
            ],
            "model": model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def _texts(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts:
        raise InvalidRequest("`input` must be a text or a list of texts.", param="input")
    if len(texts) > MOST_TEXTS:
        raise InvalidRequest(f"`input` may hold at most {MOST_TEXTS:,} texts. Ask for the rest again.", param="input")
    if any(isinstance(text, int | list) for text in texts):
        raise InvalidRequest("`input` holds tokens, which every model counts otherwise. Send the texts.", param="input")
    if not all(isinstance(text, str) and text for text in texts):
        raise InvalidRequest("`input` must hold texts, none of them empty.", param="input")
    return tuple(texts)


def _text(said: Mapping[str, Any], name: str, *, required: bool = False) -> str | None:
    value = said.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_NAME:
        raise InvalidRequest(f"`{name}` must be a text of 1 to {_LONGEST_NAME} characters.", param=name)
    return value


def _one_of(said: Mapping[str, Any], name: str, known: tuple[Any, ...]) -> Any:
    value = said.get(name)
    if value is not None and value not in known:
        raise InvalidRequest(f"`{name}` must be {' or '.join(known)}.", param=name)
    return value


def _input_type(said: Mapping[str, Any]) -> InputType | None:
    """Voyage's, for every service that knows the difference."""
    input_type: InputType | None = _one_of(said, "input_type", ("query", "document"))
    return input_type


def _dimensions(value: Any) -> int | None:
    if value is not None and (type(value) is not int or not 1 <= value <= MOST_DIMENSIONS):
        raise InvalidRequest("`dimensions` must be a whole number above 0.", param="dimensions")
    return value
