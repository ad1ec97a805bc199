from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.core.events import CallWarning
from app.core.model import Media, ModelMessage, ModelRequest, Preset, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import ToolSpec
from app.providers.anthropic.adapter import prepared_message
from app.providers.anthropic.settings import DEFAULT_MAX_TOKENS
from app.providers.system_prompt import JSON_INSTRUCTION
from app.providers.unmapped import Unmapped
from tests.providers.asking import KEY, ask, opened, request
from tests.upstream import Upstream

WEATHER = ToolSpec("get_weather", "The weather in a city.", {"type": "object", "properties": {"city": {}}})
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
SEARCHED = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(key=KEY) as server:
        yield server


def body(asked: ModelRequest, unmapped: Unmapped | None = None) -> Any:
    return prepared_message(asked, unmapped or Unmapped()).body


def history(*messages: ModelMessage, unmapped: Unmapped | None = None) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = body(ModelRequest("m", messages, cache="off"), unmapped)["messages"]
    return sent


def server_call(call_id: str = "srvtoolu_1", service: str = "anthropic") -> ToolCall:
    kept = {service: {"block": {"type": "server_tool_use", "name": "web_search"}}}
    return ToolCall(call_id, "web_search", {"query": "x"}, provider_executed=True, provider_metadata=kept)


@pytest.mark.anyio
@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_the_request_as_it_is_sent(upstream: Upstream, suffix: str) -> None:
    preset = Preset("mine", "anthropic", base_url=upstream.url + suffix, headers={"Anthropic-Beta": "a-2026,b-2026"})
    asked = request(
        "Hi",
        Media("image/png", "iVBOR"),
        Media("application/pdf", "JVBER", "report.pdf"),
        Media("application/pdf", "JVBER"),
        system="Be kind.",
        temperature=0.5,
        top_p=0.9,
        stop=("END",),
        tools=(WEATHER,),
        provider_tools=(SEARCH,),
        cache="off",
    )
    async with opened({"ANTHROPIC_API_KEY": KEY}) as registry:
        got = await ask(registry.open(preset), asked)
    assert got.error is None
    (sent,) = upstream.requests
    assert sent.path == "/v1/messages"
    assert sent.headers["anthropic-beta"] == "a-2026,b-2026"
    assert "anthropic-version" in sent.headers
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBER"}
    content = [
        {"type": "text", "text": "Hi"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}},
        {"type": "document", "source": pdf, "title": "report.pdf"},
        {"type": "document", "source": pdf},
    ]
    assert sent.json == {
        "model": "tiny",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "tools": [
            {"name": "get_weather", "description": WEATHER.description, "input_schema": WEATHER.input_schema},
            SEARCH,
        ],
        "system": [{"type": "text", "text": "Be kind."}],
        "messages": [{"role": "user", "content": content}],
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "stream": True,
    }


@pytest.mark.anyio
async def test_what_a_model_cannot_take_is_told_and_a_header_of_ours_joins_the_presets(upstream: Upstream) -> None:
    preset = Preset("mine", "anthropic", base_url=upstream.url, headers={"anthropic-beta": "a-2026"})
    asked = request(model="claude-sonnet-5-5", thinking="high", temperature=0.5, cache="off")
    async with opened({"ANTHROPIC_API_KEY": KEY}) as registry:
        got = await ask(registry.open(preset), asked)
    assert got.events[0] == CallWarning("temperature", "claude-sonnet-5-5 does not take temperature.")
    (sent,) = upstream.requests
    assert sent.headers["anthropic-beta"] == "a-2026,thinking-binding-controls-2026-08-01"
    assert sent.json == {
        "model": "claude-sonnet-5-5",
        "max_tokens": DEFAULT_MAX_TOKENS + 32768,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "thinking": {
            "type": "adaptive",
            "display": "summarized",
            "block_binding": {"prefix_mismatch_behavior": "drop_block"},
        },
        "output_config": {"effort": "high"},
        "stream": True,
    }


@pytest.mark.anyio
async def test_a_server_of_ones_own_is_asked_without_a_key() -> None:
    with Upstream() as server:
        async with opened({}) as registry:
            got = await ask(registry.open(Preset("mine", "anthropic", base_url=server.url)))
        assert got.text == "Hello from upstream."


def test_json_is_asked_for_in_the_system_prompt() -> None:
    (system,) = body(request(response_format="json", system="Be kind."))["system"]
    assert system["text"] == f"Be kind.\n\n{JSON_INSTRUCTION}"


def test_nothing_empty_is_sent() -> None:
    sent = body(request(system="  \n"))
    assert not {"system", "tools", "stop_sequences", "extra_headers", "extra_body"} & sent.keys()


def test_tool_results_are_the_users_and_come_before_what_the_user_says() -> None:
    sent = history(
        ModelMessage("user", (Text("Weather?"),)),
        ModelMessage("assistant", (Text("Let me look."), ToolCall("functions.weather:0", "weather", {"city": "Oslo"}))),
        ModelMessage("tool", (ToolResult("functions.weather:0", "weather", {"grad": "7 °C"}),)),
        ModelMessage("user", (Text("And?"),)),
    )
    assert sent == [
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "name": "weather", "id": "functions_weather_0", "input": {"city": "Oslo"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "functions_weather_0", "content": '{"grad": "7 °C"}'},
                {"type": "text", "text": "And?"},
            ],
        },
    ]


@pytest.mark.parametrize(("output", "said"), [("No such city.", "No such city."), ("", "The call failed.")])
def test_a_failed_call_says_so(output: str, said: str) -> None:
    (message,) = history(ModelMessage("tool", (ToolResult("t", "weather", output, is_error=True),)))
    assert message["content"] == [{"type": "tool_result", "tool_use_id": "t", "content": said, "is_error": True}]


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
    (sent,) = history(ModelMessage("assistant", content), unmapped=unmapped)
    assert sent["content"] == [
        {"type": "thinking", "thinking": "Two plus two.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZW5j"},
        {"type": "thinking", "thinking": "", "signature": "b21pdA=="},
        {"type": "text", "text": "Four."},
    ]
    assert unmapped.counts == {"anthropic: unsigned thinking in the history": 2}


def test_what_another_service_ran_and_what_has_no_result_stays_here() -> None:
    unmapped = Unmapped()
    content = (
        server_call(service="openai"),
        ToolResult("srvtoolu_1", "web_search", [], provider_executed=True, provider_metadata={"openai": {"block": {}}}),
        server_call("srvtoolu_2"),
        ToolResult("srvtoolu_2", "web_search", "It was cancelled.", is_error=True, provider_executed=True),
        Text("Found.", {"openai": {"annotations": []}}),
    )
    (sent,) = history(ModelMessage("assistant", content), unmapped=unmapped)
    assert sent["content"] == [{"type": "text", "text": "Found."}]
    assert list(unmapped.counts.values()) == [4]


def test_what_the_service_ran_goes_back_as_it_came() -> None:
    kept = {"anthropic": {"block": SEARCHED}}
    result = ToolResult("srvtoolu_1", "web_search", [], provider_executed=True, provider_metadata=kept)
    (sent,) = history(ModelMessage("assistant", (server_call(), result, Text("Nothing."))))
    assert sent["content"] == [
        {"type": "server_tool_use", "name": "web_search", "id": "srvtoolu_1", "input": {"query": "x"}},
        SEARCHED,
        {"type": "text", "text": "Nothing."},
    ]


def test_media_that_the_service_does_not_take_is_counted() -> None:
    unmapped = Unmapped()
    (sent,) = history(ModelMessage("user", (Text("Listen."), Media("audio/wav", "UklG"))), unmapped=unmapped)
    assert sent["content"] == [{"type": "text", "text": "Listen."}]
    assert unmapped.counts == {"anthropic: audio/wav in the history": 1}


def test_empty_text_and_empty_messages_are_never_sent() -> None:
    sent = history(
        ModelMessage("user", (Text("a"),)),
        ModelMessage("assistant", (Text(" \n"),)),
        ModelMessage("user", (Text(""), Text("b"))),
    )
    assert sent == [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]


THOUGHT = Reasoning("Look.", {"anthropic": {"signature": "c2ln"}})
CALL = ToolCall("t", "get_weather", {})
RESULT = ModelMessage("tool", (ToolResult("t", "get_weather", "Rain."),))


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ((ModelMessage("assistant", (THOUGHT, CALL)), RESULT), "enabled"),
        ((ModelMessage("assistant", (CALL,)), RESULT), "disabled"),
        ((ModelMessage("assistant", (Reasoning("Not signed."), CALL)), RESULT), "disabled"),
        ((ModelMessage("assistant", (CALL,)), RESULT, ModelMessage("assistant", (THOUGHT, CALL)), RESULT), "disabled"),
        (
            (
                ModelMessage("assistant", (CALL,)),
                RESULT,
                ModelMessage("assistant", (Text("Rain."),)),
                ModelMessage("user", (Text("And?"),)),
            ),
            "enabled",
        ),
    ],
)
def test_a_loop_that_began_without_thinking_goes_on_without(messages: tuple[ModelMessage, ...], kind: str) -> None:
    asked = ModelRequest("claude-haiku-4-5", (ModelMessage("user", (Text("Weather?"),)), *messages), thinking=2000)
    assert body(asked)["thinking"]["type"] == kind


def test_the_same_request_is_the_same_bytes() -> None:
    asked = request("Hi", system="Be kind.", tools=(WEATHER,), provider_tools=(SEARCH,))
    assert json.dumps(body(asked)) == json.dumps(body(asked))
    assert "cache_control" not in SEARCH
