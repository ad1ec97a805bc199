"""What an answer of OpenAI's Responses API refers to → sources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.core.events import ModelEvent
from app.providers.sources import Sources
from app.providers.unmapped import Unmapped

_MARK = re.compile(r"[?&]utm_source=openai\b")


class Citations:
    """Of one answer."""

    def __init__(self, unmapped: Unmapped) -> None:
        self._unmapped = unmapped
        self._sources = Sources("openai_responses", unmapped)

    def cite(self, annotation: Mapping[str, Any], out: list[ModelEvent]) -> None:
        match annotation["type"]:
            case "url_citation":
                self._page(annotation["url"], annotation.get("title"), out)
            case "file_citation" | "container_file_citation":
                self._file(annotation["file_id"], "text/plain", annotation.get("filename"), out)
            case "file_path":
                self._file(annotation["file_id"], "application/octet-stream", annotation["file_id"], out)
            case kind:
                self._unmapped.count(f"openai_responses: annotation {kind}")

    def found(self, item: Mapping[str, Any], out: list[ModelEvent]) -> None:
        """What a search lists beside its call, where it was asked to."""
        action = item.get("action")
        for source in (action.get("sources") if isinstance(action, Mapping) else None) or ():
            if source.get("type") == "url":
                self._page(source["url"], None, out)
        if item["type"] == "file_search_call":
            for result in item.get("results") or ():
                self._file(result["file_id"], "text/plain", result.get("filename"), out)

    def _page(self, url: str, title: str | None, out: list[ModelEvent]) -> None:
        """The same page with and without OpenAI's mark is one."""
        self._sources.page(url, title, out, key=_MARK.sub("", url))

    def _file(self, file_id: str, media_type: str, filename: str | None, out: list[ModelEvent]) -> None:
        name = filename or file_id
        self._sources.document(file_id, media_type, name, name, out)
