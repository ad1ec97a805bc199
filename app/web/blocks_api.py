"""`/api/ai/blocks`, `/api/ai/presets`, `/api/ai/resolve`: what is set, what can be chosen, which value wins and why."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.chat.presets import check_block_changes, explain, resolve
from app.core.values import Values
from app.web.body import read_object
from app.web.deps import State
from app.web.requests import block_id_of, deps_of, header_values, preset_of
from app.web.responses import JSONAnswer
from app.web.routed import route_now
from app.web.templates import preset_title


async def get_block(request: Request[State]) -> Response:
    block_id = block_id_of(request)
    return JSONAnswer({"id": block_id, "metadata": dict(await deps_of(request).store.block(block_id))})


async def patch_block(request: Request[State]) -> Response:
    """Set the keys of the body, remove those that are null; the answer is everything that stands then."""
    deps = deps_of(request)
    block_id = block_id_of(request)
    changes = check_block_changes(deps.configuration(), await read_object(request))
    return JSONAnswer({"id": block_id, "metadata": dict(await deps.store.patch_block(block_id, changes))})


async def get_presets(request: Request[State]) -> Response:
    deps = deps_of(request)
    configuration = deps.configuration()
    presets = [
        {
            "name": preset.name,
            "title": preset_title(preset),
            "description": preset.description or "",
            "provider": preset.provider,
            "model": configuration.model_of(preset) or "",
            **({} if preset.router is None else {"candidates": preset.router.names}),
        }
        for preset in configuration.presets.values()
    ]
    chosen = configuration.preset or "default"
    value = {"presets": presets, "default": chosen, "why": configuration.origin}
    if (problem := deps.configuration_problem()) is not None:
        value["problem"] = problem
    return JSONAnswer(value)


async def get_resolve(request: Request[State]) -> Response:
    """Each value that a turn of this block would use, with the layer that set it; and whom a router would choose."""
    deps, block_id = deps_of(request), block_id_of(request)
    block = await deps.store.block(block_id)
    resolved = resolve(
        deps.configuration(),
        url_preset=preset_of(request),
        options=Values(),
        headers=header_values(request),
        block=block,
    )
    resolved = await deps.prompts.with_system(resolved)
    return JSONAnswer(explain(resolved, await route_now(deps, block_id, block, resolved)))
