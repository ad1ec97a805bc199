"""CPU time: of a delta at the pace of real services, of a delta in a burst, of a whole request."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import count, islice
from os import getpid

import uvloop

from bench.load import PATIENCE, Load
from bench.machine import Slice, Stopwatch
from bench.plan import START_APART, Plan
from bench.servers import Process
from bench.ways import HOST, WAYS, Way

WARM_UP_REQUESTS = 5
"""Imports, caches and compilers: what happens once is not what is measured."""


@dataclass(frozen=True, slots=True)
class Sample:
    microseconds: float
    """Of CPU, for one delta or one request."""
    foreign: float
    """The share of the machine that others used meanwhile."""


class CpuBench:
    """The running servers, asked in turn. Every conversation has a number of its own."""

    def __init__(self, plan: Plan, running: Mapping[str, Process], service: Process) -> None:
        self._plan = plan
        self._running = running
        self._helpers = (getpid(), service.pid)
        self._numbers = count()

    def warm_up(self, way: Way) -> None:
        if way.counts_deltas:
            uvloop.run(self._converse(way, f"burst-1-{self._plan.burst_size}", WARM_UP_REQUESTS))

    def paced(self, way: Way) -> list[Sample]:
        """One sample for each stretch in which all streams flow. What their beginnings and ends cost is not in it."""
        return uvloop.run(self._paced(way))

    def burst(self, way: Way) -> list[Sample]:
        plan = self._plan
        return self._twice(way, f"burst-{plan.bursts}-{plan.burst_size}", 1, plan.bursts * plan.burst_size)

    def request(self, way: Way) -> list[Sample]:
        """With everything: the body, the request to the service, its answer, and saving it."""
        plan = self._plan
        return self._twice(way, f"burst-1-{plan.answer}", plan.requests, plan.requests)

    def _twice(self, way: Way, model: str, requests: int, number: int) -> list[Sample]:
        return [_sample(uvloop.run(self._converse(way, model, requests)), number) for _ in range(2)]

    async def _paced(self, way: Way) -> list[Sample]:
        plan = self._plan
        asks = [way.ask(plan.paced_model, number, 1) for number in islice(self._numbers, plan.streams)]
        samples = []
        async with Load(self._running[way.server].port) as load:
            await load.begin(asks, apart=START_APART)
            await asyncio.sleep(plan.lead_seconds)
            for _ in range(plan.slices):
                before, watch = load.tally.deltas, self._watch(way)
                await asyncio.sleep(plan.slice_seconds)
                used = watch.read()
                # HTML cannot be counted: it comes at the same pace.
                sent = used.seconds * plan.streams * plan.per_second
                samples.append(_sample(used, load.tally.deltas - before if way.counts_deltas else sent))
            await load.ended()
        await asyncio.sleep(plan.settle_seconds)
        _check(way, load, plan.streams * int(plan.paced_model.split("-")[1]))
        return samples

    async def _converse(self, way: Way, model: str, requests: int) -> Slice:
        """One connection, one request after the other, and what they cost until all is done and stored."""
        numbers = list(islice(self._numbers, requests))
        self._save(way, numbers)
        asks = [way.ask(model, number, self._plan.history) for number in numbers]
        watch = self._watch(way)
        async with Load(self._running[way.server].port) as load:
            await load.converse(asks)
            await load.ended()
        await asyncio.sleep(self._plan.settle_seconds)
        used = watch.read()
        _, writes, size = model.split("-")
        _check(way, load, requests * int(writes) * int(size))
        return used

    def _save(self, way: Way, numbers: Sequence[int]) -> None:
        """Where conversations are kept, all but the new question of each is known before it is asked."""
        if way.save is not None:
            connection = HTTPConnection("127.0.0.1", self._running[way.server].port, timeout=PATIENCE)
            with closing(connection):
                for number in numbers:
                    path, body = way.save(number, self._plan.history)
                    connection.request("POST", path, body, {"host": HOST, "content-type": "application/json"})
                    response = connection.getresponse()
                    if response.read() and response.status != HTTPStatus.OK:
                        raise RuntimeError(f"{way.title}: a conversation was not saved: {response.status}.")

    def _watch(self, way: Way) -> Stopwatch:
        return Stopwatch.started(self._running[way.server].pid, self._helpers)


def in_turn(
    names: Sequence[str], rounds: int, measure: Callable[[Way], list[Sample]], tell: Callable[[str], None]
) -> tuple[dict[str, float], float]:
    """Microseconds by way, and the share of the machine that others used: A B C, A B C, so that a slow minute of the
    machine is slow for all.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for number in range(1, rounds + 1):
        for name in names:
            new = measure(WAYS[name])
            samples[name] += new
            tell(f"round {number} of {rounds}: {name} {statistics.median(each.microseconds for each in new):.1f} µs")
    chosen = {name: calmest(all_of_it) for name, all_of_it in samples.items()}
    costs = {name: statistics.median(each.microseconds for each in calm) for name, calm in chosen.items()}
    foreign = statistics.median(each.foreign for calm in chosen.values() for each in calm) if chosen else 0.0
    return {name: round(cost, 2) for name, cost in costs.items()}, foreign


def calmest(samples: Sequence[Sample]) -> list[Sample]:
    """The calmer half: what others did meanwhile is not the server's."""
    return sorted(samples, key=lambda sample: sample.foreign)[: (len(samples) + 1) // 2]


def _sample(used: Slice, number: float) -> Sample:
    return Sample(used.cpu / number * 1e6, used.foreign)


def _check(way: Way, load: Load, expected: int) -> None:
    tally = load.tally
    if way.counts_deltas and tally.deltas != expected:
        raise RuntimeError(f"{way.title}: {tally.deltas} of {expected} deltas have arrived.")
    if tally.second_deltas not in (0, expected):
        raise RuntimeError(f"{way.title}: the second reader got {tally.second_deltas} of {expected} deltas.")
