"""Twenty turns with tools: each request begins with the one before it, so that the services find it in their caches."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.acceptance.said import Tokens
from tests.acceptance.services import SERVICES, Model
from tests.acceptance.use_chat import UseChat
from tests.providers.anthropic.test_cache import CachingService, Prompt

TURNS = 20
SYSTEM = "You know all about the weather of the north. " * 360  # some 4,000 tokens
PROMPT = f'\n[settings]\n"ai:system" = "{SYSTEM}"\n'


@pytest.fixture(params=SERVICES)
def service(request):
    return SERVICES[request.param]


def assert_prefixes(model, requests):
    assert len(model.rows) == requests
    assert [place for place, (row, then) in enumerate(pairwise(model.rows)) if then[: len(row)] != row] == []
    assert [settings for settings in model.settings if settings != model.settings[0]] == []


def full_price(message):
    """The share of a turn's input that was neither read from the cache nor written to it."""
    usage = message["metadata"]["usage"]
    cached = usage.get("cachedInputTokens", 0) + usage.get("cacheWriteTokens", 0)
    return (usage["inputTokens"] - cached) / usage["inputTokens"]


def test_a_tab_that_sends_its_own_history_each_time(service, upstream, palaver):
    model = Model(service)
    upstream.otherwise = model.reply
    with palaver(PROMPT + service.preset(upstream)) as client:
        chat = UseChat(client, "b1", service.provider)
        for turn in range(TURNS):
            chat.send(f"Question {turn}")
        stored = chat.stored()
    assert_prefixes(model, 2 * TURNS)
    assert [message["parts"] for message in chat.messages] == [message["parts"] for message in stored]
    assert [message["id"] for message in chat.messages] == [message["id"] for message in stored]
    assert not any("repairs" in message.get("metadata", {}) for message in stored)
    if service.reports_cache:
        assert max(full_price(message) for message in stored[3::2]) <= 0.2


def test_programs_reloads_restarts_and_approvals(service, upstream, palaver, ran):
    model = Model(service, calls=("rain", "launch"))
    upstream.otherwise = model.reply
    presets = PROMPT + service.preset(upstream)
    for start in range(0, TURNS, 10):
        with palaver(presets) as client:
            program = UseChat(client, "b1", service.provider, message_only=True)
            for turn in range(start, start + 6):
                program.send(f"Question {turn}")
                program.answer_approvals(turn % 3 != 0)
        with palaver(presets) as client:
            tab = UseChat(client, "b1", service.provider)
            tab.reload()
            for turn in range(start + 6, start + 10):
                tab.send(f"Question {turn}")
                if turn % 2:
                    tab.reload()
                tab.answer_approvals(True)
            stored = tab.stored()
    assert_prefixes(model, 2 * TURNS)
    assert len(stored) == 2 * TURNS
    assert not any("repairs" in message.get("metadata", {}) for message in stored)
    assert ran().count("rain Tromsø") == TURNS
    assert ran().count("launch Tromsø") == TURNS - 4


class KeepsWhatIsMarked(Model):
    """Anthropic's way to count: only what a request marks is kept, and only near its marks it looks."""

    def __init__(self, service):
        super().__init__(service)
        self.cache = CachingService()
        self.kept = []

    def count(self, body, row):
        prompt = Prompt.of(body)
        assert len(prompt.marks) <= 4
        self.kept.append(prompt.until(max(prompt.marks)))
        usage = self.cache._usage(prompt)
        read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
        return Tokens(usage["input_tokens"] + read + written, read, written)


def test_what_anthropic_is_asked_to_keep_it_finds_again(upstream, palaver):
    model = KeepsWhatIsMarked(SERVICES["anthropic"])
    upstream.otherwise = model.reply
    with palaver(PROMPT + SERVICES["anthropic"].preset(upstream)) as client:
        chat = UseChat(client, "b1", "anthropic")
        for turn in range(TURNS):
            chat.send(f"Question {turn}")
        totals = client.get("/api/ai/usage").json()["total"]
    assert len(model.kept) == 2 * TURNS
    assert [place for place, (one, then) in enumerate(pairwise(model.kept)) if not then.startswith(one)] == []
    assert max(full_price(message) for message in chat.messages[3::2]) <= 0.2
    assert totals["cachedInputTokens"] > 0.9 * totals["inputTokens"]
