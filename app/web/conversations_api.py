"""`/api/ai/conversations`: save, load, delete, list. JSON for programs, HTML for the htmx page at the same URL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import InvalidRequest, NotFound
from app.core.ports import Conversation, ConversationSummary
from app.web.body import read_object
from app.web.deps import State
from app.web.files_api import with_usable_addresses
from app.web.pages import conversation_list_html, transcript_html
from app.web.requests import block_id_of, deps_of, if_match_of, sdk_of, wants_html
from app.web.responses import JSONAnswer
from app.wire.ai_sdk_v4 import to_v4
from app.wire.chat_request import read_messages


async def get_conversation(request: Request[State]) -> Response:
    deps, block_id = deps_of(request), block_id_of(request)
    running = deps.runs.running(block_id)  # asked first: it may end while the conversation is being loaded
    conversation = await deps.store.load(block_id)
    if conversation is None:
        raise NotFound("There is no such conversation.")
    if not wants_html(request):
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
    messages, _ = read_messages(raw, "messages", deps.new_id)
    if_version = if_match_of(request)
    received = await deps.attachments.receive(deps.runs.settled(block_id, messages))
    async with deps.attachments.kept(received.messages, received.contents):
        conversation = await deps.store.save(
            block_id, received.messages, placement="merge" if if_version is None else "branch", if_version=if_version
        )
    return JSONAnswer(
        {"id": block_id, "version": conversation.version, "messageCount": len(conversation.messages)},
        headers={"etag": _etag(conversation)},
    )


async def delete_conversation(request: Request[State]) -> Response:
    deps = deps_of(request)
    block_id = block_id_of(request)
    await deps.turns.stop(block_id)
    deps.runs.forget(block_id)
    if not await deps.attachments.delete_conversation(block_id):
        raise NotFound("There is no such conversation.")
    return Response(status_code=200 if wants_html(request) else 204)  # htmx swaps nothing on a 204


async def list_conversations(request: Request[State]) -> Response:
    parameters = request.query_params
    page = await deps_of(request).store.page(
        query=parameters.get("q", "")[:200],
        cursor=parameters.get("cursor"),
        limit=_limit(parameters.get("limit")),
        archived=_archived(parameters.get("archived")),
    )
    if wants_html(request):
        return conversation_list_html(request, page)
    value: dict[str, Any] = {"conversations": [_summary(item) for item in page.items]}
    if page.next_cursor is not None:
        value["nextCursor"] = page.next_cursor
    return JSONAnswer(value)


async def conversation_response(request: Request[State], conversation: Conversation) -> Response:
    """As whoever asks can show it: the htmx page, SDK 4, every other program."""
    if wants_html(request):
        return await transcript_html(request, conversation)
    messages = with_usable_addresses(request, conversation.messages)
    return _answer(replace(conversation, messages=messages), for_v4=(sdk_of(request) or "").split(".")[0] == "4")


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
    return JSONAnswer(value, headers={"etag": _etag(conversation)})


def _etag(conversation: Conversation) -> str:
    return f'"{conversation.version}"'


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
    return value


def _archived(value: str | None) -> bool | None:
    known = {None: False, "false": False, "true": True, "all": None}
    if value not in known:
        raise InvalidRequest("`archived` must be true, false or all.", param="archived")
    return known[value]


def _limit(value: str | None) -> int:
    if value is None:
        return 50
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= 200):
        raise InvalidRequest("`limit` must be a number from 1 to 200.", param="limit")
    return int(value)
