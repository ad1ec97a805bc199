"""`/share/{token}`: a shared conversation, for people without an account or token; and `/c/{blockId}/share`, where its
owner makes links and revokes them.

Who reads a share gets that page and its files, below its own address. Nothing leads from there to anything else.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.core.errors import NotFound
from app.core.shares import shared_files, with_file_addresses
from app.web.deps import State
from app.web.files_api import file_response
from app.web.requests import block_id_of, deps_of
from app.web.share_api import address_of
from app.web.templates import app_page

_PRIVATE = {"referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow, noarchive"}


async def get_shared(request: Request[State]) -> Response:
    deps = deps_of(request)
    shared = await deps.shares.find(_token(request))
    messages = with_file_addresses(shared.messages, f"/share/{shared.share.token}")
    template = deps.templates.get_template("share.html")
    html = await asyncio.to_thread(template.render, share=shared.share, messages=messages)
    return HTMLResponse(html, headers=_PRIVATE)


async def get_shared_file(request: Request[State]) -> Response:
    """A file that is attached to what the share shows; no other, wherever it is."""
    file_id = str(request.path_params["id"])
    shared = await deps_of(request).shares.find(_token(request))
    if file_id not in shared_files(shared.messages):
        raise NotFound("There is no such file.")
    response = await file_response(request, file_id)
    response.headers.update({**_PRIVATE, "cache-control": "no-store"})  # what is revoked is not kept
    return response


async def get_sharing(request: Request[State]) -> Response:
    """The conversation's links, and a form that makes one."""
    deps, block_id = deps_of(request), block_id_of(request)
    conversation = await deps.store.load(block_id, limit=1)
    if conversation is None:
        raise NotFound("There is no such conversation.")
    shares = await deps.shares.store.of(block_id)
    links = [(share, address_of(request, share)) for share in shares]
    return await app_page(
        request,
        "sharing.html",
        current=block_id,
        block_id=block_id,
        title=conversation.title,
        links=links,
        created=request.query_params.get("created"),
    )


async def post_sharing(request: Request[State]) -> Response:
    """`revoke` names a link to revoke. Without it a new one is made; `details`: with thinking and tools."""
    shares, block_id = deps_of(request).shares, block_id_of(request)
    async with request.form(max_fields=4, max_files=0) as form:
        revoked, details = form.get("revoke"), "details" in form
    if isinstance(revoked, str):
        await shares.revoke(block_id, revoked)
        return RedirectResponse(f"/c/{block_id}/share", 303)
    share = await shares.create(block_id, with_details=details)
    return RedirectResponse(f"/c/{block_id}/share?created={share.token}", 303)


def _token(request: Request[State]) -> str:
    return str(request.path_params["token"])
