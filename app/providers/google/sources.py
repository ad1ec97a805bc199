"""What a Gemini answer rests on (`groundingMetadata.groundingChunks`) → sources."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any

from app.core.events import ModelEvent
from app.providers.sources import Sources, is_web_address
from app.providers.unmapped import Unmapped


class Grounding:
    """Of one answer; chunks may repeat the list."""

    def __init__(self, unmapped: Unmapped) -> None:
        self._unmapped = unmapped
        self._sources = Sources("google", unmapped)

    def read(self, grounding: Mapping[str, Any], out: list[ModelEvent]) -> None:
        for chunk in grounding.get("groundingChunks") or ():
            kind, found = _found(chunk)
            address = found.get("sourceUri" if kind == "image" else "uri") or ""
            title = found.get("title") or None
            if is_web_address(address):
                self._sources.page(address, title, out)
            elif kind == "retrievedContext":
                self._document(address or found.get("fileSearchStore") or "", title, out)
            else:
                self._unmapped.count(f"google: grounding in {kind}")

    def _document(self, place: str, title: str | None, out: list[ModelEvent]) -> None:
        """A document of a store of its own: `gs://bucket/report.pdf` or `fileSearchStores/mine`."""
        filename = place.rpartition("/")[2] or None
        media_type = mimetypes.guess_type(place)[0] or "application/octet-stream"
        self._sources.document((place, title), media_type, title or filename or "Document", filename, out)


def _found(chunk: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """A chunk is an object with one key: `web`, `image`, `maps`, `retrievedContext`."""
    return next(((kind, found) for kind, found in chunk.items() if found), ("nothing", {}))
