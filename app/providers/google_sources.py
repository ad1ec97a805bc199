"""What a Gemini answer rests on (`groundingMetadata.groundingChunks`) → sources."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any

from app.core.events import ModelEvent, SourceDocument, SourceUrl
from app.providers.unmapped import Unmapped


class Sources:
    """The sources of one answer, each told once: chunks may repeat the list."""

    def __init__(self, unmapped: Unmapped) -> None:
        self._unmapped = unmapped
        self._told: set[tuple[str, ...]] = set()

    def read(self, grounding: Mapping[str, Any], out: list[ModelEvent]) -> None:
        for chunk in grounding.get("groundingChunks") or ():
            kind, found = _found(chunk)
            address = found.get("sourceUri" if kind == "image" else "uri") or ""
            title = found.get("title") or None
            if address.startswith(("http://", "https://")):
                key: tuple[str, ...] = (address,)
            elif kind == "retrievedContext":
                key = (address or found.get("fileSearchStore") or "", title or "")
            else:
                self._unmapped.count(f"google: grounding in {kind}")
                continue
            if key in self._told:
                continue
            self._told.add(key)
            source_id = f"source-{len(self._told)}"
            out.append(SourceUrl(source_id, address, title) if len(key) == 1 else _document(source_id, key[0], title))


def _found(chunk: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """A chunk is an object with one key: `web`, `image`, `maps`, `retrievedContext`."""
    return next(((kind, found) for kind, found in chunk.items() if found), ("nothing", {}))


def _document(source_id: str, place: str, title: str | None) -> SourceDocument:
    """A document of a store of its own: `gs://bucket/report.pdf` or `fileSearchStores/mine`."""
    filename = place.rpartition("/")[2] or None
    media_type = mimetypes.guess_type(place)[0] or "application/octet-stream"
    return SourceDocument(source_id, media_type, title or filename or "Document", filename)
