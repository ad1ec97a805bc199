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
            "title": preset.title or preset.name,
            "description": preset.description or "",
            "provider": preset.provider,
            "model": preset.values.model or configuration.values.model or preset.default_model or "",
        }
        for preset in configuration.presets.values()
    ]
    chosen = configuration.preset or "default"
    value = {"presets": presets, "default": chosen, "why": configuration.origin}
    if (problem := deps.configuration_problem()) is not None:
        value["problem"] = problem
    return JSONAnswer(value)


async def get_resolve(request: Request[State]) -> Response:
    """Each value that a turn of this block would use, with the layer that set it."""
    deps = deps_of(request)
    resolved = resolve(
        deps.configuration(),
        url_preset=preset_of(request),
        options=Values(),
        headers=header_values(request),
        block=await deps.store.block(block_id_of(request)),
    )
    return JSONAnswer(explain(await deps.prompts.with_system(resolved)))
