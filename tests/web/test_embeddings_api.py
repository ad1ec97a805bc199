"""`POST /v1/embeddings` as programs use it: OpenAI's own SDK, curl, and a model service behind it."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from tests.embeddings import embeddings_service, vector_of
from tests.upstream import Upstream, json_reply

CONFIGURATION = """
[presets.default]
provider = "echo"

[presets.embed]
provider = "ollama"
base_url = "{url}"
model = "nomic"

[presets.voyage]
provider = "voyage"
base_url = "{url}"
"""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(otherwise=embeddings_service()) as upstream:
        yield upstream


@pytest.fixture
def app(upstream: Upstream, tmp_path: Path):
    config = tmp_path / "palaver.toml"
    config.write_text(CONFIGURATION.format(url=upstream.base_url))
    settings = ServerSettings(data=tmp_path / "data", config=config)
    return create_app(settings, lambda: open_deps(settings, {"VOYAGE_API_KEY": "voyage-key"}, port=8000))


@pytest.fixture
def client(app) -> Iterator[TestClient]:
    with TestClient(app, "http://127.0.0.1:8000") as client:
        client.headers = {"user-agent": "test"}
        yield client


@pytest.fixture
def sdk(app, serve: Callable) -> Iterator[openai.OpenAI]:
    server = serve(app)
    with openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="any", max_retries=0) as sdk:
        yield sdk


@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_the_official_sdk_gets_its_vectors(sdk: openai.OpenAI, encoding: str | None) -> None:
    """Without a word about the encoding it asks for base64, and unpacks it itself."""
    texts = [f"car {n}" for n in range(250)]
    said = {} if encoding is None else {"encoding_format": encoding}
    answer = sdk.embeddings.create(model="embed", input=texts, **said)
    assert [item.index for item in answer.data] == list(range(250))
    assert (answer.model, answer.object) == ("nomic", "list")
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 500
    vectors = [item.embedding for item in answer.data]
    if encoding == "base64":
        vectors = [list(struct.unpack("<5f", base64.b64decode(vector))) for vector in vectors]
    assert vectors == [pytest.approx(vector_of(text), rel=1e-6) for text in texts]


def test_the_official_sdk_raises_its_own_errors(sdk: openai.OpenAI, upstream: Upstream) -> None:
    with pytest.raises(openai.NotFoundError, match="There is no such model"):
        sdk.embeddings.create(model="no-such-model", input="a")
    with pytest.raises(openai.BadRequestError, match="Send the texts") as refused:
        sdk.embeddings.create(model="embed", input=[1, 2, 3])
    assert refused.value.param == "input"
    with pytest.raises(openai.BadRequestError, match="makes no embeddings"):
        sdk.embeddings.create(model="default", input="a")
    upstream.reply(json_reply(400, {"error": {"message": "the input is too long"}}))
    with pytest.raises(openai.BadRequestError, match="too long"):
        sdk.embeddings.create(model="embed", input="a")
    upstream.reply(json_reply(429, {"error": {"message": "slow"}}, {"retry-after": "30"}))
    with pytest.raises(openai.RateLimitError) as limited:
        sdk.embeddings.create(model="embed", input="a")
    assert limited.value.response.headers["retry-after"] == "30"


def test_a_model_may_be_named_with_its_provider(sdk: openai.OpenAI, upstream: Upstream) -> None:
    assert sdk.embeddings.create(model="ollama/other", input="a").model == "other"
    assert upstream.requests[-1].json["model"] == "other"


def test_what_a_text_is_for_reaches_voyage(sdk: openai.OpenAI, upstream: Upstream) -> None:
    sdk.embeddings.create(model="voyage", input="a", dimensions=5, extra_body={"input_type": "query"})
    [sent] = upstream.requests
    assert (sent.json["input_type"], sent.json["output_dimension"], sent.key) == ("query", 5, "voyage-key")


def test_what_is_used_stands_in_the_books(client: TestClient) -> None:
    client.post("/v1/embeddings", json={"model": "embed", "input": "two words"})
    [purpose] = client.get("/api/ai/usage").json()["byPurpose"]
    assert (purpose["purpose"], purpose["inputTokens"], purpose["calls"]) == ("embedding", 2, 1)


def test_an_error_has_the_shape_that_openais_clients_read(client: TestClient) -> None:
    answer = client.post("/v1/embeddings", json={"model": "embed", "input": [[1]]})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == "input"
    assert {"message", "code"} <= set(error)
