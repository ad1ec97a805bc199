"""Work that would keep the event loop from everybody else: in a thread where there is much of it.

For pure functions only. A little work stays where it is: handing it over would cost more than doing it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from app.core.messages import UIMessage

P = ParamSpec("P")
T = TypeVar("T")

MANY_BYTES = 200_000
"""Of JSON: what takes some milliseconds, as MANY_PARTS do."""
MANY_PARTS = 1_000


async def apart(much: bool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns or raises, done in a thread if it is `much`."""
    return await asyncio.to_thread(work, *args, **kwargs) if much else work(*args, **kwargs)


def are_many(messages: Sequence[UIMessage]) -> bool:
    """Whether going through their parts is much work."""
    return sum(len(message.parts) for message in messages) > MANY_PARTS
