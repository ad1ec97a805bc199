"""`/api/ai/conversations/{blockId}/branches` and `…/fork`: other questions, other answers, and copies to go on with."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.core.conversations import Branch
from app.core.errors import InvalidRequest, RunInProgress
from app.core.ids import is_block_id
from app.web.body import read_object
from app.web.conversations_api import conversation_response
from app.web.deps import State
from app.web.requests import block_id_of, deps_of
from app.web.responses import JSONAnswer


async def get_branches(request: Request[State]) -> Response:
    """Where on the active branch there is a choice, and what there is to choose from."""
    places = await deps_of(request).store.branches(block_id_of(request))
    return JSONAnswer({"branches": [[_branch(branch) for branch in place] for place in places]})


async def post_branch(request: Request[State]) -> Response:
    """Make a branch the active one. Not while an answer is written: it would go on below what is no longer shown."""
    deps = deps_of(request)
    block_id = block_id_of(request)
    branch = _text(await read_object(request), "branch")
    if branch is None:
        raise InvalidRequest("`branch` is missing.", param="branch")
    if deps.runs.running(block_id) is not None:
        raise RunInProgress("An answer is still being written in this conversation. Stop it or wait for its end.")
    return await conversation_response(request, await deps.store.choose(block_id, branch))


async def post_fork(request: Request[State]) -> Response:
    """Copy the active branch, or its beginning, into a new conversation."""
    deps = deps_of(request)
    body = await read_object(request)
    new_id = _text(body, "id") or f"chat-{deps.new_id()}"
    if not is_block_id(new_id):
        raise InvalidRequest("`id` must be a block id: 1 to 128 letters, digits, `_`, `.`, `:` or `-`.", param="id")
    fork = await deps.turns.fork(block_id_of(request), new_id, until=_text(body, "messageId"))
    return JSONAnswer({"id": fork.block_id, "title": fork.title}, status_code=201)


def _branch(branch: Branch) -> dict[str, Any]:
    return {
        "branch": branch.handle,
        "messageId": branch.message_id,
        "role": branch.role,
        "active": branch.active,
        "preview": branch.preview,
        "createdAt": branch.created_at,
    }


def _text(body: dict[str, Any], field: str) -> str | None:
    value = body.get(field)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"`{field}` must be a text.", param=field)
    return value
