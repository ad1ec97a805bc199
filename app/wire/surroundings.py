"""Where a text stands in a conversation, for `app.wire.markdown`: what its footnotes and marks point to.

Apart from it, so that the modules that make pages need not import all that reads Markdown before there is any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a text stands: what its footnotes and marks such as `[1]` may point to."""

    element: str
    """The id of the message's element."""
    part: int
    """Which text of the message it is, from 1 on."""
    sources: tuple[int, ...] = ()
    """The numbers in the list of sources that `[1]`, `[2]`, … mean."""

    @property
    def environment(self) -> dict[str, Any]:
        return {"prefix": f"{self.element}-{self.part}", "element": self.element, "sources": self.sources}
