"""What a service wants back of its thinking and its calls, written as a text: for the formats of other services, which
have one place for such a thing, and whose clients send it back as it is.
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


def metadata_text(metadata: ProviderMetadata) -> str:
    return _written(metadata)


def call_text(call_id: str, metadata: ProviderMetadata | None) -> str | None:
    """What is wanted back with a call; None where nothing is that could be read again."""
    kept = {name: kept for name, own in (metadata or {}).items() if (kept := _checked(own))}
    return _written({_CALL: {"id": call_id}, **kept}) if kept else None


def is_own_text(text: str) -> bool:
    """Whether it was written here."""
    return text.startswith(_MARK)


def read_metadata(text: str) -> tuple[str | None, ProviderMetadata]:
    """The id of the call that it belongs to, if it does to one, and what is wanted back, empty where it is not what was
    written here.
    """
    try:
        found = parse_object(base64.b64decode(text[len(_MARK) :], altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, InvalidJson):
        return None, {}
    metadata = {name: _checked(own) for name, own in found.items() if isinstance(own, dict)}
    call = metadata.pop(_CALL, None)
    return None if call is None else str(call.get("id", "")), metadata


def _written(metadata: Mapping[str, Any]) -> str:
    return _MARK + base64.urlsafe_b64encode(dump_json(metadata)).decode()


def _checked(own: Mapping[str, Any]) -> dict[str, Any]:
    """What such metadata is made of, whoever wrote it: texts, and what two formats keep in objects."""
    kept: dict[str, Any] = {name: value for name, value in own.items() if isinstance(value, str | bool | None)}
    details, extra = own.get("reasoning_details"), own.get("extra_content")
    if isinstance(details, list) and all(isinstance(detail, dict) for detail in details):
        kept["reasoning_details"] = details
    if isinstance(extra, dict):
        kept["extra_content"] = extra
    return kept
