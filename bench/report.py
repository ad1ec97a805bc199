"""The figures as people read them: docs/benchmarks/README.md, its charts, and figures.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import chart
from bench.caching import QUESTIONS
from bench.latency import CALM
from bench.targets import TARGETS, Figures, Target
from bench.ways import WAYS

FLOOR = "proxy"
SATURATED = 0.9
"""The share of its cores from which on the load generator may be what is slow."""

Level = Mapping[str, Any]


def write(figures: Figures, folder: Path) -> None:
    """Everything, from the figures of a run that measured everything."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(page(figures))
    (folder / "figures.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    for name, svg in charts(figures).items():
        (folder / name).write_text(svg)


def charts(figures: Figures) -> dict[str, str]:
    """SVG by file name."""
    paced = [(WAYS[name].title, value, _is_ours(name)) for name, value in figures["paced"].items()]
    pace = figures["plan"]["level_per_second"]
    return {
        "cpu.svg": chart.bars("CPU per delta", "microseconds of CPU, paced streams", paced),
        "latency.svg": chart.lines(
            "Latency of a delta, p99",
            f"streams at once, {pace} deltas a second each, on one core",
            "milliseconds",
            _series(figures, lambda _, level: level["p99"]),
        ),
        "memory.svg": chart.lines(
            "Memory of open streams",
            "streams at once",
            "megabytes above idle",
            _series(figures, lambda count, level: level["kilobytes"] * count / 1024),
        ),
    }


def page(figures: Figures) -> str:
    plan = figures["plan"]
    sections = [
        "# Benchmarks",
        f"What Palaver costs, beside what others cost: one run of `make bench`, {figures['date']}. Everything of the "
        "product is switched on: the run log, saving and checkpoints, usage, the guard. Every server has the same "
        "core to itself. Ratios mean more than the figures that they are made of." + _company(figures),
        "## Targets",
        targets_table(figures),
        "## CPU",
        "![CPU per delta by server](cpu.svg)",
        cpu_table(figures),
        f"*Paced*: {plan['streams']} streams of {plan['per_second']} deltas a second, every delta a network write of "
        f"its own, as services send them. *Burst*: {plan['burst_size']} deltas a write, so that parsing and copying "
        f"count alone. *Whole request*: the last question of a conversation of {plan['history']} messages, and a short "
        "answer in one read, with all that a request costs, saving included. Palaver has the messages before it stored "
        "already, as in any conversation that it keeps.",
        "## Latency",
        "![Latency of a delta by number of streams](latency.svg)",
        streams_table(figures),
        "From the service's write of a delta to its arrival at the client, everything on loopback. *The model service "
        "itself* is what the load generator measures without a server between. A stream is behind when its last deltas "
        "took longer than a quarter of a second." + _saturation(figures),
        first_delta_table(figures["first-delta"]),
        "What a server adds before the first delta while nothing else goes on.",
        first_delta_table(figures.get("gateway", {})),
        "The same for a program that asks by Anthropic's API: of a service that speaks it too, and of one that speaks "
        "OpenAI's, so that request and answer are translated.",
        "## The page",
        page_table(figures),
        "Milliseconds of the browser's main thread, in headless Chromium: for opening a conversation, and for each "
        "flush of an answer at its end (60 deltas a second; 5,000 lines of code and 2,000 rows ten at a time). "
        "*Longest* is the longest task while it opens, as the clock has it; *shift* is Chromium's measure of what "
        "jumps, to the end.",
        "## Prompt caching",
        _caching(figures),
        "## Memory",
        "![Memory by number of streams](memory.svg)",
        f"Resident memory of a server while the streams flow, {plan['level_seconds']:g} seconds after the last of them "
        "began, above what it had before the first. The table above has it for each stream.",
        "## How it is measured",
        _METHOD,
        "## Machine and versions",
        _facts({**figures["machine"], **figures["versions"]}),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def summary(figures: Figures) -> str:
    """For the terminal: what has been measured."""
    tables = [targets_table(figures, measured_only=True)]
    if {"paced", "burst", "request"} & set(figures):
        tables.append(cpu_table(figures))
    if "streams" in figures:
        tables.append(streams_table(figures))
    if "page" in figures:
        tables.append(page_table(figures))
    tables += [first_delta_table(figures[kind]) for kind in ("first-delta", "gateway") if kind in figures]
    return "\n\n".join(tables)


def targets_table(figures: Figures, *, measured_only: bool = False) -> str:
    rows = [_target_row(target, target.value(figures)) for target in TARGETS]
    return _table(("figure", "target", "measured", ""), [row for row in rows if row[2] or not measured_only])


def cpu_table(figures: Figures) -> str:
    paced, burst, request = (figures.get(kind, {}) for kind in ("paced", "burst", "request"))
    rows = []
    for name in WAYS:
        if name in paced or name in burst or name in request:
            ratio = f"{paced[name] / paced[FLOOR]:.1f} times" if name in paced and FLOOR in paced else ""
            numbers = (_shown(paced.get(name)), ratio, _shown(burst.get(name)), _shown(request.get(name)))
            rows.append((WAYS[name].title, *numbers))
    return _table(("µs of CPU", "paced", "to the proxy", "burst", "whole request"), rows)


def first_delta_table(added: Mapping[str, Mapping[str, float]]) -> str:
    rows = [(WAYS[name].title, _shown(of["p50"]), _shown(of["p99"])) for name, of in added.items()]
    return _table(("before the first delta", "p50, ms", "p99, ms"), rows) if rows else "Not measured here."


def page_table(figures: Figures) -> str:
    names = ("open", "longest", "kilobytes", "prose", "code", "table", "shift")
    rows = [
        (f"{int(length):,}", *(_shown(of[name]) for name in names))
        for length, of in figures.get("page", {}).items()
        if length.isdigit()
    ]
    head = ("messages", "opening", "longest", "KB of HTML", "flush: prose", "code", "table", "shift")
    return _table(head, rows) if rows else "Not measured here."


def _caching(figures: Figures) -> str:
    saved = figures.get("caching", {})
    if "gateway" not in saved:
        return "Not measured here."
    return (
        f"Of {QUESTIONS} questions behind the same system prompt of 4,000 tokens, sent to `/v1/messages` with "
        f'`prompt_caching: {{"cache_system": true}}`, Anthropic would bill **{saved["gateway"]} %** less input than '
        f"without; of a conversation of {QUESTIONS} questions that begins with a text of that length, unasked, "
        f"**{saved['chat']} %** less. Counted by the rules of Anthropic's documentation (see "
        "`bench/caching.py`), from Palaver's own ledger; nothing was sent to Anthropic."
    )


def streams_table(figures: Figures) -> str:
    rows = [
        (
            WAYS[name].title if number == 0 else "",
            f"{int(count):,}",
            _shown(level["p50"]),
            _shown(level["p99"]),
            f"{level['behind']:,}",
            "" if name == "direct" else _shown(level["kilobytes"]),
            "" if name == "direct" else f"{level['server_load']:.0%}",
        )
        for name, levels in figures["streams"].items()
        for number, (count, level) in enumerate(levels.items())
    ]
    return _table(("", "streams", "p50, ms", "p99, ms", "behind", "KB a stream", "of its core"), rows)


_METHOD = """\
* `make bench` starts each server in a process of its own on the same core, and the model service and the load generator
  on the others. All servers run at the same time and are asked in turn, A B C, A B C.
* CPU is the scheduler's count of nanoseconds for the server's processes, user and system. Of the paced streams, only
  seconds count in which all of them flow. A figure is the median of the calmer half of its samples: those in which
  nobody else used the machine much. Where others did, latency and memory were measured
  again, and the calmer attempt counts.
* The deltas carry the time at which they were written. Every stream is read to its end and its deltas are counted, but
  for those of the latency, which are cut off after they were measured.
* *Byte proxy*: asyncio protocols on uvloop that look at nothing; nothing in Python costs less. *With the bare
  transform*: it reads each chunk and writes one of a UI message stream; no log, no storage, no limits, no errors.
  *Starlette with SDK objects*: what one writes first. *AI SDK on Node*: `streamText`, piped to the response of
  `node:http`. None of these stores anything.
* [figures.json](figures.json) has every figure, and how much was measured."""


def _target_row(target: Target, value: float | None) -> tuple[str, ...]:
    limit = f"≤ {target.limit:.3g} {target.unit}" if target.limit else "none"
    if value is None:
        return (target.figure, limit, "", "not measured here")
    if value <= target.limit:
        verdict = "met"
    else:
        over = f"{value / target.limit:.2g} times the target" if target.limit else "missed"
        verdict = f"**{over}**" + (f": {target.why}" if target.why else "")
    return (target.figure, limit, f"{_shown(value)} {target.unit}".strip(), verdict)


def _series(figures: Figures, value: Callable[[int, Level], float | None]) -> dict[str, list[tuple[float, float]]]:
    """Points by the title of the way, ours first."""
    names = sorted((name for name in figures["streams"] if name != "direct"), key=lambda name: not _is_ours(name))
    drawn = {}
    for name in names:
        points = [(int(count), value(int(count), level)) for count, level in figures["streams"][name].items()]
        drawn[WAYS[name].title] = [(x, y) for x, y in points if y is not None and y > 0]
    return drawn


def _saturation(figures: Figures) -> str:
    busy = [
        f"{WAYS[name].title} at {int(count):,} streams"
        for name, levels in figures["streams"].items()
        for count, level in levels.items()
        if level["generator_load"] > SATURATED
    ]
    return f" The load generator itself was at its limit with {', '.join(busy)}." if busy else ""


def _company(figures: Figures) -> str:
    """How much others used the machine; a calm run has nothing to say of them."""
    shares = list(figures["foreign"].values())
    shares += [level["foreign"] for levels in figures["streams"].values() for level in levels.values()]
    if max(shares) < CALM:
        return ""
    return f" Others used {min(shares):.0%} to {max(shares):.0%} of the machine meanwhile, which adds to every figure."


def _facts(values: Mapping[str, str]) -> str:
    return " · ".join(f"{name} {value}" for name, value in values.items())


def _is_ours(name: str) -> bool:
    return WAYS[name].server == "palaver"


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
