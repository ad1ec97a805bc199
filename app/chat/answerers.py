"""Who answers for a preset: its own service, or for a router whom its rules choose. The one way to open either."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from app.chat.classifier import Classifier
from app.chat.measurements import FORGOTTEN_AFTER, Measurements
from app.chat.presets import Resolved, model_of
from app.chat.router import RoutedProvider, Routing
from app.chat.routing_rules import Candidate, Rules, next_after, nobody_can, wanted_again
from app.chat.usage import UsageBook
from app.core.errors import NotConfigured, UnsupportedContent
from app.core.events import Usage
from app.core.messages import UIMessage
from app.core.model import ModelRequest
from app.core.ports import Provider, Providers
from app.core.routing import NO_OCCASION, Occasion, Route, Router, Skipped, Wanted
from app.core.tools import ToolSpec
from app.core.usage import UsageLedger

MakeRequest = Callable[[Resolved], ModelRequest]
"""The request for one who may answer: its model, its values, its system prompt, and no messages."""

_ANSWER_TOKENS = 500
"""Of an answer, where prices are compared: nobody knows how long it will be."""


class Answerers:
    def __init__(
        self,
        providers: Providers,
        usage: UsageBook,
        *,
        clock: Callable[[], float] = time.monotonic,
        classifier: Classifier | None = None,
    ) -> None:
        """`clock` counts seconds."""
        self._providers = providers
        self._usage = usage
        self._clock = clock
        self._classifier = classifier or Classifier(providers, usage)
        self._measurements = Measurements(clock)

    async def remember(self, ledger: UsageLedger, now: datetime) -> None:
        """At a start: how quick everybody has been before, by the books. Raises StorageUnavailable."""
        since = (now - timedelta(seconds=FORGOTTEN_AFTER)).isoformat(timespec="milliseconds")
        for measured in await ledger.first_tokens(since):
            ago = (now - datetime.fromisoformat(measured.at)).total_seconds()
            self._measurements.answered((measured.preset, measured.model), measured.seconds, ago)

    def open(self, resolved: Resolved, make_request: MakeRequest, occasion: Occasion = NO_OCCASION) -> Provider:
        """The provider for one turn or one call. A router's tells with `Answering` whom it has chosen.

        Args:
            resolved: the preset and its values.
            make_request: asked for each candidate of a router.
            occasion: what its rules look at besides the prompt.

        Raises:
            NotConfigured: a key is missing, or a candidate names no model; of a router: nobody can be asked.
        """
        router = resolved.preset.router
        if router is None:
            return self._providers.open(resolved.preset)
        rules = self._rules(resolved, router, make_request)
        missing = self._missing(rules)
        if len(missing) == len(rules.candidates):
            raise next(iter(missing.values()))
        routing = Routing(resolved, rules, missing, self._providers, self._classifier, occasion, self._clock)
        return RoutedProvider(routing)

    def preview(
        self,
        resolved: Resolved,
        messages: Sequence[UIMessage],
        tools: tuple[ToolSpec, ...],
        occasion: Occasion = NO_OCCASION,
    ) -> Route:
        """Whom a router would choose now for another question like the last one of `messages`. Nobody is asked, and so
        the classifier has no say.

        Raises:
            UnsupportedContent: nobody can take it.
        """
        router = resolved.preset.router
        assert router is not None, "no router"
        wanted = wanted_again(messages, replace(_outline(resolved), tools=tools), occasion)
        rules = self._rules(resolved, router, _outline)
        choice, missing = rules.choose(wanted), self._missing(rules)
        if not choice.order:
            raise UnsupportedContent(nobody_can(resolved.preset.name, choice.skipped))
        first = next((each for each in choice.order if each.name not in missing), choice.order[0])
        before = [each.name for each in choice.order[: choice.order.index(first)]]
        why = next_after(before) if before else choice.why
        if resolved.classifier is not None and not choice.is_ruled and len(choice.order) > 1:
            why += f", unless {resolved.classifier.preset.name} names another"
        skipped = (*choice.skipped, *(Skipped(name, missing[name].message) for name in before))
        return Route(first.name, first.request.model, why, skipped)

    def _missing(self, rules: Rules) -> Mapping[str, NotConfigured]:
        """The candidates that cannot be asked at all, because their key is missing."""
        missing: dict[str, NotConfigured] = {}
        for candidate in rules.candidates.values():
            try:
                self._providers.open(candidate.preset)
            except NotConfigured as error:
                missing[candidate.name] = error
        return missing

    def _rules(self, resolved: Resolved, router: Router, make_request: MakeRequest) -> Rules:
        candidates = {
            each.preset.name: Candidate(each.preset, make_request(each), self._providers.abilities(each.preset))
            for each in resolved.candidates
        }
        return Rules(router, candidates, self._cost_of, self._measurements)

    def _cost_of(self, candidate: Candidate, wanted: Wanted) -> float | None:
        """US dollars for such a call. What runs on the user's own machine costs nothing, unless its preset says so."""
        said = Usage(wanted.tokens, min(candidate.request.max_tokens or _ANSWER_TOKENS, _ANSWER_TOKENS))
        cost = self._usage.cost(candidate.preset, candidate.request.model, said, candidate.request.cache)
        return 0.0 if cost is None and candidate.abilities.local else cost


def _outline(resolved: Resolved) -> ModelRequest:
    """What of a request has a say in who answers it."""
    values = resolved.values
    return ModelRequest(
        model_of(resolved),
        (),
        system=values.system,
        max_tokens=values.max_tokens,
        response_format=values.response_format or "text",
        cache=values.cache or "5m",
    )
