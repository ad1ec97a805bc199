"""What a service wants back on the next turn: it travels in messages under the service's name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from app.core.messages import ProviderMetadata

NOTHING: Mapping[str, Any] = MappingProxyType({})


def own_metadata(metadata: ProviderMetadata | None, name: str) -> Mapping[str, Any]:
    """What stands under `name`; empty where another service made the part."""
    return (metadata or NOTHING).get(name, NOTHING)
