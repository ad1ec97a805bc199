from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing

import pytest

from app.core.model import ModelMessage, ModelRequest, Preset, Reasoning, Text, ToolCall, ToolResult
from app.core.services import LocalServer
from app.core.tools import ToolSpec
from app.providers.checkup import check
from app.providers.discover import find_local_server
from tests.llama import MODEL, llama_server
from tests.providers.asking import ask, opened, request

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    with llama_server() as base_url:
        yield base_url


@pytest.mark.parametrize("provider", ["llamacpp", "anthropic"])
async def test_real_tokens_stream_with_usage_and_an_end(llama: str, provider: str) -> None:
    async with opened() as registry:
        answers = registry.open(Preset("real", provider, base_url=llama))
        got = await ask(answers, request("Hello there", system="Be brief.", max_tokens=12))
    assert got.error is None
    assert got.text.strip()
    assert got.finish is not None
    assert got.finish.reason in ("stop", "length")
    assert got.finish.usage.input_tokens > 10
    assert 1 <= got.finish.usage.output_tokens <= 12


async def test_a_real_server_takes_tools_their_history_and_a_word_about_thinking(llama: str) -> None:
    weather = ToolSpec("weather", "How it is outside.", {"type": "object", "properties": {"city": {"type": "string"}}})
    history = (
        ModelMessage("user", (Text("Weather?"),)),
        ModelMessage(
            "assistant",
            (
                Reasoning("Ask.", {"llamacpp": {"field": "reasoning_content"}}),
                ToolCall("c1", "weather", {"city": "Oslo"}),
            ),
        ),
        ModelMessage("tool", (ToolResult("c1", "weather", {"degrees": 7}),)),
    )
    async with opened() as registry:
        answers = registry.open(Preset("real", "llamacpp", base_url=llama))
        asked = ModelRequest("any", history, tools=(weather,), thinking="off", max_tokens=12)
        got = await ask(answers, asked)
    assert got.error is None
    assert got.finish is not None
    assert got.finish.reason in ("stop", "length", "tool-calls")
    assert got.finish.usage.input_tokens > 10


@pytest.mark.parametrize("provider", ["llamacpp", "anthropic"])
async def test_a_turn_that_is_left_early_disturbs_no_other(llama: str, provider: str) -> None:
    async with opened() as registry:
        answers = registry.open(Preset("real", provider, base_url=llama))
        for _ in range(6):  # more than the server has slots
            async with aclosing(answers.stream(request("Tell me a long story", max_tokens=1500))) as batches:
                await anext(batches)
        got = await ask(answers, request("Hello there", max_tokens=3))
    assert (got.error, bool(got.text)) == (None, True)


async def test_a_request_that_a_real_server_refuses_is_told_as_refused(llama: str) -> None:
    async with opened() as registry:
        got = await ask(registry.open(Preset("real", "llamacpp", base_url=llama)), request("word " * 5000))
    assert got.error is not None
    assert got.error.code == "context_overflow"
    assert "context" in got.error.message


async def test_a_real_server_is_found_at_start(llama: str) -> None:
    nowhere = "http://127.0.0.1:9/v1"
    found = await find_local_server(base_urls={"ollama": nowhere, "lmstudio": nowhere, "llamacpp": llama})
    assert found == LocalServer("llamacpp", llama, MODEL)


async def test_the_doctor_finds_a_real_server_well(llama: str) -> None:
    result = await check(Preset("real", "llamacpp", base_url=llama), {})
    assert result.ok
    assert "lists 1 model." in result.sentence
