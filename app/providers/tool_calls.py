"""How a tool call is told, whatever format it came in."""

from __future__ import annotations

import json
import secrets

from pydantic_core import from_json

from app.core.events import ModelEvent, ToolInputAvailable, ToolInputError
from app.core.messages import ProviderMetadata


def new_call_id() -> str:
    return f"call_{secrets.token_hex(12)}"


def finished_call(
    call_id: str, name: str, arguments: str, provider_metadata: ProviderMetadata | None = None
) -> list[ModelEvent]:
    """A call whose arguments are all there. What is not JSON must never run."""
    try:
        value = from_json(arguments, allow_inf_nan=False) if arguments.strip() else {}
        json.dumps(value, allow_nan=False)  # 1e999 is JSON but no number that can be sent back
    except ValueError:
        error = "The arguments of the call are not valid JSON."
        return [ToolInputError(call_id, name, arguments, error, provider_metadata=provider_metadata)]
    return [ToolInputAvailable(call_id, name, value, provider_metadata=provider_metadata)]
