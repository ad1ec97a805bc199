"""Conversations out and in: `GET /api/ai/conversations/{blockId}/export`, all of them by `GET /api/ai/export`, and
`POST /api/ai/conversations/import`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.chat.presets import check_block_changes
from app.core.conversations import Conversation
from app.core.errors import InvalidRequest, NotFound
from app.web.deps import Deps, State
from app.web.requests import block_id_of, deps_of
from app.web.responses import JSONAnswer
from app.wire.exports import disposition, file_ids, to_html, to_json, to_markdown, with_contents
from app.wire.imported import ImportedConversation
from app.wire.imports import Skipped, read_import
from app.wire.json import parse_json

MAX_INLINED_BYTES = 50_000_000
"""Of all files in one export; those beyond it stay names."""

_ASKS_AGAIN = "ai:toolpolicy: an import allows no tool to run without asking. Allow it in the conversation itself."

_MEDIA_TYPES: Mapping[str, str] = {
    "json": "application/json",
    "markdown": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
_EXTENSIONS: Mapping[str, str] = {"json": "json", "markdown": "md", "html": "html"}


async def get_export(request: Request[State]) -> Response:
    """A file to download. The answer that is still being written is not in it."""
    deps = deps_of(request)
    block_id = block_id_of(request)
    form = request.query_params.get("format", "json")
    if form not in _MEDIA_TYPES:
        raise InvalidRequest(f"`format` must be one of {', '.join(_MEDIA_TYPES)}.", param="format")
    conversation = await deps.store.load(block_id)
    if conversation is None:
        raise NotFound("There is no such conversation.")
    content = await _written(deps, conversation, form)
    headers = {"content-disposition": disposition(conversation, _EXTENSIONS[form])}
    return Response(content, media_type=_MEDIA_TYPES[form], headers=headers)


async def get_export_of_all(request: Request[State]) -> Response:
    """One file with every conversation, archived ones too, as it is written: importing it brings them all back."""
    headers = {"content-disposition": 'attachment; filename="palaver-conversations.json"'}
    return StreamingResponse(_all(deps_of(request)), media_type="application/json", headers=headers)


async def _all(deps: Deps) -> AsyncGenerator[bytes, None]:
    """What is deleted meanwhile is left out."""
    yield b'{"conversations":[\n'
    cursor, between = None, b""
    while True:
        page = await deps.store.page(cursor=cursor, limit=100, archived=None)
        for item in page.items:
            if (conversation := await deps.store.load(item.block_id)) is not None:
                content = await _written(deps, conversation, "json")
                yield between + (content if isinstance(content, bytes) else content.encode())
                between = b",\n"
        cursor = page.next_cursor
        if cursor is None:
            break
    yield b"\n]}\n"


async def post_import(request: Request[State]) -> Response:
    return JSONAnswer(await import_conversations(deps_of(request), await request.body()))


async def import_conversations(deps: Deps, body: bytes) -> dict[str, Any]:
    """Store what is not there yet. Nothing that is there is overwritten, so the same import twice changes nothing."""
    found = await asyncio.to_thread(lambda: read_import(parse_json(body)))
    imported: list[dict[str, Any]] = []
    skipped = list(found.skipped)
    for index, item in found.conversations:
        try:
            stored, refused = await _store(deps, item)
        except InvalidRequest as error:
            if not found.is_list:
                raise
            skipped.append(Skipped(index, error.message))
            continue
        imported.append(stored)
        skipped += [Skipped(index, why) for why in refused]
    skipped.sort(key=lambda item: item.index)
    return {"imported": imported, "skipped": [{"index": item.index, "why": item.why} for item in skipped]}


async def _written(deps: Deps, conversation: Conversation, form: str) -> bytes | str:
    if form == "markdown":
        return await asyncio.to_thread(to_markdown, conversation)
    contents: dict[str, bytes] = {}
    left = MAX_INLINED_BYTES
    for file_id in file_ids(conversation):
        stored = await deps.files.find(file_id)
        if stored is not None and stored.size <= left and (content := await deps.files.read(file_id)) is not None:
            contents[file_id] = content
            left -= len(content)
    conversation = await asyncio.to_thread(with_contents, conversation, contents)
    if form == "html":
        return await asyncio.to_thread(to_html, deps.templates, conversation)
    block, feedback = await deps.store.block(conversation.block_id), await deps.feedback.of(conversation.block_id)
    return await asyncio.to_thread(to_json, conversation, block, feedback)


async def _store(deps: Deps, item: ImportedConversation) -> tuple[dict[str, Any], list[str]]:
    """The conversation as the answer names it, and why some of its metadata was not taken.

    Raises:
        InvalidRequest: nothing of it was stored.
    """
    received = await deps.attachments.receive(item.messages)
    async with deps.attachments.kept(received.messages, received.contents):
        saved = await deps.store.save(item.block_id, received.messages, placement="merge", dates=item.dates)
    block = await deps.store.block(item.block_id)
    said = dict(item.metadata)
    if item.title and item.title != saved.title:
        said["title"] = item.title
    changes: dict[str, Any] = {}
    refused: list[str] = []
    policies = said.get("ai:toolpolicy")
    if isinstance(policies, dict) and "auto" in policies.values():
        said["ai:toolpolicy"] = {name: policy for name, policy in policies.items() if policy != "auto"} or None
        refused.append(_ASKS_AGAIN)
    for key, value in said.items():
        if key in block:
            continue
        try:
            changes |= check_block_changes(deps.configuration(), {key: value})
        except InvalidRequest as error:
            refused.append(error.message)
    if changes:
        block = await deps.store.patch_block(item.block_id, changes)
    given = await deps.feedback.of(item.block_id) if item.feedback else {}
    for message_id, feedback in item.feedback.items():
        if message_id not in given and message_id in saved.message_ids:
            await deps.feedback.put(item.block_id, message_id, feedback)
    title = block.get("title", saved.title)
    return {"id": item.block_id, "title": title, "messageCount": len(saved.message_ids)}, refused
