"""The short way of deltas: whoever asks may take them in the moment in which they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from math import inf

import httpx2
import pytest

from app.core.errors import AppError, ProviderBroken, ProviderTimeout
from app.core.events import ModelEvent, ModelFinish, TextDelta, TextEnd, TextStart
from app.core.model import Preset, Timeouts
from app.core.ports import Provider
from app.providers.connection import Connection, ReceivedBody
from app.providers.dialects import Dialect
from app.providers.endpoint import endpoint
from app.providers.failures import Failures
from app.providers.openai_chat.answer import OpenAIChatAnswer
from app.providers.parsing import Parser
from app.providers.reader import Incoming, Reader
from app.providers.retry import Retry
from app.providers.unmapped import Unmapped
from tests.providers.asking import FORMATS, impatient, no_sleep, opened, preset, request
from tests.upstream import Gate, Step, Upstream, anthropic_answer, chat_answer, responses_answer

pytestmark = pytest.mark.anyio

ANSWERS = {"openai-chat": chat_answer, "openai-responses": responses_answer, "anthropic": anthropic_answer}
WORDS = [f"word {number}" for number in range(20)]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


class Listener:
    """Takes the words that it `wants`. The service says the next word when the one before has been heard."""

    def __init__(self, gates: Sequence[Gate], wants: Callable[[str], bool]) -> None:
        self.taken: list[str] = []
        self.yielded: list[ModelEvent] = []
        self.error: AppError | None = None
        self._gates = iter(gates)
        self._wants = wants

    @property
    def text(self) -> str:
        return "".join(event.delta for event in self.yielded if isinstance(event, TextDelta))

    async def listen(self, provider: Provider) -> None:
        self._open_next()
        try:
            async with aclosing(provider.stream(request(at_once=self._at_once))) as batches:
                async for batch in batches:
                    self.yielded += batch
                    if any(isinstance(event, TextDelta) for event in batch):
                        self._open_next()
        except AppError as error:
            self.error = error

    def _at_once(self, batch: Sequence[ModelEvent]) -> bool:
        words = [event.delta for event in batch if isinstance(event, TextDelta)]
        if len(words) < len(batch) or not all(map(self._wants, words)):
            return False
        self.taken += words
        self._open_next()
        return True

    def _open_next(self) -> None:
        if (gate := next(self._gates, None)) is not None:
            gate.open()


async def listen(
    upstream: Upstream, format_: str, wants: Callable[[str], bool], *, last: Step | None = None, **seconds: float
) -> Listener:
    frames = ANSWERS[format_](*WORDS)
    [first] = [number for number, frame in enumerate(frames) if b'"word 0"' in frame]
    *gates, end = [Gate() for _ in range(len(WORDS) + 1)]
    said = [step for pair in zip(gates, frames[first : first + len(WORDS)], strict=True) for step in pair]
    rest = frames[first + len(WORDS) :] if last is None else [last]
    upstream.reply([b"".join(frames[:first]), *said, end, *rest])
    listener = Listener([*gates, end], wants)
    async with opened(retry=Retry(sleep=no_sleep)) as registry:
        await listener.listen(registry.open(preset(format_, upstream, timeouts=impatient(**seconds))))
    return listener


@pytest.mark.parametrize("format_", FORMATS)
async def test_what_is_taken_at_once_is_not_yielded_and_nothing_is_lost(upstream: Upstream, format_: str) -> None:
    listener = await listen(upstream, format_, lambda word: True)
    assert listener.error is None
    assert listener.text + "".join(listener.taken) == "".join(WORDS), "the first comes with the start of its part"
    assert listener.taken == WORDS[1:]
    assert [type(event) for event in listener.yielded if not isinstance(event, TextDelta)] == [
        TextStart,
        TextEnd,
        ModelFinish,
    ]


@pytest.mark.parametrize("format_", FORMATS)
async def test_what_is_not_taken_is_yielded(upstream: Upstream, format_: str) -> None:
    listener = await listen(upstream, format_, lambda word: int(word.split()[1]) % 3 == 0)
    assert listener.error is None
    taken = [word for word in WORDS[1:] if int(word.split()[1]) % 3 == 0]
    assert listener.taken == taken
    assert listener.text == "".join(word for word in WORDS if word not in taken)


@pytest.mark.parametrize("fault", ["cut", "reset"])
async def test_an_answer_that_breaks_off_after_what_was_taken_is_told(upstream: Upstream, fault: Step) -> None:
    listener = await listen(upstream, "openai-chat", lambda word: True, last=fault)
    assert isinstance(listener.error, ProviderBroken)
    assert listener.taken == WORDS[1:]


async def test_an_error_after_what_was_taken_is_told(upstream: Upstream) -> None:
    error = b'data: {"error": {"message": "Overloaded", "code": 500}}\n\n'
    listener = await listen(upstream, "openai-chat", lambda word: True, last=error)
    assert listener.error is not None
    assert listener.taken == WORDS[1:]


async def test_silence_after_what_was_taken_is_not_waited_for_for_ever(upstream: Upstream) -> None:
    listener = await listen(upstream, "openai-chat", lambda word: True, last="hold", between_events=0.3)
    assert isinstance(listener.error, ProviderTimeout)
    assert listener.taken == WORDS[1:]


async def test_the_whole_answer_has_its_limit_on_the_short_way_too(upstream: Upstream) -> None:
    listener = await listen(upstream, "openai-chat", lambda word: True, last="hold", total=0.5)
    assert isinstance(listener.error, ProviderTimeout)


@pytest.mark.parametrize("takes_words", [True, False])
async def test_of_several_reads_in_one_step_of_the_event_loop_nothing_is_lost(takes_words: bool) -> None:
    """As uvloop makes them of what a fast service has sent meanwhile: the task of the reader had no time to wake."""
    told, error = await arriving_at_once(chat_answer(*WORDS), None, takes_words=takes_words)
    assert text_of(told) == "".join(WORDS)
    assert sum(isinstance(event, ModelFinish) for event in told) == 1
    assert error is None


async def test_a_connection_that_breaks_in_the_read_of_the_end_breaks_nothing() -> None:
    told, error = await arriving_at_once([b"".join(chat_answer(*WORDS))], httpx2.ReadError("broken"))
    assert text_of(told) == "".join(WORDS)
    assert sum(isinstance(event, ModelFinish) for event in told) == 1
    assert error is None


async def test_what_came_in_the_read_in_which_a_connection_broke_is_told_before_that() -> None:
    half, broken = b"".join(chat_answer(*WORDS, finish=None)), httpx2.ReadError("broken")
    told, error = await arriving_at_once([half], broken)
    assert text_of(told) == "".join(WORDS)
    assert error is broken


def text_of(events: Sequence[ModelEvent]) -> str:
    return "".join(event.delta for event in events if isinstance(event, TextDelta))


async def arriving_at_once(
    frames: Sequence[bytes], end: httpx2.ReadError | None, *, takes_words: bool = False
) -> tuple[Sequence[ModelEvent], httpx2.ReadError | None]:
    """What a reader tells of them, and with which error it ends."""
    body = ReceivedBody(Connection(lambda connection: None))
    failures = Failures("mine", endpoint(Preset("mine", "openai-chat", base_url="http://127.0.0.1/v1"), {}))
    answer = OpenAIChatAnswer("openai-chat", Dialect(), Unmapped())
    reader = Reader(Incoming({}, body.read, body.listen), answer, failures, Timeouts(), inf, inf, Parser())
    told: list[ModelEvent] = []

    def at_once(batch: Sequence[ModelEvent]) -> bool:
        if not takes_words or not all(isinstance(event, TextDelta) for event in batch):
            return False
        told.extend(batch)
        return True

    def arrive() -> None:
        for frame in frames:
            body.arrived(frame)
        body.finish(end)

    reader.offer_to(at_once)
    asyncio.get_running_loop().call_soon(arrive)
    try:
        while events := await reader.next():
            told += events
    except httpx2.ReadError as error:
        return told, error
    finally:
        await reader.close()
    return told, None
