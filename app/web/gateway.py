"""What the endpoints of `/v1` have in common: one model call as an HTTP answer, whole or in a stream.

A client that leaves ends the call: unlike a turn, nobody else reads this answer and nothing keeps it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.chat.completion import Completion
from app.core.errors import AppError, PresetRefused, ProviderRejected
from app.core.events import Answering, ModelEvent, Status
from app.core.gateway import Answered
from app.web.deps import State
from app.web.errors import Refusal, request_id_of, unexpected_error
from app.web.streaming import disconnected, next_batch, stream_response

log = logging.getLogger(__name__)

_T = TypeVar("_T")


class GatewayEncoder(Protocol):
    """The events of one model call → the bytes of a stream of another API."""

    media_type: str
    headers: Mapping[str, str]
    keep_alive: bytes

    def encode(self, events: Sequence[ModelEvent]) -> bytes: ...

    def fail(self, error: AppError) -> bytes:
        """How the stream ends that an error has cut off."""
        ...


async def stream_completion(request: Request[State], completion: Completion, encoder: GatewayEncoder) -> Response:
    """The response whose body is what `encoder` makes of the call.

    Raises:
        AppError: the call failed before its first event.
        ClientDisconnect: the client left before that.
    """
    events = completion.stream()
    try:
        with refused_as_asked():
            first = await unless_gone(request, _first_words(events))
    except BaseException:
        await events.aclose()
        raise
    return stream_response(_body(events, first, encoder, request_id_of(request.scope)), encoder)


async def whole_answer(request: Request[State], completion: Completion) -> Answered:
    """The answer for a client that waits for all of it.

    Raises:
        AppError: the call failed.
        ClientDisconnect: the client has left.
    """
    with refused_as_asked():
        return await unless_gone(request, completion.answer())


async def unless_gone(request: Request[State], work: Coroutine[Any, Any, _T]) -> _T:
    """What `work` gives; it is cancelled when the client leaves. The request's body has been read.

    Raises:
        ClientDisconnect: the client has left.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(disconnected(request.receive))
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


@contextmanager
def refused_as_asked() -> Iterator[None]:
    """What a service refuses for the request's own sake is the program's to mend: a 400, which no SDK tries again."""
    try:
        yield
    except PresetRefused:
        raise
    except ProviderRejected as error:
        refusal = Refusal(400, error.code, error.message)
        refusal.reason = error.reason
        raise refusal from None


async def _first_words(events: AsyncGenerator[Sequence[ModelEvent], None]) -> Sequence[ModelEvent]:
    """All up to the first batch that says something of the answer. Before it stand what is waited for, and whom a
    router has chosen.
    """
    begun: list[ModelEvent] = []
    while batch := await next_batch(events):
        begun += batch
        if not all(isinstance(event, Status | Answering) for event in batch):
            break
    return begun


async def _body(
    events: AsyncGenerator[Sequence[ModelEvent], None],
    first: Sequence[ModelEvent],
    encoder: GatewayEncoder,
    request_id: str,
) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        try:
            if data := encoder.encode(first):
                yield data
            async for batch in events:
                if data := encoder.encode(batch):
                    yield data
        except AppError as error:
            log.warning("answer cut off", extra={"code": error.code, "request_id": request_id})
            yield encoder.fail(error)
        except Exception:
            yield encoder.fail(unexpected_error())
            raise
