"""What nobody maps, on the way in or out: counted, so that nothing is dropped silently."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

log = logging.getLogger(__name__)

_MOST_KINDS = 1000
"""The names come from outside; they may not fill the memory."""


class Unmapped:
    """How often something was left out, by what it was, such as `anthropic: block server_tool_use`."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        return self._counts

    def count(self, kind: str) -> None:
        kind = kind[:100]
        if kind not in self._counts:
            if len(self._counts) >= _MOST_KINDS:
                kind = "more kinds than can be counted"
            log.info("a kind of content is not mapped", extra={"kind": kind})
        self._counts[kind] += 1
