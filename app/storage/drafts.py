"""A message as it is compared with what is stored, and written.

Each of these forms is made when it is asked for: a client sends its whole history with every turn, and nearly all of it
is stored already.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from app.core.messages import UIMessage

_canonical = json.JSONEncoder(sort_keys=True).encode
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Draft:
    """A message to be saved."""

    def __init__(self, message: UIMessage) -> None:
        self.id = message.id
        self.role: str = message.role
        self._message = message
        self._wire: dict[str, Any] | None = None
        self._fingerprint = b""

    @property
    def fingerprint(self) -> bytes:
        """The same for equal bodies, whatever the order of their keys."""
        if not self._fingerprint:
            self._fingerprint = hashlib.blake2b(_canonical(self._values()).encode(), digest_size=16).digest()
        return self._fingerprint

    @property
    def body(self) -> str:
        """The UIMessage as JSON."""
        return storable(_compact(self._values()))

    @property
    def text(self) -> str:
        return storable(self._message.text)

    def _values(self) -> dict[str, Any]:
        if self._wire is None:
            self._wire = self._message.to_wire()
        return self._wire


def storable(text: str) -> str:
    """The text as UTF-8 can hold it: halves of characters are joined, or replaced where the other half is missing."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
