"""`/api/ai/conversations/{blockId}/shares`: links to a snapshot of a conversation."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import InvalidRequest, NotFound
from app.core.shares import Share
from app.web.body import read_object
from app.web.deps import State
from app.web.requests import block_id_of, deps_of
from app.web.responses import JSONAnswer


async def get_shares(request: Request[State]) -> Response:
    deps, block_id = deps_of(request), block_id_of(request)
    shares = await deps.shares.store.of(block_id)
    if not shares and await deps.store.load(block_id, limit=1) is None:
        raise NotFound("There is no such conversation.")
    return JSONAnswer({"shares": [_share(request, share) for share in shares]})


async def post_share(request: Request[State]) -> Response:
    """`details`: with thinking and tools."""
    details = (await read_object(request)).get("details", False)
    if not isinstance(details, bool):
        raise InvalidRequest("`details` must be true or false.", param="details")
    share = await deps_of(request).shares.create(block_id_of(request), with_details=details)
    return JSONAnswer(_share(request, share), status_code=201)


async def delete_share(request: Request[State]) -> Response:
    await deps_of(request).shares.revoke(block_id_of(request), str(request.path_params["token"]))
    return Response(status_code=204)


def address_of(request: Request[State], share: Share) -> str:
    """As far as it is known: behind a proxy with its origin, else only the path."""
    return f"{deps_of(request).public_url or ''}/share/{share.token}"


def _share(request: Request[State], share: Share) -> dict[str, Any]:
    return {
        "token": share.token,
        "url": address_of(request, share),
        "title": share.title,
        "details": share.with_details,
        "messageCount": share.message_count,
        "createdAt": share.created_at,
    }
