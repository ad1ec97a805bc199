"""What an MCP server answers → ToolOutput: structured content or text, with images, sounds and resources as files."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from app.core.tools import ToolFailure, ToolFile, ToolOutput, ToolSource

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock, ReadResourceResult

MAX_CHARACTERS = 200_000
"""Of an answer's text. A server may say 10 MB; no model reads that."""
MAX_FILE_BYTES = 10_000_000
MAX_FILES = 20
MAX_ERROR_CHARACTERS = 2_000


def read_call_result(result: CallToolResult) -> ToolOutput:
    """Raises ToolFailure with the server's own words where it says that the call failed."""
    text, files, sources = _read(result.content)
    if result.is_error:
        raise ToolFailure(text[:MAX_ERROR_CHARACTERS] or "The tool failed, and did not say why.")
    structured = result.structured_content
    fits = structured is not None and len(json.dumps(structured)) <= MAX_CHARACTERS
    return ToolOutput(structured if fits else text, files, sources)


def read_resource_result(result: ReadResourceResult) -> ToolOutput:
    texts: list[str] = []
    files: list[ToolFile] = []
    for content in result.contents:
        _take_resource(content, texts, files)
    return ToolOutput(_joined(texts), tuple(files[:MAX_FILES]))


def _read(content: Iterable[ContentBlock]) -> tuple[str, tuple[ToolFile, ...], tuple[ToolSource, ...]]:
    texts: list[str] = []
    files: list[ToolFile] = []
    sources: list[ToolSource] = []
    for block in content:
        match block.type:
            case "text":
                texts.append(block.text)
            case "image" | "audio":
                _take_file(block.data, block.mime_type, None, texts, files)
            case "resource":
                _take_resource(block.resource, texts, files)
            case "resource_link":
                texts.append(f"{block.title or block.name}: {block.uri}")
                if block.uri.startswith(("https://", "http://")):
                    sources.append(ToolSource(block.uri, block.title or block.name))
    return _joined(texts), tuple(files[:MAX_FILES]), tuple(sources)


def _take_resource(resource: Any, texts: list[str], files: list[ToolFile]) -> None:
    """Of mcp_types TextResourceContents or BlobResourceContents."""
    if (blob := getattr(resource, "blob", None)) is not None:
        name = resource.uri.rstrip("/").rsplit("/", 1)[-1][:200] or None
        _take_file(blob, resource.mime_type or "application/octet-stream", name, texts, files)
    else:
        texts.append(resource.text)


def _take_file(data: str, media_type: str, name: str | None, texts: list[str], files: list[ToolFile]) -> None:
    try:
        content = base64.b64decode(data, validate=True) if len(data) <= MAX_FILE_BYTES * 4 // 3 + 4 else None
    except (binascii.Error, ValueError):
        content = None
    if content is None:
        texts.append(f"[a file of type {media_type[:100]} that is too big or damaged was left out]")
    else:
        files.append(ToolFile(media_type, content, name))


def _joined(texts: list[str]) -> str:
    text = "\n\n".join(texts)
    return (
        text
        if len(text) <= MAX_CHARACTERS
        else f"{text[:MAX_CHARACTERS]}\n[cut off here: it has {len(text):,} characters]"
    )
