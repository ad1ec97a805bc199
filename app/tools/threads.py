"""Work that takes its time, in a thread that nobody has to wait for.

asyncio's own threads are joined when the program ends: a function that hangs would keep the server from stopping.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` returns or raises. When the caller is cancelled, the thread goes on, unheard."""
    outcome: Future[T] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            value = context.run(function, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - it is raised again where somebody waits for it
            set_error(error if not isinstance(error, StopIteration) else RuntimeError("StopIteration"))
        except BaseException as error:  # noqa: BLE001 - sys.exit() in a tool must not look like the end of the server
            set_error(RuntimeError(type(error).__name__))
        else:
            if outcome.set_running_or_notify_cancel():
                outcome.set_result(value)

    def set_error(error: Exception) -> None:
        if outcome.set_running_or_notify_cancel():
            outcome.set_exception(error)

    Thread(target=work, name=f"tool {getattr(function, '__name__', '')}", daemon=True).start()
    return await asyncio.wrap_future(outcome)
