"""`/c/{blockId}/message?id=`: what can be done with one message, as plain forms.

Under the messages themselves a script does the same: it shows pieces of this page in a dialog. This page needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.core.errors import AppError, InvalidRequest
from app.web.deps import State
from app.web.pages import stream_whole
from app.web.requests import block_id_of, deps_of
from app.web.templates import app_page, preset_titles
from app.wire.details import answer_details
from app.wire.feedback import read_feedback
from app.wire.transcript import describe_ending, element_id

_EXCERPT = 280


async def get_message_page(request: Request[State]) -> Response:
    return await _page(request, request.query_params.get("id", ""))


async def post_message_page(request: Request[State]) -> Response:
    """One of the fields `fork`, `delete` (with the conversation's `version`), `up`, `down` (with a `comment`) and
    `unrate`: the message that it is about; or `restore`: what its deletion gave. Then the page that it leads to.
    """
    deps, block_id = deps_of(request), block_id_of(request)
    async with request.form(max_files=0, max_fields=8) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if (message_id := fields.get("fork")) is not None:
        fork = await deps.turns.fork(block_id, f"chat-{deps.new_id()}", until=message_id)
        return _lead_to(f"/c/{fork.block_id}", live="hx-request" in request.headers)
    if (message_id := fields.get("delete")) is not None:
        return await _delete(request, message_id, fields.get("version", ""))
    if (key := fields.get("restore")) is not None:
        await deps.messages.restore(block_id, key)
        return await _shown(request, f"/c/{block_id}", removed="")
    return await _rate(request, fields)


async def _delete(request: Request[State], message_id: str, version: str) -> Response:
    deps, block_id = deps_of(request), block_id_of(request)
    live = "hx-request" in request.headers
    try:
        trashed = await deps.messages.trash(
            block_id, message_id, if_version=int(version) if version.isascii() and version.isdigit() else None
        )
    except AppError as error:
        if live or error.status not in (409, 412):
            raise
        return await _page(request, message_id, notice=error.message, status=error.status)
    if trashed.key is None:
        return _lead_to(f"/?deleted={block_id}", live=live)
    return await _shown(request, f"/c/{block_id}?removed={trashed.key}", removed=trashed.key)


async def _shown(request: Request[State], address: str, removed: str) -> Response:
    """The conversation after a change: for htmx at once, else at its address."""
    deps = deps_of(request)
    conversation = await deps.store.load(block_id_of(request), limit=1) if "hx-request" in request.headers else None
    return RedirectResponse(address, 303) if conversation is None else stream_whole(deps, conversation, removed)


def _lead_to(address: str, *, live: bool) -> Response:
    """Htmx would put what a redirect leads to into the page."""
    return Response(headers={"hx-redirect": address}) if live else RedirectResponse(address, 303)


async def _rate(request: Request[State], fields: Mapping[str, str]) -> Response:
    feedback, block_id = deps_of(request).feedback, block_id_of(request)
    rating = next((name for name in ("up", "down", "unrate") if name in fields), None)
    if rating is None:
        raise InvalidRequest("The form names nothing to do.")
    message_id = fields[rating]
    if rating == "unrate":
        await feedback.remove(block_id, message_id)
    else:
        await feedback.put(block_id, message_id, read_feedback({"rating": rating, "comment": fields.get("comment")}))
    if "comment" in fields:
        return RedirectResponse(f"/c/{block_id}/message?id={quote(message_id, safe='')}", 303)
    return RedirectResponse(f"/c/{block_id}#{element_id(message_id)}", 303)


async def _page(request: Request[State], message_id: str, *, notice: str = "", status: int = 200) -> Response:
    deps, block_id = deps_of(request), block_id_of(request)
    found = await deps.messages.find(block_id, message_id)
    conversation = await deps.store.load(block_id, limit=1)
    configuration = deps.configuration()
    message = found.message
    words = " ".join(message.text.split())
    page = await app_page(
        request,
        "message.html",
        current=block_id,
        block_id=block_id,
        title=conversation.title if conversation is not None else "",
        message=message,
        excerpt=words if len(words) <= _EXCERPT else f"{words[:_EXCERPT].rstrip()}…",
        count=found.count,
        version=found.version,
        details=answer_details(message.metadata, preset_titles(configuration)) if message.role == "assistant" else (),
        notes=describe_ending(message.metadata).notes if message.role == "assistant" else (),
        presets=configuration.chats(),
        rated=(await deps.feedback.of(block_id)).get(message_id),
        notice=notice,
    )
    page.status_code = status
    return page
