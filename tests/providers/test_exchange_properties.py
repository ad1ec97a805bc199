"""However an answer is cut into reads it is the same answer, and half an answer is never a whole one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import ProviderBroken, ProviderError
from app.core.events import CallWarning, ModelFinish
from app.core.model import ModelRequest, Timeouts
from app.providers.anthropic.answer import AnthropicAnswer
from app.providers.breaker import Breaker
from app.providers.catalog import CATALOG
from app.providers.dialects import Dialect
from app.providers.endpoint import Endpoint
from app.providers.exchange import Exchange, Prepared
from app.providers.failures import Failures
from app.providers.google.answer import GoogleAnswer
from app.providers.http import translate
from app.providers.openai_chat.answer import OpenAIChatAnswer
from app.providers.openai_responses.answer import OpenAIResponsesAnswer
from app.providers.reader import Answer as Decoder
from app.providers.reader import Incoming
from app.providers.retry import Retry
from app.providers.unmapped import Unmapped
from tests.providers.asking import Answer, ask
from tests.upstream import FIXTURES, chat_answer, fixture, with_crlf

ENDPOINT = Endpoint("perplexity", CATALOG["perplexity"], "http://127.0.0.1:1", None, None)
WARNING = CallWarning("temperature", "This model takes none.")
NAMES = sorted(str(path.relative_to(FIXTURES)) for path in FIXTURES.glob("*/*.jsonl"))


class Replay:
    """An adapter whose service sends the given reads, whatever it is asked."""

    def __init__(self, name: str, reads: Sequence[bytes]) -> None:
        self._name = name
        self._reads = reads

    def prepare(self, request: ModelRequest) -> Prepared:
        return Prepared({}, (WARNING,))

    @asynccontextmanager
    async def send(self, body: Mapping[str, Any], timeouts: Timeouts) -> AsyncGenerator[Incoming, None]:
        yield Incoming({"content-type": "text/event-stream"}, _Reads(self._reads).read)

    def answer(self, request: ModelRequest) -> Decoder:
        match self._name.partition("/")[0]:
            case "anthropic":
                return AnthropicAnswer(request, Unmapped())
            case "openai_responses":
                return OpenAIResponsesAnswer(Unmapped(), "openai", new_id=_numbered())
            case "google":
                return GoogleAnswer(Unmapped(), new_id=_numbered())
            case _:
                return OpenAIChatAnswer("perplexity", Dialect(citations=True), Unmapped(), new_id=_numbered())

    def translate(self, error: Exception, failures: Failures, *, answering: bool) -> ProviderError:
        return translate(error, failures, answering=answering)

    async def close(self) -> None:
        pass


def _numbered() -> Callable[[], str]:
    numbers = count()
    return lambda: f"minted-{next(numbers)}"


class _Reads:
    def __init__(self, reads: Sequence[bytes]) -> None:
        self._reads = iter(reads)

    async def read(self) -> bytes:
        return next((data for data in self._reads if data), b"")


def replay(name: str, reads: Sequence[bytes]) -> Answer:
    async def connect() -> Replay:
        return Replay(name, reads)

    exchange = Exchange(connect, Failures("mine", ENDPOINT), Timeouts(), Retry(attempts=1), Breaker(), frozenset())
    return asyncio.run(ask(exchange))


@cache
def whole(name: str) -> tuple[bytes, Answer]:
    body = b"".join(fixture(name))
    return body, replay(name, [body])


def pieces(body: bytes, cuts: Sequence[float]) -> list[bytes]:
    """`body` cut at the given places, each a fraction of its length."""
    places = sorted({0, len(body), *(int(cut * len(body)) for cut in cuts)})
    return [body[start:end] for start, end in pairwise(places)]


@given(name=st.sampled_from(NAMES), cuts=st.lists(st.floats(0, 1), max_size=12), crlf=st.booleans())
@settings(max_examples=150, deadline=None)
def test_reads_do_not_matter(name: str, cuts: list[float], crlf: bool) -> None:
    body, expected = whole(name)
    got = replay(name, pieces(with_crlf([body])[0] if crlf else body, cuts))
    assert got.error is None
    assert got.events == expected.events


@pytest.mark.parametrize("name", ["anthropic/thinking.jsonl", "openai_chat/text.jsonl"])
def test_warnings_come_once_and_with_the_first_events(name: str) -> None:
    body, _ = whole(name)
    first, *others = replay(name, [bytes([byte]) for byte in body]).batches
    assert first[0] is WARNING
    assert len(first) > 1
    assert not any(event is WARNING for batch in ([*first][1:], *others) for event in batch)


@pytest.mark.parametrize("name", ["anthropic/thinking.jsonl", "openai_chat/text.jsonl"])
def test_one_byte_at_a_time_is_the_same_answer(name: str) -> None:
    body, expected = whole(name)
    assert replay(name, [bytes([byte]) for byte in body]).events == expected.events


@given(name=st.sampled_from(NAMES), cut=st.floats(0, 1))
@settings(max_examples=250, deadline=None)
def test_half_an_answer_is_never_a_whole_one(name: str, cut: float) -> None:
    body, expected = whole(name)
    kept = body[: int(cut * len(body))]
    got = replay(name, [kept])
    if _has_end_mark(name, kept):
        assert got.error is None
        assert got.finish is not None
    else:
        assert isinstance(got.error, ProviderBroken)
        assert got.finish is None
    shown = [event for event in got.events if not isinstance(event, ModelFinish)]
    assert shown == [event for event in expected.events if not isinstance(event, ModelFinish)][: len(shown)]


def _has_end_mark(name: str, body: bytes) -> bool:
    """Whether the event that says how the answer ends is there, to its last brace."""
    frames = fixture(name)
    end = next(number for number, frame in enumerate(frames) if _ends(frame))
    return len(body) >= len(b"".join(frames[: end + 1]).rstrip(b"\n"))


def _ends(frame: bytes) -> bool:
    event = json.loads(frame.rpartition(b"data: ")[2])
    if event.get("type", "").startswith("response."):
        return event["type"] in ("response.completed", "response.incomplete")
    if "type" in event:
        return bool(event.get("delta", event.get("message", {})).get("stop_reason"))
    if "responseId" in event:
        return any(candidate.get("finishReason") for candidate in event.get("candidates", ()))
    return any(choice["index"] == 0 and choice["finish_reason"] for choice in event["choices"])


def test_a_read_that_brings_half_a_character_ends_nothing() -> None:
    """Where it is the only thing in its read there is nothing to hand out yet."""
    frames = [
        frame.replace(b"HALF", rb"\ud83c").replace(b"REST", rb"\udf88") for frame in chat_answer("a", "HALF", "REST")
    ]
    got = replay("openai/x", frames)
    assert (got.text, got.error) == ("a🎈", None)
    assert all(got.batches)
