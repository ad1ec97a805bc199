"""What an answer refers to: web pages and documents, each told once however often it is named."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from app.core.events import ModelEvent, SourceDocument, SourceUrl
from app.providers.unmapped import Unmapped


def is_web_address(url: Any) -> bool:
    return isinstance(url, str) and url.startswith(("http://", "https://"))


class Sources:
    """Of one answer."""

    def __init__(self, where: str, unmapped: Unmapped) -> None:
        """`where`: whose answer it is, in what `unmapped` counts."""
        self._where = where
        self._unmapped = unmapped
        self._known: set[Hashable] = set()

    def page(self, url: Any, title: Any, out: list[ModelEvent], *, key: Hashable = None) -> None:
        """`key`: what the page is known by, where that is not its address."""
        if self._is_new(url if key is None else key):
            if is_web_address(url):
                out.append(SourceUrl(self._id, url, title or None))
            else:
                self._unmapped.count(f"{self._where}: a source that is no web address")

    def document(self, key: Hashable, media_type: str, title: str, filename: str | None, out: list[ModelEvent]) -> None:
        if self._is_new(key):
            out.append(SourceDocument(self._id, media_type, title, filename))

    def _is_new(self, key: Hashable) -> bool:
        count = len(self._known)
        self._known.add(key)
        return len(self._known) > count

    @property
    def _id(self) -> str:
        return f"source-{len(self._known)}"
