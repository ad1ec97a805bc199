"""When a model call is tried again: only before its first event, a few times, and not for long.

The SDKs' own retries are off: they sleep whatever `Retry-After` says, an hour if it is an hour.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from app.core.errors import ProviderError

LONGEST_REST = 86_400.0
"""A day. A service that asks for more does not mean it, and whoever waits by itself would never come back."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Seconds, except for `attempts`, which counts the first one too."""

    attempts: int = 3
    budget: float = 20.0
    """No further attempt starts later than this after the first."""
    longest_wait: float = 10.0
    """A service that wants more patience is not waited for: its error is shown at once."""
    shortest_pause: float = 0.3
    longest_pause: float = 0.9
    """Of our own pauses, where the service does not say how long to wait."""
    announced: float = 1.0
    """A wait this long is told to whoever waits, which begins the answer. Our own pauses are shorter, so that a service
    that is just down is still an HTTP status.
    """
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    random: Callable[[], float] = random.random

    @property
    def hurried(self) -> Retry:
        """Where somebody else can be asked instead: one more try, and no waiting that anybody would notice."""
        return replace(self, attempts=min(self.attempts, 2), budget=2.0, longest_wait=0.9)

    def wait(self, failure: ProviderError, *, attempt: int, elapsed: float) -> float | None:
        """How long to wait before the next attempt; None: give up.

        Args:
            failure: how the last attempt ended.
            attempt: how many there were so far.
            elapsed: since the first one began.
        """
        if attempt >= self.attempts or not failure.retryable:
            return None
        wait = failure.retry_after
        if wait is None:
            longest = min(self.longest_pause, self.shortest_pause * 4 ** (attempt - 1) * 2)
            wait = self.shortest_pause + self.random() * (longest - self.shortest_pause)
        if wait > self.longest_wait or elapsed + wait > self.budget:
            return None
        return wait


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Seconds that `retry-after-ms` or `retry-after` (seconds or an HTTP date) ask for; a day at most."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        try:
            seconds = float(value) * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return min(seconds, LONGEST_REST)
    try:
        seconds = parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now()
        return min(max(0.0, seconds), LONGEST_REST)
    except (TypeError, ValueError):
        return None
