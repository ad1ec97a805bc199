"""Every service's request body for a prompt, and the validator that judges it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from app.core.model import ModelRequest
from app.providers.anthropic.adapter import prepared_message
from app.providers.catalog import CATALOG
from app.providers.google.adapter import prepared_generation
from app.providers.openai_chat.adapter import prepared_completion
from app.providers.openai_responses.adapter import prepared_response
from app.providers.unmapped import Unmapped
from tests.providers.validators import (
    check_anthropic,
    check_chat,
    check_gemini,
    check_mistral,
    check_perplexity,
    check_responses,
)

_STRICTER: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "mistral": check_mistral,
    "perplexity": check_perplexity,
}

SERVICES = tuple(
    name for name, service in CATALOG.items() if service.adapter not in ("echo", "router", "embeddings", "wave_cloud")
)
"""Those that take a whole conversation over HTTP."""


def body_for(name: str, request: ModelRequest) -> dict[str, Any]:
    """What the service `name` would be sent, as JSON."""
    service = CATALOG[name]
    match service.adapter:
        case "anthropic":
            body = prepared_message(request, Unmapped()).body
        case "openai_chat":
            body = prepared_completion(request, name, service).body
        case "openai_responses":
            body = prepared_response(request, name, service, Unmapped()).body
        case "google":
            body = prepared_generation(request, Unmapped()).body
        case other:
            raise AssertionError(other)
    sent: dict[str, Any] = json.loads(json.dumps(body))
    return sent


def check_body(name: str, body: Mapping[str, Any]) -> None:
    """Raises AssertionError where the service would refuse `body`."""
    match CATALOG[name].adapter:
        case "anthropic":
            check_anthropic(body)
        case "openai_responses":
            check_responses(body)
        case "google":
            check_gemini(body)
        case _:
            _STRICTER.get(name, check_chat)(body)
