"""OpenAI's `POST /v1/embeddings`: what may stand in a request, and what the answer looks like."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from app.core.embeddings import AskedEmbeddings, Embedded, to_vector
from app.core.errors import InvalidRequest
from app.core.events import Usage
from app.wire.openai_embeddings import MOST_TEXTS, embeddings_answer, read_embeddings

EMBEDDED = Embedded([to_vector([0.5, -1.25]), to_vector([1.0, 2.0])], Usage(7, 0))


def asked(**fields: Any) -> AskedEmbeddings:
    return read_embeddings({"model": "m", "input": "a", **fields})


def test_everything_that_openai_and_voyage_take_is_read() -> None:
    body = {"input": ["a", "b"], "encoding_format": "base64", "dimensions": 256, "user": "u", "input_type": "query"}
    assert asked(**body) == AskedEmbeddings("m", ("a", "b"), "base64", "query", 256, "u")
    assert asked() == AskedEmbeddings("m", ("a",))
    assert asked(encoding_format=None, dimensions=None, user=None, input_type=None) == asked()


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"input": None}, "input", "a text or a list of texts"),
        ({"input": ""}, "input", "none of them empty"),
        ({"input": []}, "input", "a text or a list of texts"),
        ({"input": {"text": "a"}}, "input", "a text or a list of texts"),
        ({"input": ["a", ""]}, "input", "none of them empty"),
        ({"input": ["a", None]}, "input", "none of them empty"),
        ({"input": [1, 2, 3]}, "input", "Send the texts"),
        ({"input": [[1, 2], [3]]}, "input", "Send the texts"),
        ({"input": ["a"] * (MOST_TEXTS + 1)}, "input", "at most 2,048"),
        ({"model": None}, "model", "must be a text"),
        ({"model": ""}, "model", "must be a text"),
        ({"encoding_format": "hex"}, "encoding_format", "float or base64"),
        ({"encoding_format": ["float"]}, "encoding_format", "float or base64"),
        ({"input_type": "title"}, "input_type", "query or document"),
        ({"dimensions": 0}, "dimensions", "above 0"),
        ({"dimensions": 1.5}, "dimensions", "above 0"),
        ({"dimensions": True}, "dimensions", "above 0"),
        ({"user": 7}, "user", "must be a text"),
        ({"truncation": True}, "truncation", "Known are model, input"),
    ],
)
def test_what_cannot_be_is_named(fields: dict[str, Any], param: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        asked(**fields)
    assert raised.value.param == param
    assert said in raised.value.message


def test_the_answer_is_openais() -> None:
    assert json.loads(embeddings_answer(EMBEDDED, "m", asked(input=["a", "b"]))) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1.25]},
            {"object": "embedding", "index": 1, "embedding": [1.0, 2.0]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_base64_is_float32_with_the_lowest_byte_first() -> None:
    answer = json.loads(embeddings_answer(EMBEDDED, "m", asked(input=["a", "b"], encoding_format="base64")))
    encoded = answer["data"][0]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(encoded)) == (0.5, -1.25)
