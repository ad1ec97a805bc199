"""A service of embeddings that a test can foresee: what means the same has nearly the same vector.

with Upstream(otherwise=embeddings_service()) as upstream: ...
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from typing import Any

from tests.upstream import Reply, Request, json_reply

MEANINGS = (
    ("car", "automobile", "vehicle", "driving"),
    ("cat", "kitten", "feline"),
    ("bread", "baking", "loaf"),
    ("rain", "weather", "storm"),
)
"""Words of a group mean the same."""


def vector_of(text: str) -> list[float]:
    """One number for each group that the text says something of, and a little of its length."""
    words = text.lower().replace(".", " ").replace("?", " ").split()
    said = [float(sum(word in group for word in words)) for group in MEANINGS]
    return [*said, 1 / (1 + len(words)) / 10]


def packed(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def embeddings_answer(body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What OpenAI answers to `body`, in the encoding that it asks for."""
    texts = body["input"]
    vectors = [vector_of(text) for text in texts]
    encoded = [packed(vector) if body.get("encoding_format") == "base64" else vector for vector in vectors]
    tokens = sum(len(text.split()) for text in texts)
    return {
        "object": "list",
        "model": body["model"],
        "data": [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(encoded)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        **more,
    }


def embeddings_service(refuses: str | None = None) -> Callable[[Request], Reply]:
    """For `Upstream(otherwise=…)`. A request with a text that holds `refuses` is refused."""

    def answer(request: Request) -> Reply:
        if refuses is not None and any(refuses in text for text in request.json["input"]):
            return json_reply(400, {"error": {"message": "The input is too long.", "type": "invalid_request_error"}})
        return json_reply(200, embeddings_answer(request.json))

    return answer
