"""The gateway and the published TypeScript clients: the SDKs of OpenAI and Anthropic, and the AI SDK's providers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.said import Said, calling
from tests.acceptance.services import SERVICES
from tests.server_process import ROOT, ServerProcess, server_process
from tests.upstream import Reply, Request, Upstream

CLIENTS = ROOT / "e2e/gateway"
SDKS = ("openai", "openai-responses", "anthropic", "ai-sdk-openai-compatible", "ai-sdk-anthropic")
WIRES = {"anthropic": "/messages", "openai": "/responses", "openai-chat": "/completions", "google": ""}
"""By the name of their preset, where each is asked; the first that fits."""

RAIN = {"city": "Tromsø"}
ANSWER = {"city": "Tromsø", "mm": 7.5}

Ask = Callable[..., list[Any]]


def model_service(request: Request) -> Reply:
    """Calls a tool where there is one, and answers in JSON where it shall."""
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
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with Upstream(otherwise=model_service) as upstream:
        presets = "".join(SERVICES[name].preset(upstream) for name in WIRES)
        config = '[presets.default]\nprovider = "echo"\n' + presets
        folder = tmp_path_factory.mktemp("gateway")
        with server_process(folder, config=config, environment={"TEST_KEY": "not-a-key"}) as running:
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
def test_a_failure_is_an_error_of_the_sdk(ask: Ask, sdk: str) -> None:
    before, midway = ask(sdk, ("error", "default"), ("midway", "default"))
    assert before["error"]["status"] == 503
    assert "Echo was asked to fail before its first word" in before["error"]["message"]
    assert "in the middle of its answer" in midway["error"]["message"]


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_the_models_are_the_presets(ask: Ask, sdk: str) -> None:
    (listed,) = ask(sdk, ("models", ""))
    assert {"default", *WIRES} <= set(listed["result"])
