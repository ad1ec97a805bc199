"""`/c/{blockId}/settings`: how one conversation is answered, and which layer has the say about each value.

A page with a plain form; where there is a script, the same form opens beside the conversation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.chat.presets import Layer, PresetLayer, Resolved, resolve
from app.chat.run import MAX_STEPS
from app.core.errors import InvalidRequest, UnknownPreset, UnsupportedContent
from app.core.routing import Route
from app.core.tools import Offered
from app.core.values import NO_VALUES
from app.web.block_form import (
    ALL_TOOLS,
    FIELDS,
    MORE,
    NO_SYSTEM,
    THINKING_BUDGET,
    changes_of,
    shown_fields,
    tool_choices,
)
from app.web.deps import Deps, State
from app.web.requests import block_id_of, deps_of
from app.web.routed import route_now
from app.web.templates import app_page, preset_title

_LONGEST_SHOWN = 80
_EMPTY = dict.fromkeys((*FIELDS, NO_SYSTEM, ALL_TOOLS, THINKING_BUDGET), "")

LABELS: Mapping[str, str] = {
    "model": "Model",
    "system": "System prompt",
    "temperature": "Temperature",
    "top_p": "Top p",
    "max_tokens": "Longest answer",
    "stop": "Stop words",
    "thinking": "Thinking",
    "response_format": "Format",
    "on_disconnect": "When nobody watches",
    "cache": "Prompt cache",
    "max_steps": "Most steps",
    "tools": "Tools",
    "tool_policy": "Rules for tools",
}
"""Of every value, in the order of `Values`."""


CACHES: Mapping[str, str] = {"off": "Off", "5m": "For 5 minutes", "1h": "For an hour"}
"""As the page calls them."""


@dataclass(frozen=True, slots=True)
class Why:
    """One value of the next turn, and who set it."""

    label: str
    value: str
    """Empty: nobody says, and the service decides."""
    origin: str


async def get_block_page(request: Request[State]) -> Response:
    block_id = block_id_of(request)
    block = await deps_of(request).store.block(block_id)
    return await _page(request, block_id, block, shown_fields(block), {})


async def post_block_page(request: Request[State]) -> Response:
    """Save, and go back to the conversation; or the form again, with what is wrong at each field. With `?preview=`
    nothing is saved: the form shows what would be inherited.
    """
    deps, block_id = deps_of(request), block_id_of(request)
    async with request.form(max_files=0, max_fields=400) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
    block = await deps.store.block(block_id)
    changes, problems = changes_of(fields, block, deps.configuration())
    if problems or "preview" in request.query_params:
        standing = {key: value for key, value in {**block, **changes}.items() if value is not None}
        page = await _page(request, block_id, standing, fields, problems)
        page.status_code = 400 if problems else 200
        return page
    await deps.store.patch_block(block_id, changes)
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={"hx-redirect": f"/c/{block_id}"})
    return RedirectResponse(f"/c/{block_id}", 303)


async def _page(
    request: Request[State],
    block_id: str,
    block: Mapping[str, Any],
    fields: Mapping[str, str],
    problems: Mapping[str, str],
) -> Response:
    deps = deps_of(request)
    resolved, lost = _resolve(deps, block)
    own = {key: value for key, value in block.items() if key in ("ai:preset", "ai:toolpolicy", "ai:tools")}
    inherited, _ = _resolve(deps, own)
    offered = await deps.toolbox.tools(resolved.tool_names) if resolved.tool_names else Offered(())
    configuration = deps.configuration()
    values: dict[str, Any] = {
        "block_id": block_id,
        "fields": _EMPTY | dict(fields),
        "problems": ({"preset": lost} if lost else {}) | dict(problems),
        "presets": configuration.chats(fields.get("preset", "")),
        "standing_preset": _resolve(deps, {})[0].preset,
        "preset": resolved.preset,
        "inherited": {name: _text(value) for name, value in inherited.values.said().items()},
        "tools": tool_choices(offered.tools, resolved),
        "tool_problems": offered.problems,
        "limited_to": resolved.tool_choice,
        "why": explained(resolved, await _answering(deps, block_id, block, resolved)),
        "why_of": {name: _why_of(resolved, name) for name in MORE},
        "caches": CACHES,
        "built_in": {name: _text(value) for name, value in _BUILT_IN.items()},
        "more_open": any(fields.get(name) or name in problems for name in MORE),
    }
    return await app_page(request, "block_settings.html", current=block_id, **values)


def _resolve(deps: Deps, block: Mapping[str, Any]) -> tuple[Resolved, str]:
    """As a turn would; where the block's preset is gone, without it, and the sentence about that."""
    configuration = deps.configuration()
    try:
        return resolve(configuration, url_preset=None, options=NO_VALUES, headers=NO_VALUES, block=block), ""
    except UnknownPreset as error:
        rest = {key: value for key, value in block.items() if key != "ai:preset"}
        return _resolve(deps, rest)[0], error.message
    except InvalidRequest as error:
        preset = {key: value for key, value in block.items() if key == "ai:preset"}
        return _resolve(deps, preset)[0], error.message


async def _answering(deps: Deps, block_id: str, block: Mapping[str, Any], resolved: Resolved) -> Route | None:
    """Whom a router would choose now; nobody, where none of its candidates could take the conversation."""
    try:
        return await route_now(deps, block_id, block, resolved)
    except UnsupportedContent as error:
        return Route("", "", error.message)


def explained(resolved: Resolved, route: Route | None) -> Sequence[Why]:
    """Every value of the next turn, in words. Of a router, those with which it would ask whom it would choose now."""
    rows = [Why("Preset", preset_title(resolved.preset), _PRESET_ORIGINS[resolved.preset_layer])]
    asked = resolved
    if route is not None:
        asked = next((each for each in resolved.candidates if each.preset.name == route.preset), resolved)
        rows.append(Why("Would answer now", preset_title(asked.preset) if route.preset else "Nobody", route.why))
    for field, label in LABELS.items():
        value = asked.values.said().get(field, _BUILT_IN.get(field))
        layer = asked.layers[field]
        origin = f"from the preset {asked.preset.name}" if layer == "candidate" else None
        origin = origin or _origin(resolved, layer, said=value is not None)
        rows.append(Why(label, _text(value, most=_LONGEST_SHOWN), origin))
    return rows


def _why_of(resolved: Resolved, name: str) -> str:
    """One value of the next turn, in a sentence."""
    value = resolved.values.said().get(name, _BUILT_IN.get(name))
    if value is None:
        return "" if name == "stop" else "The service decides."
    words = CACHES.get(value) if name == "cache" else _text(value, most=_LONGEST_SHOWN)
    return f"Now: {words}, {_origin(resolved, resolved.layers[name], said=True)}."


_BUILT_IN: Mapping[str, Any] = {"on_disconnect": "continue", "cache": "5m", "max_steps": MAX_STEPS}
"""What holds where nobody says anything, and no service decides."""

_PRESET_ORIGINS: Mapping[PresetLayer, str] = {
    "url": "from the address",
    "block": "from this conversation",
    "global": "from the server's settings",
    "default": "built-in default",
}


def _origin(resolved: Resolved, layer: Layer, *, said: bool) -> str:
    match layer:
        case "options" | "headers":
            return "from the request"
        case "block":
            return "from this conversation"
        case "preset" | "preset:url":
            return f"from the preset {preset_title(resolved.preset)}"
        case "global":
            return "from the server's settings"
        case _:
            return "built-in default" if said else "the service decides"


def _text(value: Any, *, most: int | None = None) -> str:
    """A value in a line: `none` for the system prompt that was taken away."""
    match value:
        case None:
            return ""
        case "":
            return "none"
        case Mapping():
            text = ", ".join(f"{name}: {entry}" for name, entry in value.items())
        case list() | tuple():
            text = ", ".join(map(str, value)) or "none"
        case _:
            text = f"{value:,}" if isinstance(value, int) and most is not None else str(value)
    return text if most is None or len(text) <= most else text[: most - 1] + "…"
