"""What an empty conversation says of who answers, and where nobody real does, of how to change that."""

from __future__ import annotations

from typing import Any

from app.core.model import Preset
from app.web.deps import Deps


async def welcome_values(deps: Deps, chosen: str) -> dict[str, Any]:
    """For `welcome.html`. A local model server is looked for only where the demo answers."""
    preset = deps.configuration().presets.get(chosen)
    facts = deps.services.facts(preset) if preset is not None else None
    local = None
    if facts is not None and facts.is_demo:
        local = await deps.services.local_server()
    title = deps.services.facts(Preset("local", local.provider)).title if local is not None else ""
    missing_key = facts.key_name if facts is not None and facts.key == "missing" else None
    return {"local": local, "local_title": title, "file": deps.configuration_file, "missing_key": missing_key}
