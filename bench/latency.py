"""Latency and memory: what a server adds before the first delta, and to every delta of many streams at once."""

from __future__ import annotations

import asyncio
import statistics
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice
from os import getpid

import uvloop

from bench import machine
from bench.cpu import WARM_UP_REQUESTS
from bench.load import LAST_CHUNK, PATIENCE, Load
from bench.plan import Plan
from bench.servers import Process, server
from bench.ways import WAYS, Way

FIRST_DELTA_MODEL = "burst-2-1"
"""Two deltas, each in a write of its own."""
OPEN_APART = 0.003
"""Seconds between the starts of streams: many, but no stampede."""
BEHIND_MILLISECONDS = 250.0
"""A stream whose last deltas took longer than this has fallen behind."""
LAST_DELTAS = 10
"""How many of a stream's they are."""
CALM = 0.1
"""The share of the machine that others may use while many streams are measured."""
REST_SECONDS = 0.005
"""Between two requests, for what a server does after an answer."""
FIRST_NUMBER = 1_000_000
"""Of conversations that no other measurement has."""


@dataclass(frozen=True, slots=True)
class Level:
    """What happened with so many streams at once."""

    p50: float | None
    p99: float | None
    """Milliseconds from the service's write of a delta to its arrival; None where nothing arrived."""
    behind: int
    """Streams that fell behind."""
    kilobytes: float
    """Resident memory of the server for each open stream, above what it had before the first."""
    server_load: float
    """The share of its core that the server used."""
    generator_load: float
    """The share of their cores that the load generator and the service used."""
    foreign: float
    """The share of the machine that others used meanwhile."""


def first_deltas(
    plan: Plan, names: Sequence[str], running: Mapping[str, Process], tell: Callable[[str], None]
) -> tuple[dict[str, dict[str, float]], float]:
    """Milliseconds that each way adds before the first delta, nothing else going on, to what the first of them takes,
    which is the model service itself. And the share of the machine that others used.
    """
    blocks = uvloop.run(_first_deltas(plan, names, running))
    calm = sorted(blocks, key=lambda block: block.foreign)[: (len(blocks) + 1) // 2]
    taken = {name: [each for block in calm for each in block.taken[name]] for name in names}
    direct, *others = names
    floor = statistics.median(taken[direct])
    added = {}
    for name in others:
        p50, p99 = (quantile(taken[name], share) - floor for share in (0.5, 0.99))
        added[name] = {"p50": round(p50, 2), "p99": round(p99, 2)}
        tell(f"{name} adds {p50:.2f} ms, p99 {p99:.2f} ms")
    return added, statistics.median(block.foreign for block in calm)


def streams(
    plan: Plan, names: Sequence[str], service: Process, tell: Callable[[str], None]
) -> dict[str, dict[str, dict[str, float]]]:
    """By way and number of streams. Every level has a fresh server, for memory that was used once is not given back."""
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in names}
    for number in plan.levels:
        for name in names:
            way = WAYS[name]
            level = _calm_level(plan, way, number, service)
            found[name][str(number)] = asdict(level)
            tell(
                f"{number} streams: {name} p50 {level.p50 or 0:.1f} ms, p99 {level.p99 or 0:.1f} ms, "
                f"{level.behind} behind, {level.kilobytes:.0f} KB each"
            )
    return found


def _calm_level(plan: Plan, way: Way, number: int, service: Process) -> Level:
    """The calmest of a few attempts, and the first that is calm."""
    levels: list[Level] = []
    while len(levels) < plan.level_attempts and not any(level.foreign < CALM for level in levels):
        with server(way.server, service) as process:
            levels.append(uvloop.run(_level(plan, way, number, process, service)))
    return min(levels, key=lambda level: level.foreign)


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Probe(asyncio.Protocol):
    """A connection that is kept, and a clock."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._arrived and b"%" in data:
            self._arrived = time.monotonic()
        if self._received.endswith(LAST_CHUNK):
            self._ended.set_result(None)

    async def ask(self, request: bytes) -> float:
        """Milliseconds to the first delta, known when all of the answer is there."""
        self._received = b""
        self._arrived = 0.0
        self._ended = asyncio.get_running_loop().create_future()
        began = time.monotonic()
        self._transport.write(request)
        async with asyncio.timeout(PATIENCE):
            await self._ended
        return (self._arrived - began) * 1000

    def close(self) -> None:
        self._transport.abort()


@dataclass(frozen=True, slots=True)
class Block:
    """Some requests of each way, one after the other."""

    taken: Mapping[str, list[float]]
    foreign: float


async def _first_deltas(plan: Plan, names: Sequence[str], running: Mapping[str, Process]) -> list[Block]:
    loop = asyncio.get_running_loop()
    probes = {}
    for name in names:
        _, probes[name] = await loop.create_connection(Probe, "127.0.0.1", running[WAYS[name].server].port)
    one, *others = {process.pid for process in running.values()}
    numbers = count(FIRST_NUMBER)
    blocks = []
    for _ in range(plan.rounds):
        taken: dict[str, list[float]] = {name: [] for name in names}
        watch = machine.Stopwatch.started(one, (getpid(), *others))
        for number in islice(numbers, plan.first_deltas):
            for name, probe in probes.items():
                taken[name].append(await probe.ask(WAYS[name].ask(FIRST_DELTA_MODEL, number, 1).request))
                await asyncio.sleep(REST_SECONDS)
        blocks.append(Block(taken, watch.read().foreign))
    for probe in probes.values():
        probe.close()
    await asyncio.sleep(0)
    return blocks


async def _level(plan: Plan, way: Way, number: int, process: Process, service: Process) -> Level:
    async with Load(process.port) as warm_up:
        await warm_up.converse([way.ask("burst-1-100", each, 1) for each in range(WARM_UP_REQUESTS)])
        await warm_up.ended()
    await asyncio.sleep(plan.settle_seconds)
    idle = machine.resident_bytes(process.pid)
    # Those that begin first still flow when the last one is measured; none is waited for.
    model = plan.level_model(number * OPEN_APART + plan.lead_seconds + plan.level_seconds + 1)
    asks = [way.ask(model, each, 1) for each in range(FIRST_NUMBER, FIRST_NUMBER + number)]
    async with Load(process.port, timed=True) as load:
        await load.begin(asks, apart=OPEN_APART)
        await asyncio.sleep(plan.lead_seconds)
        before = [len(delays) for delays in load.delays]
        watch = machine.Stopwatch.started(process.pid, (getpid(), service.pid))
        await asyncio.sleep(plan.level_seconds)
        used = watch.read()
        kilobytes = (machine.resident_bytes(process.pid) - idle) / number / 1024
        flowed = [delays[start:] for delays, start in zip(load.delays, before, strict=True)]
    delays = sorted(delay for each in flowed for delay in each)
    return Level(
        p50=round(quantile(delays, 0.5), 2) if delays else None,
        p99=round(quantile(delays, 0.99), 2) if delays else None,
        behind=sum(map(_is_behind, flowed)),
        kilobytes=round(kilobytes, 1),
        server_load=round(used.cpu / used.seconds, 2),
        generator_load=round(used.load / used.seconds / len(machine.LOAD_CORES), 2),
        foreign=round(used.foreign, 2),
    )


def _is_behind(delays: array[float]) -> bool:
    return not delays or statistics.median(delays[-LAST_DELTAS:]) > BEHIND_MILLISECONDS
