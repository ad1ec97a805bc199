"""`/transfer`: all conversations out as one file, and others in. The settings show it too; here it has its own page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import AppError
from app.web.deps import State
from app.web.requests import deps_of
from app.web.templates import app_page
from app.web.transfer_api import import_conversations


async def get_transfer(request: Request[State]) -> Response:
    return await _page(request)


async def post_transfer(request: Request[State]) -> Response:
    """A file out of a form. With a script the page sends it in parts, to the API."""
    async with request.form(max_fields=4, max_files=1) as form:
        file = form.get("file")
        content = await file.read() if isinstance(file, UploadFile) else b""
    try:
        return await _page(request, result=await import_conversations(deps_of(request), content))
    except AppError as error:
        return await _page(request, notice=error)


async def _page(
    request: Request[State], *, notice: AppError | None = None, result: Mapping[str, Any] | None = None
) -> Response:
    said = notice.message if notice is not None else ""
    page = await app_page(request, "transfer_page.html", notice=said, result=result)
    page.status_code = notice.status if notice is not None else 200
    return page
