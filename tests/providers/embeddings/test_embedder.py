"""Embeddings over the wire: what is sent, what is read, what becomes of failures."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from app.core.embeddings import Embedded, EmbeddingRequest, numbers_of
from app.core.errors import AppError, InvalidRequest, NotConfigured, ProviderError
from app.core.events import Usage
from app.core.model import Preset, Timeouts
from app.providers.checkup import check
from app.providers.retry import Retry
from tests.embeddings import embeddings_answer, embeddings_service, packed, vector_of
from tests.providers.asking import KEY, Naps, ask, no_sleep, opened, request
from tests.upstream import Reply, Upstream, html_reply, json_reply

pytestmark = pytest.mark.anyio

KEYS = {"OPENAI_API_KEY": KEY, "VOYAGE_API_KEY": KEY}


async def embed(upstream: Upstream, *texts: str, provider: str = "openai-chat", **more: Any) -> Embedded:
    fields = {name: more.pop(name) for name in ("timeouts",) if name in more}
    preset = Preset("mine", provider, base_url=upstream.base_url, **fields)
    async with opened(KEYS, retry=Retry(sleep=no_sleep)) as registry:
        return await registry.embedder(preset).embed(EmbeddingRequest("m", texts, **more))


async def failure(upstream: Upstream, **more: Any) -> AppError:
    with pytest.raises(ProviderError) as raised:
        await embed(upstream, "a", "b", **more)
    return raised.value


def near(vectors: Any) -> list[Any]:
    return [pytest.approx(vector, rel=1e-6) for vector in vectors]


@pytest.mark.parametrize("provider", ["openai", "openai-chat", "ollama", "llamacpp", "mistral", "voyage"])
async def test_every_service_that_makes_embeddings_is_asked_in_openais_words(provider: str) -> None:
    with Upstream(otherwise=embeddings_service()) as upstream:
        embedded = await embed(upstream, "a car", "a cat", provider=provider)
        [sent] = upstream.requests
    assert (sent.path, sent.json["model"], sent.json["input"]) == ("/v1/embeddings", "m", ["a car", "a cat"])
    assert [numbers_of(vector) for vector in embedded.vectors] == near(vector_of(t) for t in ("a car", "a cat"))
    assert embedded.usage == Usage(4, 0)


@pytest.mark.parametrize(("provider", "encoding"), [("openai", "base64"), ("voyage", "base64"), ("ollama", "float")])
async def test_base64_is_asked_of_those_who_know_it(provider: str, encoding: str) -> None:
    with Upstream(otherwise=embeddings_service()) as upstream:
        await embed(upstream, "a", provider=provider)
        assert upstream.requests[0].json["encoding_format"] == encoding


async def test_openai_is_told_dimensions_and_user_and_nothing_of_the_kind_of_text() -> None:
    with Upstream(otherwise=embeddings_service()) as upstream:
        await embed(upstream, "a", provider="openai", input_type="query", dimensions=5, user="u1")
        sent = upstream.requests[0].json
    assert sent == {
        "input": ["a"], "model": "m", "encoding_format": "base64", "dimensions": 5, "user": "u1",
    }  # fmt: skip


async def test_voyage_is_told_what_a_text_is_for() -> None:
    with Upstream() as upstream:
        answer = embeddings_answer({"model": "m", "input": ["a"]}, usage={"total_tokens": 7})
        upstream.reply(json_reply(200, answer))
        embedded = await embed(upstream, "a", provider="voyage", input_type="query", dimensions=5, user="u1")
        [sent] = upstream.requests
    assert sent.json == {
        "input": ["a"], "model": "m", "encoding_format": "base64", "input_type": "query", "output_dimension": 5,
    }  # fmt: skip
    assert sent.key == KEY
    assert embedded.usage == Usage(7, 0)


async def ask_google(upstream: Upstream, *texts: str, model: str = "gemini-embedding-001", **more: Any) -> Embedded:
    preset = Preset("mine", "google", base_url=f"{upstream.url}/v1beta")
    async with opened({"GEMINI_API_KEY": KEY}, retry=Retry(sleep=no_sleep)) as registry:
        return await registry.embedder(preset).embed(EmbeddingRequest(model, texts, **more))


async def test_google_is_asked_in_its_own_words() -> None:
    with Upstream() as upstream:
        upstream.reply(json_reply(200, {"embeddings": [{"values": [1, 0.5]}, {"values": [0.25, 2]}]}))
        embedded = await ask_google(upstream, "a car here", "a cat", input_type="document", dimensions=2)
        [sent] = upstream.requests
    same = {"model": "models/gemini-embedding-001", "taskType": "RETRIEVAL_DOCUMENT", "outputDimensionality": 2}
    assert sent.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert sent.headers["x-goog-api-key"] == KEY
    assert sent.json == {
        "requests": [{**same, "content": {"parts": [{"text": text}]}} for text in ("a car here", "a cat")]
    }
    assert [numbers_of(vector) for vector in embedded.vectors] == [(1.0, 0.5), (0.25, 2.0)]
    assert embedded.usage == Usage(3, 0)


async def test_googles_later_models_have_the_task_in_the_text_and_count() -> None:
    with Upstream() as upstream:
        counted = {"embeddings": [{"values": [1]}], "usageMetadata": {"promptTokenCount": 7}}
        upstream.reply(json_reply(503, {}), json_reply(200, counted))
        embedded = await ask_google(upstream, "a", model="gemini-embedding-2", input_type="query")
        assert "taskType" not in upstream.requests[1].json["requests"][0]
    assert embedded.usage == Usage(7, 0)


@pytest.mark.parametrize("answer", [[], {}, {"embeddings": [{}, {}]}, {"embeddings": [{"values": [1]}]}])
async def test_what_is_none_of_googles_answers_is_an_error(answer: Any) -> None:
    with Upstream(otherwise=lambda _: json_reply(200, answer)) as upstream:
        with pytest.raises(ProviderError) as raised:
            await ask_google(upstream, "a", "b")
        assert raised.value.code == "provider_broken"
        upstream.otherwise = lambda _: json_reply(429, {"error": {"details": [{"retryDelay": "31s"}]}})
        with pytest.raises(ProviderError) as raised:
            await ask_google(upstream, "a", "b")
    assert (raised.value.code, raised.value.retry_after) == ("provider_rate_limited", 31.0)


@pytest.mark.parametrize(
    ("model", "prefixes"),
    [
        ("nomic-embed-text:v1.5", ("search_query: ", "search_document: ")),
        ("nomic-ai/nomic-embed-text-v2-moe", ("search_query: ", "search_document: ")),
        ("intfloat/multilingual-e5-large", ("query: ", "passage: ")),
        ("e5-base-v2", ("query: ", "passage: ")),
        ("intfloat/e5-mistral-7b-instruct", ("", "")),
        ("mxbai-embed-large", ("Represent this sentence for searching relevant passages: ", "")),
        ("embeddinggemma:300m", ("task: search result | query: ", "title: none | text: ")),
        ("text-embedding-3-small", ("", "")),
        ("gemini-embedding-001", ("", "")),
    ],
)
async def test_models_that_were_trained_with_prefixes_have_them(model: str, prefixes: tuple[str, str]) -> None:
    async with opened(KEYS) as registry:
        embedder = registry.embedder(Preset("mine", "ollama"))
        assert (embedder.prefix(model, "query"), embedder.prefix(model, "document")) == prefixes
        own = registry.embedder(Preset("mine", "ollama", embed_prefixes={"query": "Q "}))
        assert (own.prefix(model, "query"), own.prefix(model, "document")) == ("Q ", "")


async def test_vectors_belong_to_texts_by_their_index() -> None:
    texts = [f"text {n} " + "car " * n for n in range(20)]
    answer = embeddings_answer({"model": "m", "input": texts})
    random.Random(3).shuffle(answer["data"])
    with Upstream() as upstream:
        upstream.reply(json_reply(200, answer))
        embedded = await embed(upstream, *texts)
    assert [numbers_of(vector) for vector in embedded.vectors] == near(map(vector_of, texts))


async def test_base64_is_read_whatever_was_asked_for_and_numbers_too() -> None:
    data = [{"index": 0, "embedding": packed([1.0, 0.5])}, {"index": 1, "embedding": [0.25, 2]}]
    with Upstream() as upstream:
        upstream.reply(json_reply(200, {"data": data}))
        embedded = await embed(upstream, "a", "b")
    assert [numbers_of(vector) for vector in embedded.vectors] == [(1.0, 0.5), (0.25, 2.0)]
    assert embedded.usage == Usage(0, 0)


def data(*embeddings: Any) -> dict[str, Any]:
    return {"data": [{"index": i, "embedding": value} for i, value in enumerate(embeddings)]}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"data": {}},
        {"data": [None, None]},
        data([1.0]),
        data([1.0], [1.0], [1.0]),
        data([1.0], [1.0, 2.0]),
        data([], []),
        data("", ""),
        data("AAAA!", "AAAA!"),
        data("AAA=", "AAA="),
        data([1.0], ["x"]),
        data([1.0], [[1.0]]),
        data([1.0], [1e300]),
        data([1.0], [None]),
        data(packed([float("nan")]), packed([1.0])),
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 2, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": True, "embedding": [1.0]}]},
    ],
)
async def test_what_is_no_answer_is_told_and_not_asked_for_again(answer: Any) -> None:
    with Upstream() as upstream:
        upstream.reply(json_reply(200, answer))
        error = await failure(upstream)
        assert error.code == "provider_broken"
        assert len(upstream.requests) == 1


async def test_a_web_page_is_no_answer() -> None:
    with Upstream() as upstream:
        upstream.reply(html_reply())
        assert (await failure(upstream)).code == "provider_broken"


async def test_an_error_in_an_answer_is_told_as_what_it_is() -> None:
    with Upstream() as upstream:
        upstream.reply(json_reply(200, {"error": {"code": "429", "message": "slow down"}}))
        upstream.reply(json_reply(200, {"error": {"code": "429", "message": "slow down"}}))
        upstream.reply(json_reply(200, embeddings_answer({"model": "m", "input": ["a"]})))
        await embed(upstream, "a")
        assert len(upstream.requests) == 3


async def test_trouble_is_tried_again_and_retry_after_is_waited_for() -> None:
    naps = Naps()
    with Upstream(otherwise=embeddings_service()) as upstream:
        upstream.reply(json_reply(429, {"error": {"message": "slow"}}, {"retry-after": "2"}), Reply(["reset"]))
        async with opened(KEYS, retry=Retry(sleep=naps.sleep)) as registry:
            embedder = registry.embedder(Preset("mine", "openai", base_url=upstream.base_url))
            await embedder.embed(EmbeddingRequest("m", ["a"]))
        assert len(upstream.requests) == 3
    assert naps.taken[0] == 2
    assert len(naps.taken) == 2


async def test_a_body_that_is_cut_off_is_asked_for_again() -> None:
    with Upstream(otherwise=embeddings_service()) as upstream:
        upstream.reply(Reply([b'{"data": [', "cut"], headers={"content-type": "application/json"}))
        await embed(upstream, "a")
        assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (json_reply(401, {"error": {"message": f"Bad key {KEY}"}}), "provider_rejected"),
        (json_reply(400, {"detail": f"Too many tokens for {KEY}"}), "provider_rejected"),
        (json_reply(404, {"error": {"message": "no such model"}}), "provider_rejected"),
    ],
)
async def test_what_is_refused_is_told_without_the_key(reply: Reply, code: str) -> None:
    with Upstream() as upstream:
        upstream.reply(reply)
        error = await failure(upstream, provider="voyage")
        assert error.code == code
        assert KEY not in error.message
        assert len(upstream.requests) == 1


async def test_voyages_own_words_say_what_to_change() -> None:
    with Upstream() as upstream:
        upstream.reply(json_reply(400, {"detail": "Model voyage-9 is not supported."}))
        assert "Model voyage-9 is not supported." in (await failure(upstream, provider="voyage")).message


async def test_vectors_that_never_come_are_not_waited_for_any_longer() -> None:
    with Upstream() as upstream:
        upstream.reply(Reply([b"{", "hold"], headers={"content-type": "application/json"}))
        error = await failure(upstream, timeouts=Timeouts(first_event=0.1))
    assert error.code == "provider_timeout"


async def test_a_server_that_passes_over_dimensions_is_found_out() -> None:
    with Upstream(otherwise=embeddings_service()) as upstream:
        error = await failure(upstream, dimensions=3)
    assert (error.param, "5 numbers" in error.message) == ("dimensions", True)


async def test_chats_and_embeddings_of_an_endpoint_share_a_breaker() -> None:
    with Upstream() as upstream:
        preset = Preset("mine", "openai-chat", base_url=upstream.base_url)
        async with opened(KEYS, retry=Retry(attempts=1)) as registry:
            for _ in range(8):
                upstream.reply(json_reply(500, {}))
                with pytest.raises(ProviderError):
                    await registry.embedder(preset).embed(EmbeddingRequest("m", ["a"]))
            got = await ask(registry.open(preset), request())
        assert got.error is not None
        assert got.error.retry_after is not None
        assert len(upstream.requests) == 8


async def test_many_first_requests_at_once_all_get_their_vectors() -> None:
    with Upstream(otherwise=embeddings_service()) as upstream:
        async with opened(KEYS) as registry:
            embedder = registry.embedder(Preset("mine", "openai", base_url=upstream.base_url))
            requests = [embedder.embed(EmbeddingRequest("m", [f"car {n}"])) for n in range(12)]
            assert len(await asyncio.gather(*requests)) == 12


async def test_who_makes_no_embeddings_says_who_does() -> None:
    async with opened(KEYS) as registry:
        with pytest.raises(InvalidRequest, match=r"Anthropic makes no embeddings.*voyage"):
            registry.embedder(Preset("claude", "anthropic"))
        with pytest.raises(InvalidRequest, match="cannot chat"):
            registry.open(Preset("v", "voyage"))


async def test_a_missing_key_is_told_before_anybody_is_asked() -> None:
    async with opened({}) as registry:
        with pytest.raises(NotConfigured, match="VOYAGE_API_KEY"):
            registry.embedder(Preset("v", "voyage"))


async def test_the_doctor_finds_voyage_well_without_a_list_of_models() -> None:
    with Upstream(models_reply=json_reply(404, {"detail": "Not Found"})) as upstream:
        upstream.reply(json_reply(422, {"detail": "input is missing"}))
        found = await check(Preset("v", "voyage", base_url=upstream.base_url, default_model="voyage-4"), KEYS)
        assert [request.path for request in upstream.requests] == ["/v1/models", "/v1/embeddings"]
    assert found.ok
    assert "Voyage AI answers." in found.sentence
