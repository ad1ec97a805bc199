"""What the kernel knows of processes and of this machine: CPU time, memory, cores, who else was busy. Linux only."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES = {CORES[0]}
"""Where every measured server runs, alone of what we start."""
LOAD_CORES = set(CORES[1:]) or SERVER_CORES
"""Where the load generator and the model service run."""

_PROCESS_CLOCK = 2
"""The scheduler's count of nanoseconds on a CPU, for a whole process: `CPUCLOCK_SCHED` of `clock_gettime(2)`."""
_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ = 0, 1, 2, 5, 6
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """What a process and its children have used, user and system, the threads that have ended included."""
    return sum(map(_cpu_seconds, _tree(pid)))


def resident_bytes(pid: int) -> int:
    return sum(_resident(each) for each in _tree(pid))


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """This process, and whatever it starts, runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_many_files() -> None:
    """A connection is a file, and the usual limit of 1,024 a soft one. What is started from now on has the hard one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of time, and what was used in it."""

    seconds: float
    cpu: float
    """CPU seconds of the measured server."""
    load: float
    """CPU seconds of the load generator and the model service."""
    foreign: float
    """The share of the machine that others used, from 0 to 1: a calm stretch has little."""


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """CPU time from `started` on."""

    server: int
    helpers: Sequence[int]
    _began: tuple[float, float, float, float]

    @classmethod
    def started(cls, server: int, helpers: Sequence[int]) -> Self:
        """`server` is the process that is measured, `helpers` are those that make the load."""
        return cls(server, helpers, _now(server, helpers))

    def read(self) -> Slice:
        seconds, cpu, load, busy = (
            now - then for now, then in zip(_now(self.server, self.helpers), self._began, strict=True)
        )
        foreign = (busy - cpu - load) / (seconds * (os.cpu_count() or 1))
        return Slice(seconds, cpu, load, max(0.0, foreign))


def describe() -> dict[str, str]:
    """The machine, as far as it matters here."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    gigabytes = _PAGE * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model or platform.machine(),
        "cores": str(len(CORES)),
        "memory": f"{gigabytes:.0f} GB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def _now(server: int, helpers: Sequence[int]) -> tuple[float, float, float, float]:
    return time.monotonic(), cpu_seconds(server), sum(map(_cpu_seconds, helpers)), _busy_seconds()


def _cpu_seconds(pid: int) -> float:
    return time.clock_gettime(~pid << 3 | _PROCESS_CLOCK)


def _busy_seconds() -> float:
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return sum(fields[kind] for kind in (_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ)) / _TICKS


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
