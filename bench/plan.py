"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass

START_APART = 0.004
"""Seconds between the starts of paced streams."""
LEAD_SECONDS = 0.4
"""From the start of the last stream to the first measured stretch."""


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    """In each of them every server has its turn."""
    streams: int
    per_second: int
    slices: int
    """Measured stretches of the paced streams, in each round."""
    bursts: int
    burst_size: int
    requests: int
    first_deltas: int
    """In each round."""
    levels: tuple[int, ...]
    """Numbers of streams at once, for latency and memory."""
    level_per_second: int
    level_seconds: float
    level_attempts: int
    """How often a level is measured at most, for want of a calm moment."""
    starts: int
    slice_seconds: float = 1.0
    lead_seconds: float = 0.5
    """From the start of the last stream to the first measured stretch."""
    settle_seconds: float = 0.25
    """What a server may have left to do when its last answer has ended."""
    history: int = 11
    """Messages of a whole request: ten, and the question. A conversation begins with a question, too."""
    answer: int = 5
    """Deltas of its answer, which comes in one read."""

    @property
    def paced_model(self) -> str:
        """Long enough to be flowing in all of the measured stretches."""
        seconds = self.streams * START_APART + self.slices * self.slice_seconds + 2 * self.lead_seconds
        return f"paced-{round(seconds * self.per_second)}-{self.per_second}"

    def level_model(self, seconds: float) -> str:
        return f"paced-{round(seconds * self.level_per_second)}-{self.level_per_second}"


FULL = Plan(
    rounds=5,
    streams=50,
    per_second=40,
    slices=3,
    bursts=20,
    burst_size=500,
    requests=100,
    first_deltas=50,
    levels=(10, 100, 300, 1000),
    level_per_second=30,
    level_seconds=4,
    level_attempts=2,
    starts=7,
)
QUICK = Plan(
    rounds=2,
    streams=50,
    per_second=40,
    slices=1,
    bursts=10,
    burst_size=500,
    requests=20,
    first_deltas=20,
    levels=(100,),
    level_per_second=30,
    level_seconds=1,
    level_attempts=1,
    starts=1,
)
