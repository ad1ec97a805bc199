"""Many texts: batches at their limits, in order, each failing alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.embedding import AT_ONCE, Embedding, Embeddings, batches
from app.chat.gateway_keys import GatewayKeys
from app.chat.usage import UsageBook
from app.core.embeddings import AskedEmbeddings, BatchLimits, Embedded, numbers_of, to_vector
from app.core.errors import KeyNotAllowed, NotFound, ProviderUnavailable
from app.core.events import Usage
from app.core.gateway_keys import GatewayKey
from app.core.model import Configuration, Preset, Prices
from app.core.values import Values
from app.providers.registry import Registry
from app.providers.retry import Retry
from tests.chat.key_store import KeyStore
from tests.embeddings import embeddings_service, vector_of
from tests.upstream import Upstream, json_reply

pytestmark = pytest.mark.anyio


class Ledger:
    def __init__(self):
        self.entries = []

    async def add(self, entry):
        self.entries.append(entry)


class Lengths:
    """Makes of each text a vector of its length; answers later requests first."""

    def __init__(self, fails=()):
        self._fails = fails
        self.requests = []
        self.under_way = self.most_under_way = 0

    def prefix(self, model, input_type):
        return f"{input_type}: " if model == "prefixed" else ""

    def limits(self, model):
        return BatchLimits()

    async def embed(self, request):
        self.requests.append(request)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        for _ in range(20 - len(self.requests) % 7):
            await asyncio.sleep(0)
        self.under_way -= 1
        if any(text in self._fails for text in request.texts):
            raise ProviderUnavailable("It is down.")
        return Embedded([to_vector([len(text)]) for text in request.texts], Usage(len(request.texts), 0))


def embedding(embedder, ledger=None, prices=None):
    book = UsageBook(ledger or Ledger(), lambda *_: prices, lambda: datetime(2026, 11, 22, tzinfo=UTC))
    return Embedding(Preset("e", "openai"), "m", embedder, book)


def lengths(embedded):
    return [numbers_of(vector)[0] for vector in embedded.vectors]


async def test_texts_have_the_prefix_of_what_they_are_for():
    embedder = Lengths()
    prefixed = replace(embedding(embedder), model="prefixed")
    await prefixed.embed(["a"], "query")
    await prefixed.embed(["a"], "document")
    await prefixed.embed(["a"])
    assert [request.texts for request in embedder.requests] == [["query: a"], ["document: a"], ["a"]]
    assert prefixed.name == "openai/prefixed ['query: ', 'document: ']"
    assert embedding(embedder).name == "openai/m"


async def test_vectors_come_in_the_order_of_the_texts_whoever_answers_first():
    texts = ["x" * (n + 1) for n in range(1234)]
    embedder = Lengths()
    assert lengths(await embedding(embedder).embed(texts)) == list(range(1, 1235))
    assert [len(request.texts) for request in embedder.requests] == [*[100] * 12, 34]
    assert embedder.most_under_way == AT_ONCE


async def test_what_all_batches_use_is_one_entry_in_the_books():
    ledger = Ledger()
    embedded = await embedding(Lengths(), ledger, Prices(2, 0)).embed(["x"] * 250)
    [entry] = ledger.entries
    assert (entry.purpose, entry.provider, entry.model, entry.block_id) == ("embedding", "openai", "m", None)
    assert entry.usage == embedded.usage == Usage(250, 0)
    assert entry.cost_usd == pytest.approx(0.0005)


async def test_a_batch_that_fails_for_good_fails_all_and_what_was_used_is_known():
    ledger = Ledger()
    texts = [f"text {n}" for n in range(1000)]
    embedder = Lengths(fails=("text 550",))
    with pytest.raises(ProviderUnavailable, match="It is down"):
        await embedding(embedder, ledger).embed(texts)
    assert len(embedder.requests) < 10
    [entry] = ledger.entries
    assert entry.usage.input_tokens in range(100, 1000, 100)


async def test_a_failed_batch_is_sent_again_alone():
    """Through the real provider, over the wire."""
    texts = [f"car {n}" for n in range(300)]
    failed = []

    def answer(request):
        if "car 150" in request.json["input"] and not failed:
            failed.append(request)
            return json_reply(503, {})
        return embeddings_service()(request)

    async def no_sleep(_):
        pass

    with Upstream(otherwise=answer) as upstream:
        registry = Registry({}, retry=Retry(sleep=no_sleep))
        preset = Preset("e", "ollama", base_url=upstream.base_url)
        embedder = registry.embedder(preset)
        embedded = await embedding(embedder).embed(texts)
        await registry.close()
        sent = sorted(request.json["input"][0] for request in upstream.requests)
    assert sent == ["car 0", "car 100", "car 100", "car 200"]
    assert [numbers_of(vector) for vector in embedded.vectors] == [pytest.approx(vector_of(text)) for text in texts]


# Batches


def test_no_batch_has_more_texts_or_tokens_than_the_service_takes():
    assert [len(batch) for batch in batches(["a"] * 250, BatchLimits(texts=100))] == [100, 100, 50]
    texts = ["x" * 198] * 5  # a hundred tokens each, at most
    assert [len(batch) for batch in batches(texts, BatchLimits(tokens=200))] == [2, 2, 1]
    assert [len(batch) for batch in batches(["ö" * 99] * 2, BatchLimits(tokens=199))] == [1, 1]
    assert list(batches([], BatchLimits())) == []


def test_a_text_that_is_too_long_stands_alone():
    assert list(batches(["a", "x" * 1000, "b"], BatchLimits(tokens=10))) == [["a"], ["x" * 1000], ["b"]]


@given(st.lists(st.text(max_size=30)), st.integers(1, 5), st.integers(1, 40))
def test_batches_hold_everything_once_and_in_order(texts, most, tokens):
    found = list(batches(texts, BatchLimits(most, tokens)))
    assert [text for batch in found for text in batch] == texts
    assert all(1 <= len(batch) <= most for batch in found)


# Who answers

PRESETS = {
    "default": Preset("default", "anthropic", values=Values(model="claude")),
    "embed": Preset("embed", "ollama", values=Values(model="nomic")),
    "voyage": Preset("voyage", "voyage", default_model="voyage-4"),
}


def opened(name, key=None):
    registry = Registry({"OPENAI_API_KEY": "k", "VOYAGE_API_KEY": "k", "ANTHROPIC_API_KEY": "k"})
    book = UsageBook(Ledger(), lambda *_: None, lambda: datetime.now(UTC))
    keys = GatewayKeys(KeyStore(), lambda: Configuration(PRESETS), lambda: datetime.now(UTC), lambda: 0.0)
    embeddings = Embeddings(configuration=lambda: Configuration(PRESETS), providers=registry, usage=book, keys=keys)
    return embeddings.open(AskedEmbeddings(name, ("a",)), key)


@pytest.mark.parametrize(
    ("name", "preset", "model"),
    [
        ("embed", "embed", "nomic"),
        ("nomic", "embed", "nomic"),
        ("voyage", "voyage", "voyage-4"),
        ("ollama/other", "embed", "other"),
        ("voyage/voyage-code-3", "voyage", "voyage-code-3"),
        ("voyage-4-lite", "voyage", "voyage-4-lite"),
        ("text-embedding-3-small", "openai", "text-embedding-3-small"),
        ("openai/text-embedding-3-large", "openai", "text-embedding-3-large"),
    ],
)
def test_a_model_is_found_as_for_chats(name, preset, model):
    found = opened(name)
    assert (found.preset.name, found.model) == (preset, model)


def test_nobody_answers_for_a_model_that_is_not_there():
    with pytest.raises(NotFound, match="no such model"):
        opened("minilm")


def test_a_key_may_ask_only_its_presets():
    key = GatewayKey("k1", "laptop", "abcd", "", presets=("embed",))
    assert opened("embed", key).gateway_key == "k1"
    with pytest.raises(KeyNotAllowed):
        opened("voyage", key)
    with pytest.raises(KeyNotAllowed, match="price"):
        opened("embed", GatewayKey("k2", "laptop", "abcd", "", spend_limit=1.0))
