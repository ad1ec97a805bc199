"""`/settings/keys`: how programs use the gateway, and the keys that they have. Plain forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.chat.gateway_keys import Limits
from app.core.errors import AppError, InvalidRequest
from app.core.gateway_keys import GatewayKey
from app.web.auth import door_of
from app.web.deps import State
from app.web.requests import deps_of
from app.web.templates import app_page, preset_titles

_NO_FIELDS: Mapping[str, str] = {}


async def get_keys_page(request: Request[State]) -> Response:
    return await _page(request)


async def post_keys_page(request: Request[State]) -> Response:
    """`remove` names a key to remove; without it one is made, and shown this once: nothing leads back to the answer."""
    keys = deps_of(request).gateway_keys
    async with request.form(max_fields=200, max_files=0) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        chosen = [value for value in form.getlist("preset") if isinstance(value, str)]
    if "remove" in fields:
        await keys.remove(fields["remove"])
        return RedirectResponse("/settings/keys", 303)
    try:
        limits = Limits(
            tuple(chosen),
            _number(fields, "requests_per_minute", int, "Requests a minute"),
            _number(fields, "spend_limit", float, "Dollars a month"),
        )
        created = await keys.create(fields.get("name", ""), limits)
    except AppError as error:
        return await _page(request, fields=fields, chosen=chosen, notice=error)
    return await _page(request, created=created)


async def _page(
    request: Request[State],
    *,
    created: tuple[GatewayKey, str] | None = None,
    fields: Mapping[str, str] = _NO_FIELDS,
    chosen: Sequence[str] = (),
    notice: AppError | None = None,
) -> Response:
    deps = deps_of(request)
    response = await app_page(
        request,
        "keys.html",
        address=deps.public_url or str(request.base_url).rstrip("/"),
        has_token=not door_of(request).is_open,
        keys=await deps.gateway_keys.all(),
        created=None if created is None else created[0],
        secret=None if created is None else created[1],
        presets=preset_titles(deps.configuration()),
        fields=fields,
        chosen=chosen,
        notice=None if notice is None else notice.message,
    )
    if notice is not None:
        response.status_code = notice.status
    return response


def _number(fields: Mapping[str, str], name: str, kind: type[Any], label: str) -> Any:
    """None where nothing was said."""
    text = fields.get(name, "").strip()
    try:
        return kind(text) if text else None
    except ValueError:
        raise InvalidRequest(f"{label}: must be a number.", param=name) from None
