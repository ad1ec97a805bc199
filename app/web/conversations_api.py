"""`/api/ai/conversations`: save, load, delete, list. JSON for programs, HTML for the htmx page at the same URL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.chat.apart import apart, are_many
from app.chat.trash import KEPT_SECONDS
from app.core.conversations import Conversation, ConversationSummary
from app.core.errors import InvalidRequest, NotFound
from app.web.body import is_large, read_object
from app.web.deps import State
from app.web.files_api import with_usable_addresses
from app.web.pages import transcript_html
from app.web.requests import block_id_of, deps_of, if_match_of, sdk_of, wants_html
from app.web.responses import JSONAnswer
from app.web.sidebar import conversation_list_html, read_found, read_limit
from app.wire.ai_sdk_v4 import to_v4
from app.wire.chat_request import read_messages


async def get_conversation(request: Request[State]) -> Response:
    """All of it, or with `?limit=` its last messages; with `?before=`, the `earlier` of a page, those above them."""
    deps, block_id = deps_of(request), block_id_of(request)
    limit, before = request.query_params.get("limit"), request.query_params.get("before")
    running = deps.runs.running(block_id)  # asked first: it may end while the conversation is being loaded
    conversation = await deps.store.load(block_id, limit=None if limit is None else read_limit(limit), before=before)
    if conversation is None:
        raise NotFound("There is no such conversation.")
    if not wants_html(request) and before is None:
        found = running is None or any(message.id == running.message_id for message in conversation.messages)
        deps.runs.loaded(block_id, without=None if found else running)
    return await conversation_response(request, conversation)


async def post_conversation(request: Request[State]) -> Response:
    """Merge what the client has into what is stored: nothing that either side said is lost."""
    block_id = block_id_of(request)
    body = await read_object(request)
    raw = body.get("messages")
    if not isinstance(raw, list):
        raise InvalidRequest("`messages` must be a list of messages.", param="messages")
    deps = deps_of(request)
    messages, _ = await apart(await is_large(request), read_messages, raw, "messages", deps.new_id)
    if_version = if_match_of(request)
    received = await deps.attachments.receive(deps.runs.settled(block_id, messages))
    async with deps.attachments.kept(received.messages, received.contents):
        saved = await deps.store.save(
            block_id, received.messages, placement="merge" if if_version is None else "branch", if_version=if_version
        )
    return JSONAnswer(
        {"id": block_id, "version": saved.version, "messageCount": len(saved.message_ids)},
        headers={"etag": _etag(saved.version)},
    )


async def delete_conversation(request: Request[State]) -> Response:
    """For good, at once."""
    if not await deps_of(request).trash.delete(block_id_of(request)):
        raise NotFound("There is no such conversation.")
    return Response(status_code=204)


async def post_trash(request: Request[State]) -> Response:
    """Delete it so that it can be brought back for a few minutes."""
    block_id = block_id_of(request)
    if not await deps_of(request).trash.put(block_id):
        raise NotFound("There is no such conversation.")
    return JSONAnswer({"id": block_id, "restorableSeconds": int(KEPT_SECONDS)})


async def post_restore(request: Request[State]) -> Response:
    block_id = block_id_of(request)
    if not await deps_of(request).trash.restore(block_id):
        raise NotFound("This conversation cannot be brought back any more.")
    return JSONAnswer({"id": block_id})


async def list_conversations(request: Request[State]) -> Response:
    """With `If-None-Match` the page asks whether anything in its list has changed."""
    if wants_html(request):
        return await conversation_list_html(request)
    found = await read_found(request)
    value: dict[str, Any] = {"conversations": [_summary(item) for item in found.page.items]}
    said = {"nextCursor": found.page.next_cursor, "mode": found.mode, "problem": found.problem}
    value |= {name: text for name, text in said.items() if text is not None}
    return JSONAnswer(value)


async def conversation_response(request: Request[State], conversation: Conversation) -> Response:
    """As whoever asks can show it: the htmx page, SDK 4, every other program."""
    if wants_html(request):
        return await transcript_html(request, conversation)
    conversation = replace(conversation, messages=with_usable_addresses(request, conversation.messages))
    for_v4 = (sdk_of(request) or "").split(".")[0] == "4"
    return await apart(are_many(conversation.messages), _answer, conversation, for_v4=for_v4)


def _answer(conversation: Conversation, *, for_v4: bool) -> Response:
    messages = conversation.messages
    value = {
        "id": conversation.block_id,
        "title": conversation.title,
        "createdAt": conversation.created_at,
        "updatedAt": conversation.updated_at,
        "version": conversation.version,
        "messages": [to_v4(message) if for_v4 else message.to_wire() for message in messages],
    }
    if conversation.earlier is not None:
        value["earlier"] = conversation.earlier
    return JSONAnswer(value, headers={"etag": _etag(conversation.version)})


def _etag(version: int) -> str:
    return f'"{version}"'


def _summary(item: ConversationSummary) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": item.block_id,
        "title": item.title,
        "createdAt": item.created_at,
        "updatedAt": item.updated_at,
        "messageCount": item.message_count,
        "pinned": item.pinned,
        "archived": item.archived,
    }
    if item.match is not None:
        value["match"] = {"snippet": item.match.snippet}
        if item.match.message_id is not None:
            value["match"]["messageId"] = item.match.message_id
        if item.match.branch is not None:
            value["match"]["branch"] = item.match.branch
    return value
