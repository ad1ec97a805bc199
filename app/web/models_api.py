"""`/v1/models`: what a program can name as its `model`, in a shape that the clients of Anthropic's and of OpenAI's API
both read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.chat.model_names import NO_SUCH_MODEL
from app.core.errors import InvalidRequest, NotFound
from app.core.model import Preset
from app.web.deps import State
from app.web.gateway_keys import key_of
from app.web.requests import deps_of
from app.web.responses import JSONAnswer
from app.web.templates import preset_title

MAX_PAGE = 1_000

_UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""What Anthropic's API says of a model whose date nobody knows."""


async def get_models(request: Request[State]) -> Response:
    """The presets that the request may use. All of them, where it asks for no page."""
    names = [preset.name for preset in _presets(request)]
    first, last = 0, len(names)
    query = request.query_params
    if (after := query.get("after_id")) is not None:
        first = _place(names, after, "after_id") + 1
    if (before := query.get("before_id")) is not None:
        last = _place(names, before, "before_id")
    limit = _limit(query.get("limit"))
    has_more = last - first > limit
    if has_more and before is not None and after is None:
        first = last - limit
    else:
        last = min(last, first + limit)
    page = [_shown(preset) for preset in _presets(request)[first:last]]
    ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return JSONAnswer({"object": "list", "data": page, "has_more": has_more, **ends})


async def get_model(request: Request[State]) -> Response:
    """A preset, or whatever else can be named as a model and leads to one."""
    name = str(request.path_params["model"]).removeprefix("ai@")
    found = next((preset for preset in _presets(request) if preset.name == name), None)
    found = found or deps_of(request).completions.known(name, key_of(request))
    if found is None:
        raise NotFound(NO_SUCH_MODEL, param="model")
    return JSONAnswer({**_shown(found), "id": name})


def _presets(request: Request[State]) -> Sequence[Preset]:
    key = key_of(request)
    presets = deps_of(request).configuration().presets.values()
    return [preset for preset in presets if key is None or key.may_use(preset.name)]


def _place(names: Sequence[str], name: str, param: str) -> int:
    if name not in names:
        raise InvalidRequest(f"`{param}` must be the id of a model of the list.", param=param)
    return names.index(name)


def _limit(value: str | None) -> int:
    if value is None:
        return MAX_PAGE
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= MAX_PAGE):
        raise InvalidRequest(f"`limit` must be a whole number from 1 to {MAX_PAGE:,}.", param="limit")
    return int(value)


def _shown(preset: Preset) -> dict[str, Any]:
    return {
        "id": preset.name,
        "type": "model",
        "object": "model",
        "display_name": preset_title(preset),
        "created_at": _UNKNOWN_DATE,
        "created": 0,
        "owned_by": preset.provider,
        "lifecycle": "active",
    }
