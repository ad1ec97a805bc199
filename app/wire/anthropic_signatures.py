"""What a service wants back of its thinking and its calls, in the one place that Anthropic's format has for it: the
signature of a block of thinking, and the data of a redacted one.

A service of another format has its own (encrypted thinking, item ids, signatures of several kinds). It is written into
those, which clients send back as they are. What was not made here is Anthropic's own.
"""

from __future__ import annotations

from typing import Any

from app.core.messages import ProviderMetadata
from app.wire.metadata_text import call_text, is_own_text, metadata_text, read_metadata


def signature_of(metadata: ProviderMetadata | None) -> str:
    """Empty where there is nothing to send back."""
    if not metadata:
        return ""
    signature = metadata.get("anthropic", {}).get("signature")
    return signature if isinstance(signature, str) else metadata_text(metadata)


def redacted_in(metadata: ProviderMetadata | None) -> str | None:
    """The data of thinking that nobody but Anthropic can read; None where it is no such block."""
    data = (metadata or {}).get("anthropic", {}).get("redactedData")
    return data if isinstance(data, str) else None


def data_of_call(call_id: str, metadata: ProviderMetadata | None) -> str | None:
    """The data of a redacted block that keeps what is wanted back with a call; None where nothing is."""
    if not metadata or "anthropic" in metadata:
        return None
    return call_text(call_id, metadata)


def metadata_in(signature: str) -> ProviderMetadata:
    if not is_own_text(signature):
        return {"anthropic": {"signature": signature}}
    return read_metadata(signature)[1]


def metadata_in_data(data: str) -> ProviderMetadata:
    return {"anthropic": {"redactedData": data}}


def call_in(data: str) -> tuple[str, ProviderMetadata] | None:
    """The id of the call that the data of a redacted block belongs to, and what is wanted back with it."""
    if not is_own_text(data):
        return None
    call_id, metadata = read_metadata(data)
    return call_id or "", metadata


def is_own(block: Any) -> bool:
    """Whether a block of thinking was made here: Anthropic would refuse it."""
    match block:
        case {"type": "thinking", "signature": str(written)} | {"type": "redacted_thinking", "data": str(written)}:
            return not written or is_own_text(written)
        case _:
            return False
