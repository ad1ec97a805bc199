"""OpenRouter's `reasoning_details`: what was thought, in the words of whoever stands behind it, put together again.

The service wants the list back as it would have sent it in one go. The pieces of a text or a summary follow each other
with the same `index`; a text's signature comes with its last piece. Encrypted blocks come whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_FIELDS = {"reasoning.text": "text", "reasoning.summary": "summary"}
"""What comes in pieces, and where."""


class ReasoningDetails:
    def __init__(self) -> None:
        self._details: list[dict[str, Any]] = []

    def read(self, pieces: Iterable[Mapping[str, Any]]) -> None:
        for piece in pieces:
            field = _FIELDS.get(piece["type"])
            if field is None or not self._details or not _goes_on(self._details[-1], piece):
                self._details.append(dict(piece))
                continue
            block = self._details[-1]
            text = (block.get(field) or "") + (piece.get(field) or "")
            block.update({key: value for key, value in piece.items() if value is not None} | {field: text})

    def whole(self) -> list[dict[str, Any]]:
        return self._details


def _goes_on(block: Mapping[str, Any], piece: Mapping[str, Any]) -> bool:
    same = all(block.get(key) == piece.get(key) for key in ("type", "index"))
    return same and piece.get("id") in (None, block.get("id")) and not block.get("signature")
