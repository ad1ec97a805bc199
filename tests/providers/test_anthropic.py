from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.core.model import Media, ModelMessage, ModelRequest, Preset, Reasoning, Text, ToolCall, ToolResult
from app.providers.anthropic import DEFAULT_MAX_TOKENS, message_body
from app.providers.system_prompt import JSON_INSTRUCTION
from app.providers.unmapped import Unmapped
from tests.providers.asking import KEY, ask, opened, request
from tests.upstream import Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(key=KEY) as server:
        yield server


def body(asked: ModelRequest) -> dict[str, Any]:
    return message_body(asked, Unmapped())


def history(*messages: ModelMessage) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = body(ModelRequest("m", messages))["messages"]
    return sent


@pytest.mark.anyio
@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_the_request_as_it_is_sent(upstream: Upstream, suffix: str) -> None:
    preset = Preset("mine", "anthropic", base_url=upstream.url + suffix, headers={"anthropic-beta": "a-2026,b-2026"})
    asked = request("Hi", Media("image/png", "iVBOR"), system="Be kind.", temperature=0.5, top_p=0.9, stop=("END",))
    async with opened({"ANTHROPIC_API_KEY": KEY}) as registry:
        got = await ask(registry.open(preset), asked)
    assert got.error is None
    (sent,) = upstream.requests
    assert sent.path == "/v1/messages"
    assert sent.headers["anthropic-beta"] == "a-2026,b-2026"
    assert "anthropic-version" in sent.headers
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}}
    assert sent.json == {
        "model": "tiny",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, image]}],
        "system": "Be kind.",
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "stream": True,
    }


@pytest.mark.anyio
async def test_a_server_of_ones_own_is_asked_without_a_key() -> None:
    with Upstream() as server:
        async with opened({}) as registry:
            got = await ask(registry.open(Preset("mine", "anthropic", base_url=server.url)))
        assert got.text == "Hello from upstream."


def test_an_effort_lets_the_model_decide_how_long_to_think() -> None:
    sent = body(request(thinking="high", temperature=0.5))
    assert sent["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert sent["output_config"] == {"effort": "high"}
    assert sent["max_tokens"] > DEFAULT_MAX_TOKENS


@pytest.mark.parametrize(
    ("thinking", "max_tokens", "budget", "limit"),
    [(2000, None, 2000, 10192), (5, None, 1024, 9216), (2000, 1000, 2000, 3000), (2000, 4000, 2000, 4000)],
)
def test_a_budget_leaves_room_for_the_answer(thinking: int, max_tokens: int | None, budget: int, limit: int) -> None:
    sent = body(request(thinking=thinking, max_tokens=max_tokens))
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert sent["max_tokens"] == limit


@pytest.mark.parametrize("thinking", ["off", 0])
def test_thinking_can_be_off(thinking: Any) -> None:
    sent = body(request(thinking=thinking, temperature=0.5))
    assert sent["thinking"] == {"type": "disabled"}
    assert sent["extra_body"] == {"temperature": 0.5}
    assert "output_config" not in sent


def test_what_thinking_excludes_is_left_out_and_counted() -> None:
    unmapped = Unmapped()
    assert "extra_body" not in message_body(request(thinking=2000, temperature=0.5, top_p=0.9), unmapped)
    assert unmapped.counts == {"anthropic: temperature while thinking": 1, "anthropic: top_p while thinking": 1}


def test_json_is_asked_for_in_the_system_prompt() -> None:
    assert body(request(response_format="json"))["system"] == JSON_INSTRUCTION
    assert body(request(response_format="json", system="Be kind."))["system"] == f"Be kind.\n\n{JSON_INSTRUCTION}"


def test_an_empty_system_prompt_is_not_sent() -> None:
    assert "system" not in body(request(system="  \n"))


def test_tool_results_are_the_users_and_come_before_what_the_user_says() -> None:
    sent = history(
        ModelMessage("user", (Text("Weather?"),)),
        ModelMessage("assistant", (Text("Let me look."), ToolCall("functions.weather:0", "weather", {"city": "Oslo"}))),
        ModelMessage("tool", (ToolResult("functions.weather:0", "weather", {"degrees": 7}),)),
        ModelMessage("user", (Text("And?"),)),
    )
    assert sent == [
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "functions_weather_0", "name": "weather", "input": {"city": "Oslo"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "functions_weather_0", "content": '{"degrees": 7}'},
                {"type": "text", "text": "And?"},
            ],
        },
    ]


def test_a_failed_call_says_so() -> None:
    result = ModelMessage("tool", (ToolResult("t", "weather", "No such city.", is_error=True),))
    (message,) = history(result)
    assert message["content"] == [
        {"type": "tool_result", "tool_use_id": "t", "content": "No such city.", "is_error": True}
    ]


def test_an_input_that_is_no_object_is_sent_as_an_empty_one() -> None:
    (message,) = history(ModelMessage("assistant", (ToolCall("t", "weather", '{"city": "Os'),)))
    assert message["content"][0]["input"] == {}


def test_signed_thinking_goes_back_word_for_word_and_other_thinking_stays_here() -> None:
    unmapped = Unmapped()
    content = (
        Reasoning("Two plus two.", {"anthropic": {"signature": "c2ln"}}),
        Reasoning("", {"anthropic": {"redactedData": "ZW5j"}}),
        Reasoning("", {"anthropic": {"signature": "b21pdA=="}}),
        Reasoning("Somebody else's.", {"openai": {"itemId": "rs_1"}}),
        Reasoning("Nobody's."),
        Text("Four."),
    )
    sent = message_body(ModelRequest("m", (ModelMessage("assistant", content),)), unmapped)["messages"]
    assert sent[0]["content"] == [
        {"type": "thinking", "thinking": "Two plus two.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZW5j"},
        {"type": "thinking", "thinking": "", "signature": "b21pdA=="},
        {"type": "text", "text": "Four."},
    ]
    assert unmapped.counts == {"anthropic: unsigned thinking in the history": 2}


def test_empty_text_and_empty_messages_are_never_sent() -> None:
    sent = history(
        ModelMessage("user", (Text("a"),)),
        ModelMessage("assistant", (Text(" \n"),)),
        ModelMessage("user", (Text(""), Text("b"))),
    )
    assert sent == [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
