"""What services tell of their models in `GET /models`, each in words of its own.

Anthropic has `capabilities`, OpenRouter `architecture` and `supported_parameters`, Mistral flags, Google the methods of
each; most tell no more than a name. OpenAI's names tell whether a model reasons.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.core.services import Ability, ListedModel
from app.providers.openai_models import abilities

_CONTEXT_KEYS = ("max_input_tokens", "context_length", "context_window", "max_context_length", "max_model_len")
"""How many tokens fit, by whatever name; `inputTokenLimit` is Google's."""

_FLAGS: Mapping[Ability, tuple[str, ...]] = {
    "images": ("image_input", "vision"),
    "PDFs": ("pdf_input",),
    "audio": ("audio", "audio_input"),
    "tools": ("function_calling", "tool_use"),
    "thinking": ("thinking", "reasoning"),
}
"""Keys of a model's `capabilities`, which are true or `{"supported": true}`."""

_MODALITIES: Mapping[str, Ability] = {"image": "images", "file": "PDFs", "audio": "audio"}
_PARAMETERS: Mapping[str, Ability] = {"tools": "tools", "reasoning": "thinking"}


def model_items(body: bytes) -> list[Mapping[str, Any]]:
    """The models in an answer of `GET /models`, as they stand there; empty where it is something else. Google's own
    list is `{"models": [{"name": "models/gemini-…"}]}`.
    """
    try:
        listed = json.loads(body)
    except ValueError:
        return []
    items = listed.get("data", listed.get("models")) if isinstance(listed, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def name_of(item: Mapping[str, Any]) -> str | None:
    name = item.get("id", item.get("name"))
    return name.removeprefix("models/") if isinstance(name, str) else None


def listed_models(body: bytes) -> tuple[ListedModel, ...]:
    return tuple(
        ListedModel(name, _context_of(item), tuple(dict.fromkeys(_abilities_of(name, item))))
        for item in model_items(body)
        if (name := name_of(item)) is not None
    )


def _context_of(item: Mapping[str, Any]) -> int | None:
    meta = item.get("meta")
    trained = meta.get("n_ctx_train") if isinstance(meta, dict) else None  # llama.cpp
    figures = [*(item.get(key) for key in _CONTEXT_KEYS), item.get("inputTokenLimit"), trained]
    return next((figure for figure in figures if isinstance(figure, int) and figure > 0), None)


def _abilities_of(name: str, item: Mapping[str, Any]) -> Iterator[Ability]:
    capabilities = item.get("capabilities")
    if isinstance(capabilities, dict):
        for ability, keys in _FLAGS.items():
            if any(_is_supported(capabilities.get(key)) for key in keys):
                yield ability
    architecture = item.get("architecture")
    modalities = architecture.get("input_modalities") if isinstance(architecture, dict) else None
    yield from _named(modalities, _MODALITIES)
    yield from _named(item.get("supported_parameters"), _PARAMETERS)
    if item.get("thinking") is True or abilities(name).reasons:
        yield "thinking"


def _is_supported(value: Any) -> bool:
    return value is True or (isinstance(value, dict) and value.get("supported") is True)


def _named(values: Any, names: Mapping[str, Ability]) -> Iterator[Ability]:
    for value in values if isinstance(values, list) else []:
        if isinstance(value, str) and value in names:
            yield names[value]
