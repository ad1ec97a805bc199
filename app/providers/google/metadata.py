"""What Gemini wants back with a part on the next turn, as it travels in a message: `{"google": {…}}`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from app.core.messages import ProviderMetadata
from app.providers.metadata import NOTHING, own_metadata

SIGNED_BEHIND: Mapping[str, Any] = MappingProxyType({"signedBehind": True})
"""The signature of a text came on an empty one behind it. Google wants signed and unsigned parts not merged."""


def to_metadata(part: Mapping[str, Any], own: Mapping[str, Any] = NOTHING) -> ProviderMetadata | None:
    """The part's signature, if it has one, and `own`; None where there is nothing to send back."""
    signature = part.get("thoughtSignature")
    own = {**own, **({"thoughtSignature": signature} if signature else {})}
    return {"google": own} if own else None


def signed(part: dict[str, Any], metadata: ProviderMetadata | None) -> dict[str, Any]:
    """`part` with the signature that it came with, unchanged."""
    signature = own_metadata(metadata, "google").get("thoughtSignature")
    return {**part, "thoughtSignature": signature} if isinstance(signature, str) else part
