"""Names in the configuration that lead to no tool: nobody notices a policy that is never asked."""

from __future__ import annotations

from collections.abc import Iterator

from app.core.model import Configuration
from app.core.tools import ToolOverview, names_tool
from app.core.values import Values

EVERYTHING = "*"


def lost_names(configuration: Configuration, overview: ToolOverview) -> list[str]:
    """A sentence for each name in `tools` and `tool_policy` that fits no tool there is."""
    places = {f"The preset {preset.name!r}": preset.values for preset in configuration.presets.values()}
    layers = {**places, "The table settings": configuration.values}
    return [sentence for place, values in layers.items() for sentence in _lost(place, values, overview)]


def _lost(place: str, values: Values, overview: ToolOverview) -> Iterator[str]:
    for name in values.tools or ():
        if not _leads_somewhere(name, overview):
            yield f"{place} offers {name!r} in its tools, and there is no such tool."
    for name in values.tool_policy or {}:
        if not _leads_somewhere(name, overview):
            yield f"{place} has a tool_policy for {name!r}, and no tool of this server is called so."


def _leads_somewhere(name: str, overview: ToolOverview) -> bool:
    """What a server that does not answer would have, nobody knows; it is complained of itself."""
    silent = [server.name for server in overview.servers if server.state != "ready"]
    server = name.removeprefix("mcp:").partition("/")[0] if name.startswith("mcp:") else name.partition("__")[0]
    known = any(names_tool(name, listed.tool.spec.name) for listed in overview.tools)
    return name == EVERYTHING or known or server in silent
