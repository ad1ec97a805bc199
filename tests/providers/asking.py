"""How the tests of this folder ask a provider, and what they make of the answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from app.core.errors import AppError
from app.core.events import MessageStart, ModelEvent, ModelFinish, ReasoningDelta, TextDelta
from app.core.fold import fold
from app.core.model import Content, ModelMessage, ModelRequest, Preset, Text, Timeouts
from app.core.ports import Provider
from app.providers.registry import Registry
from app.providers.retry import Retry
from tests.upstream import Upstream

FORMATS = ("anthropic", "openai-chat", "openai-responses")
KEY = "sk-test-0123456789abcdef-secret"


async def no_sleep(seconds: float) -> None:
    pass


@dataclass
class Naps:
    """A sleep that takes no time and remembers how long it would have been."""

    taken: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)


@dataclass
class Answer:
    events: list[ModelEvent] = field(default_factory=list)
    batches: list[Sequence[ModelEvent]] = field(default_factory=list)
    error: AppError | None = None

    @property
    def text(self) -> str:
        return "".join(event.delta for event in self.events if isinstance(event, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(event.delta for event in self.events if isinstance(event, ReasoningDelta))

    @property
    def finish(self) -> ModelFinish | None:
        finishes = [event for event in self.events if isinstance(event, ModelFinish)]
        assert len(finishes) <= 1
        return finishes[0] if finishes else None

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The parts of the message that a browser would have."""
        message = fold(None, [MessageStart("m", {}), *(e for e in self.events if not isinstance(e, ModelFinish))])
        assert message is not None
        return [part.to_wire() for part in message.parts]


def request(*content: Content | str, **values: Any) -> ModelRequest:
    """A request with one message of the user."""
    items = tuple(Text(item) if isinstance(item, str) else item for item in content or ("Hello",))
    return ModelRequest(**{"model": "tiny", "messages": (ModelMessage("user", items),), **values})


def preset(format_: str, upstream: Upstream, **fields: Any) -> Preset:
    base_url = upstream.url if format_ == "anthropic" else upstream.base_url
    return Preset(**{"name": "mine", "provider": format_, "base_url": base_url, **fields})


def impatient(**seconds: float) -> Timeouts:
    return Timeouts(**{"connect": 5, "first_event": 10, "between_events": 10, "total": 20, **seconds})


@asynccontextmanager
async def opened(
    environ: dict[str, str] | None = None, *, retry: Retry | None = None
) -> AsyncGenerator[Registry, None]:
    keys = {"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY}
    registry = Registry(keys if environ is None else environ, retry=retry)
    try:
        yield registry
    finally:
        await registry.close()


async def ask(provider: Provider, asked: ModelRequest | None = None) -> Answer:
    """The whole answer; an error ends it and is kept."""
    answer = Answer()
    try:
        async with aclosing(provider.stream(asked or request())) as batches:
            async for batch in batches:
                answer.batches.append(batch)
                answer.events += batch
    except AppError as error:
        answer.error = error
    return answer


async def ask_upstream(
    format_: str, upstream: Upstream, asked: ModelRequest | None = None, *, retry: Retry | None = None, **fields: Any
) -> Answer:
    async with opened(retry=retry or Retry(sleep=no_sleep)) as registry:
        return await ask(registry.open(preset(format_, upstream, **fields)), asked)
