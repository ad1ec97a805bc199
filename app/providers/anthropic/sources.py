"""What an answer of Anthropic's was drawn from: pages that were found or fetched, and documents that it cites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.events import ModelEvent, SourceDocument, SourceUrl
from app.core.files import PDF
from app.core.model import Media, ModelRequest, ToolResult
from app.providers.anthropic.blocks import kept_block


class Sources:
    """The sources of one answer, as the AI SDK tells them: each page of a search; where nothing was searched for in
    this answer, the pages that it cites; and each place in a document that it cites.
    """

    def __init__(self, request: ModelRequest) -> None:
        self._documents: list[tuple[str, str, str | None]] = []
        """Media type, title and file name, in the order of the prompt: citations name them by their index."""
        self._count = 0
        self._searched = False
        self._cited: dict[str, str | None] = {}
        for message in request.messages:
            for item in message.content:
                if isinstance(item, Media) and item.media_type == PDF:
                    self._documents.append((PDF, item.filename or "Document", item.filename))
                elif isinstance(item, ToolResult) and (block := kept_block(item.provider_metadata)):
                    self._fetched(block)

    def found(self, block: Mapping[str, Any], out: list[ModelEvent]) -> None:
        """`block` is the result of a tool that the service ran."""
        self._fetched(block)
        content = block["content"]
        if block["type"] == "web_search_tool_result" and isinstance(content, list):
            self._searched = True
            out += [SourceUrl(self._id(), page["url"], page.get("title")) for page in content]

    def cited(self, citation: Mapping[str, Any], out: list[ModelEvent]) -> None:
        kind = citation["type"]
        if kind == "web_search_result_location":
            self._cited.setdefault(citation["url"], citation.get("title"))
        elif kind in {"page_location", "char_location"} and citation["document_index"] < len(self._documents):
            media_type, title, filename = self._documents[citation["document_index"]]
            out.append(SourceDocument(self._id(), media_type, citation.get("document_title") or title, filename))

    def rest(self, out: list[ModelEvent]) -> None:
        """The answer is at its end."""
        if not self._searched:
            out += [SourceUrl(self._id(), url, title) for url, title in self._cited.items()]

    def _fetched(self, block: Mapping[str, Any]) -> None:
        content = block["content"]
        if block["type"] == "web_fetch_tool_result" and content["type"] == "web_fetch_result":
            document = content["content"]
            title = document.get("title") or content["url"]
            self._documents.append((document["source"]["media_type"], title, None))

    def _id(self) -> str:
        self._count += 1
        return f"source-{self._count}"
