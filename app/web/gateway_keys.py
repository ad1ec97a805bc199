"""Keys of the gateway: what stands before its endpoints, and `/api/ai/keys`, where keys are made and removed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response

from app.chat.gateway_keys import Limits
from app.core.errors import InvalidRequest, KeyRefused
from app.core.gateway_keys import GatewayKey, KeyUsage
from app.web.auth import door_of, gateway_key_in
from app.web.body import read_object
from app.web.deps import State
from app.web.requests import deps_of
from app.web.responses import JSONAnswer

_KEY = "palaver.gateway_key"

Endpoint: TypeAlias = Callable[[Request[State]], Awaitable[Response]]


def with_key(endpoint: Endpoint) -> Endpoint:
    """The endpoint for those whom a key, the server's token or the want of both lets in."""

    @wraps(endpoint)
    async def admitted(request: Request[State]) -> Response:
        keys, door = deps_of(request).gateway_keys, door_of(request)
        secret = gateway_key_in(request.scope)
        if secret is not None or door.is_open:  # else the guard has seen the token
            try:
                request.scope[_KEY] = await keys.admit(secret)
            except KeyRefused:
                door.count(request.scope, guessed=secret is not None)
                raise
        return await endpoint(request)

    return admitted


def key_of(request: Request[State]) -> GatewayKey | None:
    """The key whose limits hold for the request."""
    key: GatewayKey | None = request.scope.get(_KEY)
    return key


class _NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)

    name: str
    presets: list[str] = Field(default=[])
    requests_per_minute: int | None = None
    spend_limit: float | None = None


async def get_keys(request: Request[State]) -> Response:
    return JSONAnswer({"keys": [_shown(used) for used in await deps_of(request).gateway_keys.all()]})


async def post_key(request: Request[State]) -> Response:
    """Make a key. Its `key` is in this answer and nowhere else."""
    deps = deps_of(request)
    try:
        asked = _NewKey.model_validate(await read_object(request))
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise InvalidRequest(
            f"{field[:80]}: cannot be. A key has a name, and may have presets, requestsPerMinute and spendLimit.",
            param=field[:80],
        ) from None
    limits = Limits(tuple(asked.presets), asked.requests_per_minute, asked.spend_limit)
    key, secret = await deps.gateway_keys.create(asked.name, limits)
    return JSONAnswer({**_shown(KeyUsage(key, 0, 0.0, None)), "key": secret}, 201)


async def delete_key(request: Request[State]) -> Response:
    await deps_of(request).gateway_keys.remove(str(request.path_params["id"]))
    return Response(status_code=204)


def _shown(used: KeyUsage) -> Mapping[str, Any]:
    key = used.key
    said = {
        "requestsPerMinute": key.requests_per_minute,
        "spendLimit": key.spend_limit,
        "lastUsedAt": used.last_used_at,
    }
    return {
        "id": key.id,
        "name": key.name,
        "ending": key.ending,
        "createdAt": key.created_at,
        "presets": list(key.presets),
        "calls": used.calls,
        "spentThisMonth": round(used.spent, 6),
        **{name: value for name, value in said.items() if value is not None},
    }
