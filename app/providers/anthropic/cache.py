"""Where a request to Anthropic's API asks the service to keep its beginning for the next one.

The service keeps the prompt up to each mark, and finds it again if a later request has the same beginning and a mark
there, or at most 20 blocks behind it.
"""

from __future__ import annotations

from typing import Any

from app.core.values import Cache

_MOST_MARKS = 4
"""What the API takes in one request."""


def mark(body: dict[str, Any], cache: Cache) -> None:
    """Put marks, in order of their worth, on the end of the history, of the one that the request before ended with
    (however many blocks came since), of the system prompt and of the tools.

    `provider_tools` may bring marks of their own: those count, and stay.
    """
    if cache == "off":
        return
    control = {"type": "ephemeral"} | ({"ttl": cache} if cache != "5m" else {})
    tools = body.get("tools", ())
    left = _MOST_MARKS - sum("cache_control" in tool for tool in tools)
    asked = [message["content"][-1] for message in body["messages"] if message["role"] == "user"]
    ends = [*reversed(asked[-2:]), *body.get("system", ())[-1:], *_last_loaded(tools)]
    for block in ends[: max(left, 0)]:
        block["cache_control"] = control


def _last_loaded(tools: Any) -> list[dict[str, Any]]:
    """The last tool that stands in the prompt, unless it is marked already."""
    loaded = [tool for tool in tools if not tool.get("defer_loading")]
    return [tool for tool in loaded[-1:] if "cache_control" not in tool]
