"""What an answer's metadata tells whoever wants to know: rows of a table. What is not there is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.wire.figures import FREE, NO_PRICE
from app.wire.transcript import show_seconds

_REASONS: Mapping[str, str] = {
    "stop": "By itself",
    "length": "At its token limit",
    "content-filter": "By a content filter",
    "tool-calls": "With calls of tools",
    "error": "With an error",
    "stopped": "Stopped",
    "interrupted": "The server went away",
}

_CUT: Mapping[str, str] = {
    "stopped": "stopped, and the service reports no tokens",
    "interrupted": "interrupted, and the service reports no tokens",
    "error": "failed, and the service reports no tokens",
}
"""Status → what became of the last call."""

_SHORTEST_SECONDS = 0.05
"""Of saying something, for its speed to mean anything."""


def answer_details(metadata: Any, titles: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """Name and value; `titles` are those of presets, by name. Metadata may be a client's own: whatever has not the
    shape we write is left out.
    """
    return list(_rows(metadata, titles)) if isinstance(metadata, Mapping) else []


def _rows(said: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if isinstance(model := said.get("model"), str) and model:
        yield "Model", model
    if isinstance(preset := said.get("preset"), str) and preset:
        yield "Preset", titles.get(preset, preset)
    if isinstance(routed := said.get("routed"), Mapping):
        yield from _routed(routed, titles)
    usage = said["usage"] if isinstance(said.get("usage"), Mapping) else {}
    yield from _used(said, usage)
    first, whole = _number(said.get("timeToFirstTokenMs")), _number(said.get("durationMs"))
    if first:
        yield "First token after", _time(first)
    if whole is not None:
        yield "Took", _time(whole)
    if (speed := _speed(said, _number(usage.get("outputTokens")), first, whole)) is not None:
        yield "Speed", f"{speed:,.0f} tokens per second"
    status, reason = said.get("status"), said.get("finishReason")
    if (ended := _REASONS.get(str(status)) or _REASONS.get(str(reason))) is not None:
        yield "Ended", ended
    if repairs := said.get("repairs"):
        yield "Mended in the history", _count(repairs)
    if isinstance(created := said.get("createdAt"), str):
        yield "Began", created


def _routed(routed: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Whom the preset, a router, has chosen, and why nobody else."""
    chosen, why = routed.get("preset"), routed.get("why")
    if isinstance(chosen, str) and isinstance(why, str):
        yield "Chosen", f"{titles.get(chosen, chosen)}: {why}"
    skipped = routed.get("skipped")
    for each in skipped if isinstance(skipped, list | tuple) else ():
        if isinstance(each, Mapping) and isinstance(name := each.get("preset"), str):
            yield f"Not {titles.get(name, name)}", str(each.get("why", ""))


def _used(said: Mapping[str, Any], usage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Tokens and what they cost, and what of them nobody knows."""
    counted = False
    for name, key in (
        ("Tokens in", "inputTokens"),
        ("from the cache", "cachedInputTokens"),
        ("to the cache", "cacheWriteTokens"),
        ("Tokens out", "outputTokens"),
        ("for thinking", "reasoningTokens"),
    ):
        if (count := _number(usage.get(key))) is not None:
            counted = True
            yield name, f"{count:,.0f}"
    if (cut := _CUT.get(str(said.get("status")))) is not None:
        yield ("not counted", f"The last call: {cut}") if counted else ("Tokens", cut.capitalize())
    if said.get("usageIncomplete") is True:
        yield "not counted", "What was said before it was continued"
    if (cost := _number(said.get("costUsd"))) is not None:
        yield "Cost", f"${cost:.6f}".rstrip("0").rstrip(".") if cost else FREE
    elif counted:
        yield "Cost", NO_PRICE


def _speed(said: Mapping[str, Any], tokens: float | None, first: float | None, whole: float | None) -> float | None:
    """Tokens per second while the model spoke: without its first silence, and without the time of tools."""
    if not tokens or first is None or whole is None:
        return None
    tools = said["toolMs"] if isinstance(said.get("toolMs"), Mapping) else {}
    seconds = (whole - first - sum(_number(took) or 0 for took in tools.values())) / 1000
    return tokens / seconds if seconds >= _SHORTEST_SECONDS else None


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 950 else show_seconds(milliseconds / 1000)


def _count(items: Any) -> str:
    count = len(items) if isinstance(items, list | tuple) else 1
    return "1 place" if count == 1 else f"{count} places"


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None
