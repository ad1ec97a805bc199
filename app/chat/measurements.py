"""How candidates of routers have done so far: the time to their first token, and failures.

Times are in the ledger of usage, too, and a server that starts anew begins with the last of them (`remember`). Failures
are of this process: what has failed may be what the new start has mended.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from app.core.errors import ContextOverflow, ProviderError

MOST = 512
"""Presets with their models; those that nobody has asked for longest are forgotten."""
HALF_LIFE = 30 * 60.0
"""Seconds in which a time comes to count for half as long: who was slow is tried again, the slower the later."""
FORGOTTEN_AFTER = 6 * 3600.0
"""Seconds. A time that is older says nothing any more."""
_WEIGHT = 0.3
"""Of the newest time, where the one before is as new; all before have the rest together."""
_FIRST_REST, _LONGEST_REST = 10.0, 300.0

Key: TypeAlias = tuple[str, str]
"""The names of a preset and a model."""


@dataclass(frozen=True, slots=True)
class _Measured:
    seconds: float | None = None
    measured_at: float = 0.0
    failures: int = 0
    """In a row."""
    rests_until: float = 0.0


class Measurements:
    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` counts seconds."""
        self._clock = clock
        self._measured: OrderedDict[Key, _Measured] = OrderedDict()

    def answered(self, key: Key, seconds: float, ago: float = 0.0) -> None:
        """The first token came after so many seconds; that was so long `ago`."""
        at = self._clock() - ago
        before = self._measured.get(key, _Measured())
        if before.seconds is not None:
            weight = (1 - _WEIGHT) * _left_after(at - before.measured_at)
            seconds = weight * before.seconds + (1 - weight) * seconds
        self._keep(key, _Measured(seconds, at))

    def failed(self, key: Key, failure: ProviderError) -> None:
        """A call ended so before its first token. Whoever failed is asked last for a while, the longer the oftener."""
        if isinstance(failure, ContextOverflow):
            return  # that was the question's fault
        before = self._measured.get(key, _Measured())
        now = self._clock()
        earlier = before.failures if now - before.rests_until < _LONGEST_REST else 0
        rest = failure.retry_after or _FIRST_REST * 2.0 ** min(earlier, 10)
        until = now + min(rest, _LONGEST_REST)
        self._keep(key, replace(before, failures=earlier + 1, rests_until=until))

    def seconds(self, key: Key) -> float | None:
        """To the first token, as it has been lately: the longer ago, the less is left. None where nobody knows."""
        measured = self._measured.get(key)
        if measured is None or measured.seconds is None:
            return None
        ago = self._clock() - measured.measured_at
        return None if ago > FORGOTTEN_AFTER else measured.seconds * _left_after(ago)

    def rests(self, key: Key) -> bool:
        measured = self._measured.get(key)
        return measured is not None and self._clock() < measured.rests_until

    def _keep(self, key: Key, measured: _Measured) -> None:
        self._measured[key] = measured
        self._measured.move_to_end(key)
        if len(self._measured) > MOST:
            self._measured.popitem(last=False)


def _left_after(seconds: float) -> float:
    return float(0.5 ** (max(0.0, seconds) / HALF_LIFE))
