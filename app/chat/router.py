"""One answer of a router: its candidates are asked in order, until one begins to answer.

What has been shown is never taken back: after its first event an answer is its candidate's, whatever becomes of it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Container, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from app.chat.classifier import Classifier
from app.chat.presets import Resolved
from app.chat.routing_rules import Candidate, Choice, Rules, next_after, nobody_can, wanted_by
from app.core.convert import NOT_SENT
from app.core.errors import (
    AppError,
    ContextOverflow,
    NotConfigured,
    PresetRefused,
    ProviderError,
    ProviderRejected,
    UnsupportedContent,
)
from app.core.events import Answering, CallWarning, ModelEvent, Status
from app.core.model import Media, ModelMessage, ModelRequest, Text
from app.core.ports import Provider, Providers
from app.core.routing import Occasion, Route, Skipped, Wanted

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Routing:
    """What all answers of a router have in common, and what this one is about."""

    resolved: Resolved
    """The router's."""
    rules: Rules
    missing: Mapping[str, AppError]
    """Candidates that cannot be asked at all, with the reason: their key is missing."""
    providers: Providers
    classifier: Classifier
    occasion: Occasion
    clock: Callable[[], float]


class RoutedProvider:
    """A `Provider` for one turn. All its calls are made by the candidate that answered the first, if that one can."""

    def __init__(self, routing: Routing) -> None:
        self._routing = routing
        self._choice: Choice | None = None
        """What is left of it: those at the front have answered, those at the end have failed."""
        candidates = routing.rules.candidates.values()
        self.takes = _Union([each.abilities.takes for each in candidates if each.name not in routing.missing])

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        choice = self._choice or await self._choose(request)
        if not choice.order:
            raise UnsupportedContent(nobody_can(self._routing.resolved.preset.name, choice.skipped))
        failed: list[tuple[Candidate, AppError]] = []
        for number, candidate in enumerate(choice.order):
            rest = choice.order[number + 1 :]
            alone = all(each.name in self._routing.missing for each in rest)
            answering = False
            began = self._routing.clock()
            try:
                provider = self._open(candidate, hurried=not alone)
                async with aclosing(provider.stream(_fitted(candidate, request))) as batches:
                    async for batch in batches:
                        if answering:
                            yield batch
                        elif not all(isinstance(event, Status) for event in batch):
                            answering = True
                            seconds = None if _comes_whole(candidate) else self._routing.clock() - began
                            self._answered(choice, candidate, rest, failed, seconds)
                            yield [_answering(candidate, choice, failed, seconds)]
                            yield [*_warnings(failed), *batch]
                        elif alone:
                            yield batch
            except (ProviderError, NotConfigured) as error:
                if answering or not _may_go_on(error):
                    raise
                if isinstance(error, ProviderError):
                    self._routing.rules.measurements.failed(candidate.key, error)
                failed.append((candidate, error))
            else:
                return
        raise _all_failed(self._routing.resolved.preset.name, failed)

    def _open(self, candidate: Candidate, *, hurried: bool) -> Provider:
        if (problem := self._routing.missing.get(candidate.name)) is not None:
            raise problem
        providers, relayed = self._routing.providers, candidate.request.relayed
        if relayed is None:
            return providers.open(candidate.preset, hurried=hurried)
        relay = providers.relay(candidate.preset, "anthropic", whole=relayed.whole, hurried=hurried)
        assert relay is not None, "its abilities say so"
        return relay

    async def _choose(self, request: ModelRequest) -> Choice:
        routing = self._routing
        wanted = wanted_by(request, routing.occasion)
        choice = routing.rules.choose(wanted)
        asked = routing.resolved.classifier
        if asked is None or choice.is_ruled or len(choice.order) < 2:
            return choice
        opinion = await self._opinion(asked, choice, wanted)
        return choice if opinion is None else routing.rules.preferring(choice, opinion, f"{asked.preset.name} named it")

    async def _opinion(self, asked: Resolved, choice: Choice, wanted: Wanted) -> str | None:
        candidates = [each.preset for each in choice.order if each.name not in self._routing.missing]
        return await self._routing.classifier.opinion(asked, candidates, wanted)

    def _answered(
        self,
        choice: Choice,
        candidate: Candidate,
        rest: Sequence[Candidate],
        failed: Sequence[tuple[Candidate, AppError]],
        seconds: float | None,
    ) -> None:
        if seconds is not None:
            self._routing.rules.measurements.answered(candidate.key, seconds)
        why = _why(choice, failed)
        self._choice = replace(choice, order=(candidate, *rest, *(each for each, _ in failed)), why=why, skipped=())
        if failed:
            names = [each.name for each, _ in failed]
            log.info("routed on", extra={"preset": candidate.name, "failed": names})


class _Union:
    """Everything that anybody takes."""

    def __init__(self, takes: Sequence[Container[str]]) -> None:
        self._takes = takes

    def __contains__(self, media_type: object) -> bool:
        return any(media_type in takes for takes in self._takes)


def _fitted(candidate: Candidate, request: ModelRequest) -> ModelRequest:
    """The request in the candidate's own values, without files that it cannot be given."""
    return replace(
        candidate.request,
        messages=tuple(_without_files(message, candidate) for message in request.messages),
        tools=request.tools,
        at_once=request.at_once,
    )


def _without_files(message: ModelMessage, candidate: Candidate) -> ModelMessage:
    takes = candidate.abilities.takes
    if all(not isinstance(item, Media) or item.media_type in takes for item in message.content):
        return message
    content = (
        Text(NOT_SENT) if isinstance(item, Media) and item.media_type not in takes else item for item in message.content
    )
    return replace(message, content=tuple(content))


def _comes_whole(candidate: Candidate) -> bool:
    return candidate.request.relayed is not None and candidate.request.relayed.whole


def _may_go_on(error: AppError) -> bool:
    """Whether somebody else may be able to answer: not where the request itself is refused."""
    return not isinstance(error, ProviderRejected) or isinstance(error, PresetRefused | ContextOverflow)


def _answering(
    candidate: Candidate, choice: Choice, failed: Sequence[tuple[Candidate, AppError]], seconds: float | None
) -> Answering:
    skipped = [each for each in choice.skipped if each.preset != candidate.name]
    skipped += [Skipped(each.name, error.message) for each, error in failed]
    route = Route(candidate.name, candidate.request.model, _why(choice, failed), tuple(skipped))
    return Answering(candidate.preset, candidate.request.model, candidate.request.cache, route, seconds)


def _why(choice: Choice, failed: Sequence[tuple[Candidate, AppError]]) -> str:
    return choice.why if not failed else next_after([each.name for each, _ in failed])


def _warnings(failed: Sequence[tuple[Candidate, AppError]]) -> list[CallWarning]:
    """What somebody should mend."""
    return [
        CallWarning("router", error.message) for _, error in failed if isinstance(error, NotConfigured | PresetRefused)
    ]


def _all_failed(name: str, failed: Sequence[tuple[Candidate, AppError]]) -> AppError:
    """One error for all: one after which another try makes sense, if there is such a one."""
    errors = [error for _, error in failed]
    if len(errors) == 1:
        return errors[0]
    chosen = next((each for each in errors if isinstance(each, ProviderError) and each.retryable), errors[-1])
    waits = [each.retry_after for each in errors if each.retry_after is not None]
    said = " ".join(f"{candidate.name}: {error.message}" for candidate, error in failed)
    return type(chosen)(f"None of the candidates of {name} could answer. {said}", retry_after=min(waits, default=None))
