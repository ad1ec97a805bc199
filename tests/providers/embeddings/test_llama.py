"""A real llama.cpp server that makes embeddings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.core.embeddings import Embedded, EmbeddingRequest, numbers_of
from app.core.errors import ProviderError
from app.core.model import Preset
from tests.llama import llama_server
from tests.providers.asking import opened

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    with llama_server(embeddings=True) as base_url:
        yield base_url


async def embed(url: str, provider: str, *texts: str) -> Embedded:
    async with opened() as registry:
        return await registry.embedder(Preset("real", provider, base_url=url)).embed(EmbeddingRequest("any", texts))


async def test_a_real_server_makes_vectors_in_order_and_counts_tokens(llama: str) -> None:
    texts = [f"text number {n}" for n in range(20)]
    embedded = await embed(llama, "llamacpp", *texts)
    assert embedded.usage.input_tokens > 20
    assert {len(vector) for vector in embedded.vectors} == {64 * 4}
    alone = await embed(llama, "llamacpp", texts[7])
    assert numbers_of(embedded.vectors[7]) == pytest.approx(numbers_of(alone.vectors[0]), abs=1e-3)
    assert embedded.vectors[7] != embedded.vectors[8]


async def test_its_base64_holds_the_same_vectors(llama: str) -> None:
    [numbers] = (await embed(llama, "llamacpp", "a text")).vectors
    [packed] = (await embed(llama, "openai", "a text")).vectors
    assert numbers_of(packed) == pytest.approx(numbers_of(numbers), abs=1e-5)


async def test_a_text_that_is_too_long_is_told_as_refused(llama: str) -> None:
    with pytest.raises(ProviderError) as raised:
        await embed(llama, "llamacpp", "word " * 5000)
    assert raised.value.code == "provider_rejected"
    assert "too large to process" in raised.value.message
