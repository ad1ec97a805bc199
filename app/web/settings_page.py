"""`/settings`: what this server is set up with, and whether it works: services, tools, the configuration itself.

The page opens at once. Services and MCP servers are asked when it has opened, through
`/api/ai/presets/{preset}/check` and `/settings/tools`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app import __version__
from app.chat.tool_names import lost_names
from app.core.errors import NotFound
from app.core.model import Preset
from app.core.services import Check, ListedModel, ServiceFacts, check_of_router
from app.web.deps import Deps, State
from app.web.requests import deps_of, wants_html
from app.web.responses import JSONAnswer
from app.web.templates import app_page
from app.wire.figures import size


@dataclass(frozen=True, slots=True)
class PresetCard:
    """A preset as the page shows it."""

    preset: Preset
    facts: ServiceFacts
    model: str
    standing: bool
    """Answers where nobody says otherwise."""
    check: Check | None
    """None: it is asked later, by a script."""


async def get_settings_page(request: Request[State]) -> Response:
    """`?check=true` asks everybody before the page is answered: for whoever has no script."""
    deps = deps_of(request)
    configuration = deps.configuration()
    standing = configuration.preset or "default"
    checks: Sequence[Check | None] = [None] * len(configuration.presets)
    tools: Mapping[str, Any] = {"overview": None}
    if "check" in request.query_params:
        asked = (_check(deps, preset) for preset in configuration.presets.values())
        checks, tools = await asyncio.gather(asyncio.gather(*asked), _tools(deps))
    cards = [
        PresetCard(
            preset, deps.services.facts(preset), configuration.model_of(preset) or "", preset.name == standing, check
        )
        for preset, check in zip(configuration.presets.values(), checks, strict=True)
    ]
    values: dict[str, Any] = {
        "cards": sorted(cards, key=lambda card: not card.standing),
        **tools,
        "why": configuration.origin,
        "problem": deps.configuration_problem(),
        "file": deps.configuration_file,
        "index": await deps.search_index.state(),
        "data_size": size(await asyncio.to_thread(deps.data_size)),
        "version": __version__,
    }
    return await app_page(request, "settings.html", **values)


async def get_settings_tools(request: Request[State]) -> Response:
    """The part of the page that waits for MCP servers."""
    deps = deps_of(request)
    return HTMLResponse(deps.templates.get_template("parts/tools.html").render(await _tools(deps)))


async def get_preset_check(request: Request[State]) -> Response:
    """Could this preset answer now? For the page as what stands in its card."""
    deps = deps_of(request)
    preset = deps.configuration().presets.get(request.path_params["preset"])
    if preset is None:
        raise NotFound("There is no preset of this name.")
    check = await _check(deps, preset)
    if wants_html(request):
        html = deps.templates.get_template("parts/check.html").render(preset=preset, check=check)
        return HTMLResponse(html)
    return JSONAnswer(
        {
            "preset": preset.name,
            "ok": check.ok,
            "message": check.sentence,
            "models": [_listed(model) for model in check.models],
        }
    )


async def _check(deps: Deps, preset: Preset) -> Check:
    configuration = deps.configuration()
    if preset.router is None:
        return await deps.services.check(preset, preset.values.model or configuration.values.model)
    candidates = configuration.behind(preset)
    checks = await asyncio.gather(*(_check(deps, candidate) for candidate in candidates))
    return check_of_router({each.name: check for each, check in zip(candidates, checks, strict=True)})


async def _tools(deps: Deps) -> Mapping[str, Any]:
    overview = await deps.toolbox.overview()
    return {"overview": overview, "tool_problems": [*overview.problems, *lost_names(deps.configuration(), overview)]}


def _listed(model: ListedModel) -> Mapping[str, Any]:
    context = {} if model.context_tokens is None else {"contextTokens": model.context_tokens}
    return {"id": model.name, **context, "abilities": list(model.abilities)}
