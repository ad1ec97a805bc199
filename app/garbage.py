"""When Python looks through everything for garbage.

What it does by itself, as the number of objects grows, stops every stream for as long as it takes: some 50 ms with a
thousand of them, again and again while they begin. Nearly all garbage is young and found without that. The rest, cycles
that outlived a few looks, is looked for here: when much has been made that nothing has freed, and once a minute.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

YOUNG = 1_000
"""Objects that can hold others, made and not freed, before Python looks through the young ones."""
MIDDLE = 10
"""Such looks before one through those that have outlived one."""
MANY = 30
"""Such looks before one through everything: 300,000 objects."""
SECONDS = 60.0

_NEVER = 1_000_000_000


class Collector:
    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds. From now on Python looks through the older objects when `look` says so."""
        gc.collect()
        gc.freeze()  # what the start has made stays: nobody need look at it again
        gc.set_threshold(YOUNG, MIDDLE, _NEVER)
        self._clock = clock
        self._last = clock()

    def look(self) -> bool:
        """Collect, if it is time to. Call it every second or so; True where it was done."""
        middle_looks = gc.get_count()[2]
        is_time = self._clock() - self._last >= SECONDS and middle_looks > 0
        if middle_looks < MANY and not is_time:
            return False
        gc.collect()
        self._last = self._clock()
        return True
