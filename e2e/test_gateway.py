"""The gateway and the published TypeScript clients: the SDKs of OpenAI and Anthropic, and the AI SDK's providers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.said import Said, calling
from tests.acceptance.services import SERVICES
from tests.embeddings import embeddings_answer, vector_of
from tests.server_process import ROOT, ServerProcess, server_process
from tests.upstream import Reply, Request, Upstream, json_reply

CLIENTS = ROOT / "e2e/gateway"
SDKS = ("openai", "openai-responses", "anthropic", "ai-sdk-openai-compatible", "ai-sdk-anthropic")
WIRES = {"anthropic": "/messages", "openai": "/responses", "openai-chat": "/completions", "google": ""}
"""By the name of their preset, where each is asked; the first that fits."""

RAIN = {"city": "Tromsø"}
ANSWER = {"city": "Tromsø", "mm": 7.5}

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TEXTS = ("The cat sleeps.", "Bread and baking", "A car in the rain")
"""What `clients.js` sends."""

CONFIGURATION = """
[presets.default]
provider = "echo"

[presets.embed]
provider = "ollama"
base_url = "{url}"
model = "nomic"
"""

Ask = Callable[..., list[Any]]


def model_service(request: Request) -> Reply:
    """Calls a tool where there is one, and answers in JSON where it shall."""
    if request.path.endswith("/embeddings"):
        return json_reply(200, embeddings_answer(request.json))
    if request.path.endswith("/count_tokens"):
        return json_reply(200, {"input_tokens": 14})
    name = next(name for name, path in WIRES.items() if path in request.path)
    service, body = SERVICES[name], request.json
    if name != "anthropic":  # Anthropic's own programs are passed on as they are
        service.check(body)
    last = json.dumps((body.get("messages") or body.get("input") or body["contents"])[-1])
    if any(word in last for word in ("tool_result", "function_call_output", "functionResponse", '"tool"')):
        return Reply(service.dialect.frames(Said("It rains.", number=2)))
    if "rain" in json.dumps(body.get("tools", "")):
        return Reply(service.dialect.frames(calling(1, "rain", "rain", thought="Look.", text="Let me see.")))
    return Reply(service.dialect.frames(Said(json.dumps(ANSWER))))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(otherwise=model_service) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    presets = [CONFIGURATION.format(url=upstream.base_url), *(SERVICES[name].preset(upstream) for name in WIRES)]
    folder = tmp_path_factory.mktemp("gateway")
    with server_process(folder, config="".join(presets), environment={"TEST_KEY": "not-a-key"}) as running:
        yield running


@pytest.fixture
def ask(gateway: ServerProcess) -> Ask:
    """What comes of scenarios of `clients.js`, each with a model, in one run of Node."""
    assert (CLIENTS / "node_modules").exists(), "The clients are not installed. `make test` does it."

    def run(sdk: str, *scenarios: tuple[str, str]) -> list[Any]:
        command = ["node", str(CLIENTS / "clients.js"), gateway.url, sdk, *map(json.dumps, scenarios)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


@pytest.mark.parametrize("sdk", SDKS)
def test_a_text_comes_whole_and_as_a_stream(ask: Ask, sdk: str) -> None:
    whole, streamed = ask(sdk, ("text", "default"), ("stream", "default"))
    assert whole == {"result": "Hello there"}
    assert "".join(streamed["result"]["text"]).startswith("That was my thinking")
    assert "".join(streamed["result"]["reasoning"]).startswith("The user would like to see me think.")
    assert len(streamed["result"]["text"]) > 5


@pytest.mark.parametrize("sdk", SDKS)
def test_tools_run_over_two_turns_with_every_service(ask: Ask, sdk: str) -> None:
    found = ask(sdk, *(("tools", name) for name in WIRES))
    assert found == [{"result": {"calls": [RAIN, RAIN], "text": "It rains."}}] * len(WIRES)


@pytest.mark.parametrize("sdk", SDKS)
def test_an_answer_fits_its_schema_with_every_service(ask: Ask, sdk: str) -> None:
    assert ask(sdk, *(("json", name) for name in WIRES)) == [{"result": ANSWER}] * len(WIRES)


@pytest.mark.parametrize("sdk", SDKS)
def test_an_image_reaches_every_service(ask: Ask, upstream: Upstream, sdk: str) -> None:
    asked = len(upstream.requests)
    answers = ask(sdk, *(("image", name) for name in WIRES))
    assert [json.loads(answer["result"]) for answer in answers] == [ANSWER] * len(WIRES)
    bodies = [request.body.decode() for request in upstream.requests[asked:]]
    assert [body.count(PIXEL) for body in bodies] == [1] * len(WIRES)


@pytest.mark.parametrize("sdk", SDKS)
def test_what_fails_for_a_while_is_tried_again_by_the_sdk(ask: Ask, upstream: Upstream, sdk: str) -> None:
    """The server's own three tries are over before the SDK hears of it."""
    overloaded = json_reply(503, {"error": {"message": "Overloaded"}}, {"retry-after": "0"})
    asked = len(upstream.requests)
    upstream.reply(*[overloaded] * 3)
    (answer,) = ask(sdk, ("retry", "openai-chat"))
    assert json.loads(answer["result"]) == ANSWER
    assert len(upstream.requests) - asked == 4


@pytest.mark.parametrize("sdk", ["openai", "ai-sdk-openai-compatible"])
def test_embeddings_come_in_the_order_of_their_texts(ask: Ask, sdk: str) -> None:
    (answer,) = ask(sdk, ("embeddings", "embed"))
    assert answer["result"] == [pytest.approx(vector_of(text)) for text in TEXTS]


def test_tokens_are_counted_by_the_service_or_estimated(ask: Ask) -> None:
    counted, estimated = ask("anthropic", ("count", "anthropic"), ("count", "default"))
    assert counted == {"result": 14}
    assert 5 < estimated["result"] < 40


@pytest.mark.parametrize("sdk", SDKS)
def test_a_failure_is_an_error_of_the_sdk(ask: Ask, sdk: str) -> None:
    before, midway = ask(sdk, ("error", "default"), ("midway", "default"))
    assert before["error"]["status"] == 503
    assert "Echo was asked to fail before its first word" in before["error"]["message"]
    assert "in the middle of its answer" in midway["error"]["message"]


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_the_models_are_the_presets(ask: Ask, sdk: str) -> None:
    (listed,) = ask(sdk, ("models", ""))
    assert {"default", *WIRES} <= set(listed["result"])
