"""What a service wants back of its thinking and its calls, in the one place that Anthropic's format has for it: the
signature of a block of thinking, and the data of a redacted one.

A service of another format has its own (encrypted thinking, item ids, signatures of several kinds). It is written into
those, which clients send back as they are. What was not made here is Anthropic's own.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from app.core.errors import InvalidJson
from app.core.messages import ProviderMetadata
from app.wire.json import dump_json, parse_object

_MARK = "palaver."
_CALL = "call"


def signature_of(metadata: ProviderMetadata | None) -> str:
    """Empty where there is nothing to send back."""
    if not metadata:
        return ""
    signature = metadata.get("anthropic", {}).get("signature")
    return signature if isinstance(signature, str) else _written(metadata)


def redacted_in(metadata: ProviderMetadata | None) -> str | None:
    """The data of thinking that nobody but Anthropic can read; None where it is no such block."""
    data = (metadata or {}).get("anthropic", {}).get("redactedData")
    return data if isinstance(data, str) else None


def data_of_call(call_id: str, metadata: ProviderMetadata | None) -> str | None:
    """The data of a redacted block that keeps what is wanted back with a call; None where nothing is."""
    if not metadata or "anthropic" in metadata:
        return None
    return _written({_CALL: {"id": call_id}, **metadata})


def metadata_in(signature: str) -> ProviderMetadata:
    if not signature.startswith(_MARK):
        return {"anthropic": {"signature": signature}}
    return _read(signature)


def metadata_in_data(data: str) -> ProviderMetadata:
    return {"anthropic": {"redactedData": data}}


def call_in(data: str) -> tuple[str, ProviderMetadata] | None:
    """The id of the call that the data of a redacted block belongs to, and what is wanted back with it."""
    if not data.startswith(_MARK):
        return None
    metadata = dict(_read(data))
    return str(metadata.pop(_CALL, {}).get("id", "")), metadata


def is_own(block: Any) -> bool:
    """Whether a block of thinking was made here: Anthropic would refuse it."""
    match block:
        case {"type": "thinking", "signature": str(written)} | {"type": "redacted_thinking", "data": str(written)}:
            return not written or written.startswith(_MARK)
        case _:
            return False


def _written(metadata: Mapping[str, Any]) -> str:
    return _MARK + base64.urlsafe_b64encode(dump_json(metadata)).decode()


def _read(written: str) -> ProviderMetadata:
    """Empty where it is not what was written here."""
    try:
        metadata = parse_object(base64.b64decode(written[len(_MARK) :], altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, InvalidJson):
        return {}
    return {name: _checked(own) for name, own in metadata.items() if isinstance(own, dict)}


def _checked(own: Mapping[str, Any]) -> dict[str, Any]:
    """What such metadata is made of, whoever wrote it: texts, and what two formats keep in objects."""
    kept: dict[str, Any] = {name: value for name, value in own.items() if isinstance(value, str | bool | None)}
    details, extra = own.get("reasoning_details"), own.get("extra_content")
    if isinstance(details, list) and all(isinstance(detail, dict) for detail in details):
        kept["reasoning_details"] = details
    if isinstance(extra, dict):
        kept["extra_content"] = extra
    return kept
