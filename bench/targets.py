"""What Palaver wants to cost at most. Ratios are of one run, so that they mean the same on every machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]
"""What a run found, by measurement: a value that JSON can hold."""
MOST_STREAMS = "1000"


@dataclass(frozen=True, slots=True)
class Target:
    figure: str
    limit: float
    unit: str
    measured: Callable[[Figures], float]
    """Raises KeyError or TypeError where something that it needs has not been measured."""
    why: str = ""
    """The reason, where it is known to be missed."""

    def value(self, figures: Figures) -> float | None:
        try:
            return self.measured(figures)
        except (KeyError, TypeError):
            return None


def _ratio(kind: str, way: str, floor: str) -> Callable[[Figures], float]:
    return lambda figures: figures[kind][way] / figures[kind][floor]


def _level(figure: str) -> Callable[[Figures], float]:
    return lambda figures: figures["streams"]["palaver"][MOST_STREAMS][figure]


def _page(figure: str) -> Callable[[Figures], float]:
    return lambda figures: figures["page"]["2000"][figure]


def _second_reader(figures: Figures) -> float:
    paced = figures["paced"]
    return 100 * (paced["palaver-twice"] / paced["palaver"] - 1)


_CALLS = (
    "19 Python calls a delta, in the step of the event loop that reads it (counted by tests/test_budgets.py), and no "
    "system call that the proxy does not make. What is left is code that has grown cold since the delta before"
)
_FULL = (
    "all of those had not begun when it was measured, and those that had keep up: 1,000 requests in three seconds, at "
    "4 ms each, are more than one core has beside the streams"
)

TARGETS = (
    Target(
        "CPU per delta, paced",
        2.3,
        "times the byte proxy",
        _ratio("paced", "palaver", "proxy"),
        why=_CALLS,
    ),
    Target(
        "CPU per delta, paced, from Anthropic's wire",
        2.7,
        "times the byte proxy",
        _ratio("paced", "palaver-anthropic", "proxy"),
        why=_CALLS,
    ),
    Target(
        "CPU per delta, paced, beside the AI SDK on Node",
        1 / 6,
        "of Node's",
        _ratio("paced", "palaver", "node"),
        why="as above",
    ),
    Target(
        "CPU per delta, burst",
        4,
        "times the bare transform",
        _ratio("burst", "palaver", "transform"),
        why="the answer is checked, noted, logged and encoded event by event",
    ),
    Target(
        "CPU of a whole request",
        1.5,
        "ms",
        lambda figures: figures["request"]["palaver"] / 1000,
        why="1.1 ms are the database's (two transactions that reach the disk, and the search's index), 0.5 ms the "
        "SDK's own, together the target; the rest is Python from socket to socket. Starlette with SDK objects takes "
        "more, and keeps nothing",
    ),
    Target(
        "added before the first delta, p50",
        2,
        "ms",
        lambda figures: figures["first-delta"]["palaver"]["p50"],
        why="nothing is waited for but the disk, 0.3 ms for the question: it is the CPU of a whole request, of which "
        "little is left for after the first delta",
    ),
    Target(
        "added before the first delta, p99",
        5,
        "ms",
        lambda figures: figures["first-delta"]["palaver"]["p99"],
        why="as above",
    ),
    Target(
        "latency of a delta, 1,000 streams on one core, p99",
        50,
        "ms",
        _level("p99"),
        why="as in the next row, the core is full with 1,000 requests while it is measured",
    ),
    Target("of those 1,000 streams, fallen behind", 0, "", _level("behind"), why=_FULL),
    Target(
        "memory per open stream, at 1,000",
        60,
        "KB",
        _level("kilobytes"),
        why="143 bytes a delta that has been said, its places in the log, the run and the answer included; the rest "
        "are the Python objects of a request in flight, none of them more than a few KB, and garbage not yet collected",
    ),
    Target("from the start to the first answer", 0.6, "s", lambda figures: figures["start"]["seconds"]),
    Target("memory at rest", 60, "MB", lambda figures: figures["start"]["megabytes"]),
    Target("a second reader of the same answer", 30, "% of the first", _second_reader),
    Target("opening 2,000 messages in the browser", 100, "ms of its main thread", _page("open")),
    Target("the HTML of 2,000 messages", 200, "KB", _page("kilobytes")),
    Target(
        "a flush of an answer after 2,000 messages",
        4,
        "ms of the main thread",
        _page("prose"),
        why="half of it is a frame of Chromium's in a page like this, whoever fills it: style, layout, paint, commit",
    ),
    Target("the page's HTML, CPU per delta", 4, "times the JSON stream", _ratio("paced", "palaver-page", "palaver")),
    Target(
        "input that Anthropic bills for repeated system prompts, without caching",
        70,
        "% of it",
        lambda figures: 100 - figures["caching"]["gateway"],
    ),
)
