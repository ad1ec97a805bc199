"""What stands before a text so that a model makes the vector of a question, or of what may answer it.

Models of these families were trained with such words and find less without them. They are for whoever says what a text
is for (`input_type`), as the search in conversations does. A preset's `embed_prefixes` stand instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.core.embeddings import InputType
from app.core.model import Preset

_SEARCH: Mapping[InputType, str] = {"query": "task: search result | query: ", "document": "title: none | text: "}

_FAMILIES: Mapping[str, Mapping[InputType, str]] = {
    r"nomic-embed-text": {"query": "search_query: ", "document": "search_document: "},
    r"\be5-(?!mistral)": {"query": "query: ", "document": "passage: "},
    r"mxbai-embed-large": {"query": "Represent this sentence for searching relevant passages: "},
    r"embeddinggemma": _SEARCH,
    r"gemini-embedding-2": _SEARCH,
}
"""A piece of a model's name, in lower case → its prefixes."""

_NONE: Mapping[InputType, str] = {}


def prefixes_of(preset: Preset, model: str) -> Mapping[InputType, str]:
    if preset.embed_prefixes is not None:
        return preset.embed_prefixes
    name = model.lower()
    return next((prefixes for family, prefixes in _FAMILIES.items() if re.search(family, name)), _NONE)
