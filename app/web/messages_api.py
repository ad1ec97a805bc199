"""`/api/ai/conversations/{blockId}/messages/{messageId}`: one message, deleting it, and what people think of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.chat.trash import KEPT_SECONDS
from app.core.errors import InvalidRequest, NotFound
from app.core.times import written
from app.web.body import read_object
from app.web.deps import State
from app.web.files_api import with_usable_addresses
from app.web.requests import block_id_of, deps_of, if_match_of
from app.web.responses import JSONAnswer
from app.web.sidebar import read_limit
from app.wire.feedback import feedback_value, read_feedback


async def get_message(request: Request[State]) -> Response:
    """As a load of the conversation has it; `messageCount` is how many go with it when it is deleted."""
    found = await deps_of(request).messages.find(block_id_of(request), _message_id(request))
    [message] = with_usable_addresses(request, (found.message,))
    value = {"message": message.to_wire(), "messageCount": found.count}
    return JSONAnswer(value, headers={"etag": f'"{found.version}"'})


async def delete_message(request: Request[State]) -> Response:
    """With everything below it, on whatever branch; for good."""
    messages, block_id = deps_of(request).messages, block_id_of(request)
    removed = await messages.remove(block_id, _message_id(request), if_version=if_match_of(request))
    value: dict[str, Any] = {"id": block_id, "messageCount": removed.count}
    if removed.version is None:
        return JSONAnswer(value)
    return JSONAnswer({**value, "version": removed.version}, headers={"etag": f'"{removed.version}"'})


async def post_trash(request: Request[State]) -> Response:
    """Delete it so that it can be brought back for a few minutes."""
    messages, block_id = deps_of(request).messages, block_id_of(request)
    trashed = await messages.trash(block_id, _message_id(request), if_version=if_match_of(request))
    value: dict[str, Any] = {
        "id": block_id,
        "messageCount": trashed.count,
        "restorableSeconds": int(KEPT_SECONDS),
        **({} if trashed.version is None else {"version": trashed.version}),
        **({} if trashed.key is None else {"key": trashed.key}),
    }
    return JSONAnswer(value)


async def post_restore(request: Request[State]) -> Response:
    """The message's place in the address is that of the key."""
    block_id = block_id_of(request)
    version = await deps_of(request).messages.restore(block_id, _message_id(request))
    return JSONAnswer({"id": block_id, "version": version}, headers={"etag": f'"{version}"'})


async def put_feedback(request: Request[State]) -> Response:
    feedback = read_feedback(await read_object(request))
    message_id = _message_id(request)
    await deps_of(request).feedback.put(block_id_of(request), message_id, feedback)
    return JSONAnswer({"messageId": message_id, **feedback_value(feedback)})


async def delete_feedback(request: Request[State]) -> Response:
    if not await deps_of(request).feedback.remove(block_id_of(request), _message_id(request)):
        raise NotFound("There is no feedback on a message with that id.")
    return Response(status_code=204)


async def get_feedback(request: Request[State]) -> Response:
    """On the answers of one conversation, on whatever branch."""
    deps, block_id = deps_of(request), block_id_of(request)
    if await deps.store.load(block_id, limit=1) is None:
        raise NotFound("There is no such conversation.")
    given = await deps.feedback.of(block_id)
    return JSONAnswer({"feedback": [{"messageId": name, **feedback_value(said)} for name, said in given.items()]})


async def list_feedback(request: Request[State]) -> Response:
    """On all answers, the oldest first: whoever wants more asks again with the last `ratedAt` as `since`."""
    since, limit = request.query_params.get("since"), read_limit(request.query_params.get("limit"), default=200)
    rated = await deps_of(request).feedback.since(_moment(since), limit)
    items = []
    for item in rated:
        made = {"model": item.model, "preset": item.preset}
        items.append(
            {
                "blockId": item.block_id,
                "messageId": item.message_id,
                **feedback_value(item.feedback),
                "ratedAt": item.rated_at,
                **{name: said for name, said in made.items() if said is not None},
            }
        )
    return JSONAnswer({"feedback": items})


def _message_id(request: Request[State]) -> str:
    return str(request.path_params["message_id"])


def _moment(since: str | None) -> str:
    """As the store writes them."""
    if since is None:
        return ""
    try:
        moment = datetime.fromisoformat(since)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return written(moment)
    except (ValueError, OverflowError):
        raise InvalidRequest("`since` must be a date or a time, such as 2026-11-21T12:00:00Z.", param="since") from None
