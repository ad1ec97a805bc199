"""Where a request to Anthropic's API asks the service to keep its beginning for the next one.

The service keeps the prompt up to each mark, and finds it again if a later request has the same beginning and a mark
there, or at most 20 blocks behind it.
"""

from __future__ import annotations

from collections.abc import Collection
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
    control = _control(cache)
    tools = body.get("tools", ())
    left = _MOST_MARKS - sum("cache_control" in tool for tool in tools)
    asked = [message["content"][-1] for message in body["messages"] if message["role"] == "user"]
    ends = [*reversed(asked[-2:]), *body.get("system", ())[-1:], *_last_loaded(tools)]
    for block in ends[: max(left, 0)]:
        block["cache_control"] = control


def mark_parts(body: dict[str, Any], parts: Collection[str], cache: Cache) -> None:
    """Put marks where a client has asked for them: on the end of `system` and of `tools`, as long as there are any left
    beside its own. Of a body that is the client's: it may hold anything, and stays what it is.
    """
    left = _MOST_MARKS - _marks_in([body.get(name) for name in ("tools", "system", "messages")])
    control = _control("5m" if cache == "off" else cache)
    for part in ("system", "tools"):
        value = body.get(part) if part in parts and left > 0 else None
        blocks = [{"type": "text", "text": value}] if isinstance(value, str) and value else value
        if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
            continue
        for place in [place for place, block in enumerate(blocks) if not block.get("defer_loading")][-1:]:
            marked = {"cache_control": control, **blocks[place]}
            body[part] = [*blocks[:place], marked, *blocks[place + 1 :]]
            left -= 1


def _marks_in(value: Any) -> int:
    todo, marks = [value], 0
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            marks += "cache_control" in value
            todo += value.values()
        elif isinstance(value, list):
            todo += value
    return marks


def _control(cache: Cache) -> dict[str, str]:
    return {"type": "ephemeral"} | ({"ttl": cache} if cache != "5m" else {})


def _last_loaded(tools: Any) -> list[dict[str, Any]]:
    """The last tool that stands in the prompt, unless it is marked already."""
    loaded = [tool for tool in tools if not tool.get("defer_loading")]
    return [tool for tool in loaded[-1:] if "cache_control" not in tool]
