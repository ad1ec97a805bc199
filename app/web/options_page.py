"""`/c/{blockId}/options`: what can be done with a conversation as a whole, as plain forms.

The menu in the sidebar does the same through the API; this page needs no script.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.chat.presets import check_block_changes
from app.core.errors import InvalidRequest, NotFound
from app.web.deps import State
from app.web.requests import block_id_of, deps_of
from app.web.templates import app_page


async def get_options(request: Request[State]) -> Response:
    deps, block_id = deps_of(request), block_id_of(request)
    conversation = await deps.store.load(block_id, limit=1)
    if conversation is None:
        raise NotFound("There is no such conversation.")
    block = await deps.store.block(block_id)
    values = {
        "block_id": block_id,
        "title": conversation.title,
        "pinned": block.get("pinned") is True,
        "archived": block.get("archived") is True,
    }
    return await app_page(request, "options.html", current=block_id, **values)


async def post_options(request: Request[State]) -> Response:
    """One of the fields `title`, `pinned`, `archived`, `trash` and `restore`; then the page that it leads to."""
    deps, block_id = deps_of(request), block_id_of(request)
    async with request.form(max_files=0, max_fields=5) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if "trash" in fields:
        if not await deps.trash.put(block_id):
            raise NotFound("There is no such conversation.")
        return RedirectResponse(f"/?deleted={block_id}", status_code=303)
    if "restore" in fields:
        if not await deps.trash.restore(block_id):
            raise NotFound("This conversation cannot be brought back any more.")
        return RedirectResponse(f"/c/{block_id}", status_code=303)
    changes: dict[str, object] = {name: fields[name] == "true" for name in ("pinned", "archived") if name in fields}
    if "title" in fields:
        changes["title"] = fields["title"].strip()
    if not changes:
        raise InvalidRequest("The form names nothing to change.")
    if await deps.store.load(block_id, limit=1) is None:
        raise NotFound("There is no such conversation.")
    await deps.store.patch_block(block_id, check_block_changes(deps.configuration(), changes))
    return RedirectResponse(f"/c/{block_id}/options", status_code=303)
