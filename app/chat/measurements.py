"""How candidates of routers have done so far: the time to their first token, and failures.

In memory, of this process: a server that starts anew measures anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from app.core.errors import ContextOverflow, ProviderError

MOST = 512
"""Presets with their models; those that nobody has asked for longest are forgotten."""
FORGOTTEN_AFTER = 15 * 60.0
"""Seconds. A time that is older says nothing any more: whoever was slow is tried again."""
_WEIGHT = 0.3
"""Of the newest time; all before have the rest together."""
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

    def answered(self, key: Key, seconds: float) -> None:
        """The first token came after so many seconds."""
        before = self.seconds(key)
        smooth = seconds if before is None else _WEIGHT * seconds + (1 - _WEIGHT) * before
        self._keep(key, _Measured(smooth, self._clock()))

    def failed(self, key: Key, failure: ProviderError) -> None:
        """A call ended so before its first token. Whoever failed is asked last for a while, the longer the oftener."""
        if isinstance(failure, ContextOverflow):
            return  # that was the question's fault
        before = self._measured.get(key, _Measured())
        rest = failure.retry_after or _FIRST_REST * 2.0 ** min(before.failures, 10)
        until = self._clock() + min(rest, _LONGEST_REST)
        self._keep(key, replace(before, failures=before.failures + 1, rests_until=until))

    def seconds(self, key: Key) -> float | None:
        """To the first token, as it has been lately; None where nobody knows."""
        measured = self._measured.get(key)
        if measured is None or self._clock() - measured.measured_at > FORGOTTEN_AFTER:
            return None
        return measured.seconds

    def rests(self, key: Key) -> bool:
        measured = self._measured.get(key)
        return measured is not None and self._clock() < measured.rests_until

    def _keep(self, key: Key, measured: _Measured) -> None:
        self._measured[key] = measured
        self._measured.move_to_end(key)
        if len(self._measured) > MOST:
            self._measured.popitem(last=False)
