"""All measurements, one after the other, and what they found as one value that JSON can hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from bench import latency, machine
from bench.caching import caching
from bench.cpu import CpuBench, in_turn
from bench.page import page
from bench.plan import Plan
from bench.servers import Process, available, servers, upstream
from bench.start import start
from bench.targets import Figures
from bench.versions import versions
from bench.ways import WAYS

Tell = Callable[[str], None]

MEASUREMENTS: Mapping[str, tuple[str, ...]] = {
    "start": ("palaver",),
    "paced": tuple(name for name in WAYS if not name.startswith(("direct", "gateway"))),
    "burst": ("transform", "palaver", "palaver-anthropic", "naive", "node"),
    "request": ("proxy", "transform", "palaver", "palaver-anthropic", "naive", "node"),
    "first-delta": ("direct", "proxy", "palaver", "palaver-anthropic", "naive", "node"),
    "gateway": ("direct-messages", "gateway", "gateway-translated"),
    "streams": ("direct", "proxy", "palaver", "naive", "node"),
    "page": ("palaver",),
    "caching": ("palaver",),
}
"""What is measured, and of whom."""


APART = ("start", "streams", "page", "caching")
"""Measurements that are not made of all servers in turn."""


def measure(plan: Plan, tell: Tell, *, only: Sequence[str] = (), ways: Sequence[str] = ()) -> Figures:
    """Figures by measurement and way.

    Args:
        plan: how much.
        tell: is told what has just been found.
        only: the measurements; all of them where it is empty.
        ways: the same for the ways.
    """
    here = available()
    wanted = {
        name for name in WAYS if WAYS[name].server in here and (not ways or name in ways or name.startswith("direct"))
    }
    chosen = {kind: [name for name in MEASUREMENTS[kind] if name in wanted] for kind in only or MEASUREMENTS}
    found: Figures = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine.describe(),
        "versions": versions(),
        "plan": asdict(plan),
    }
    machine.allow_many_files()
    with machine.pinned(machine.LOAD_CORES), upstream() as service:
        if "start" in chosen:
            found["start"] = start(plan, service, _telling(tell, "start"))
        if "page" in chosen:
            found["page"] = page(plan, service, _telling(tell, "page"))
        if "caching" in chosen:
            found["caching"] = caching(_telling(tell, "caching"))
        found |= _measure_in_turn(plan, chosen, service, tell)
        if "streams" in chosen:
            found["streams"] = latency.streams(plan, chosen["streams"], service, _telling(tell, "streams"))
    return found


def _measure_in_turn(plan: Plan, chosen: Mapping[str, Sequence[str]], service: Process, tell: Tell) -> Figures:
    """What is asked of all servers in turn, so that all of them run at the same time."""
    kinds = [kind for kind in chosen if kind not in APART]
    names = list(dict.fromkeys(name for kind in kinds for name in chosen[kind]))
    found: Figures = {"foreign": {}}
    with servers({WAYS[name].server for name in names}, service, page_model=plan.paced_model) as running:
        bench = CpuBench(plan, running, service)
        for name in names:
            bench.warm_up(WAYS[name])
        measures = {"paced": bench.paced, "burst": bench.burst, "request": bench.request}
        for kind in kinds:
            telling = _telling(tell, kind)
            if kind in ("first-delta", "gateway"):
                found[kind], foreign = latency.first_deltas(plan, chosen[kind], running, telling)
            else:
                found[kind], foreign = in_turn(chosen[kind], plan.rounds, measures[kind], telling)
            found["foreign"][kind] = round(foreign, 2)
    return found


def _telling(tell: Tell, kind: str) -> Tell:
    return lambda text: tell(f"{kind}: {text}")
