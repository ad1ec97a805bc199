"""A time limit for many short waits in a row.

`asyncio.timeout` makes and cancels a timer each time, which costs as much as decoding a token does. Here one timer
serves a whole answer: when it rings too early it is set again.
"""

from __future__ import annotations

import asyncio
from math import inf
from types import TracebackType
from typing import Self


class Watch:
    """Use `with watch.until(when): await …`, one at a time; a wait beyond `when` (loop time) raises TimeoutError."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        """Who waits, or has waited last: an answer may begin in one task and go on in another."""
        self._timer: asyncio.TimerHandle | None = None
        self._rings = inf
        """When the timer rings."""
        self.when = 0.0
        """Until when the wait that goes on may take; may be put off."""
        self._waiting = False
        self._cancelling = 0
        self._expired = False

    def until(self, when: float) -> Self:
        self.when = when
        return self

    def __enter__(self) -> Self:
        self._waiting = True
        self._task = task = asyncio.current_task(self._loop)  # without the loop it would cost a system call
        assert task is not None
        self._cancelling = task.cancelling()
        self._expired = False
        if self._rings > self.when:
            self._set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting = False
        # The same rule as asyncio.Timeout's: our own cancellation becomes a TimeoutError, anybody else's stays one.
        task = self._task
        if (
            self._expired
            and task is not None
            and task.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _set(self) -> None:
        self.close()
        self._rings = self.when
        self._timer = self._loop.call_at(self.when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._rings = inf
        if not self._waiting or self._task is None:
            return  # the next wait sets it again
        if self._loop.time() < self.when:
            self._set()
        else:
            self._expired = True
            self._task.cancel()
