"""The `usage` of an Anthropic answer → ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.events import Usage


def total(usage: Mapping[str, Any]) -> Usage:
    """The tokens of a call, by the figures that came last.

    Where the service summarised the history first (`compaction`), the figures on top leave that out, and the sum over
    the iterations holds. It does not hold where another model took over (`fallback_message`), and an adviser's tokens
    (`advisor_message`) are billed apart.
    """
    read = usage.get("cache_read_input_tokens")
    written = usage.get("cache_creation_input_tokens")
    said, heard = usage.get("output_tokens", 0), usage.get("input_tokens", 0)
    iterations = usage.get("iterations") or ()
    own = [iteration for iteration in iterations if iteration.get("type") in {"message", "compaction"}]
    if own and all(iteration.get("type") != "fallback_message" for iteration in iterations):
        said = sum(iteration["output_tokens"] for iteration in own)
        heard = sum(iteration["input_tokens"] for iteration in own)
    return Usage(
        input_tokens=heard + (read or 0) + (written or 0),
        output_tokens=said,
        reasoning_tokens=usage.get("output_tokens_details", {}).get("thinking_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        searches=(usage.get("server_tool_use") or {}).get("web_search_requests") or None,
    )
