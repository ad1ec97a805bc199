"""A circuit breaker: when a service has failed many calls in a row, further ones fail at once instead of waiting."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.core.errors import ProviderBusy, ProviderError, ProviderTimeout, ProviderUnavailable


class Breaker:
    """Of one endpoint. It opens when `failures` calls in a row have found the service down. While it is open, one call
    every `pause` seconds is let through to see; the first that finds the service up closes it.
    """

    def __init__(self, *, failures: int = 8, pause: float = 15.0, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds."""
        self._limit = failures
        self._pause = pause
        self._clock = clock
        self._failures = 0
        self._next_probe = 0.0

    def wait(self) -> float | None:
        """Ask this before a call: None lets it through, otherwise it makes sense again in so many seconds.

        A call that is let through while the breaker is open takes the place of the one that may see. It need not give
        it back: what becomes of it is told, or the next one may see a pause later.
        """
        if self._failures < self._limit:
            return None
        now = self._clock()
        if now < self._next_probe:
            return self._next_probe - now
        self._next_probe = now + self._pause
        return None

    def answered(self) -> None:
        """The service is up, whatever it said."""
        self._failures = 0

    def failed(self, failure: ProviderError) -> None:
        """A call ended with `failure` before its first event."""
        if not _is_down(failure):
            self.answered()
            return
        self._failures += 1
        if self._failures >= self._limit:
            self._next_probe = self._clock() + self._pause


def _is_down(failure: ProviderError) -> bool:
    return isinstance(failure, ProviderUnavailable | ProviderTimeout) and not isinstance(failure, ProviderBusy)
