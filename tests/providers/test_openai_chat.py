from __future__ import annotations

from typing import Any

import pytest

from app.core.model import Media, ModelMessage, ModelRequest, Preset, Reasoning, Text, ToolCall, ToolResult
from app.providers.catalog import CATALOG
from app.providers.openai_chat import completion_body
from app.providers.system_prompt import JSON_INSTRUCTION
from app.providers.unmapped import Unmapped
from tests.providers.asking import KEY, ask, opened, request
from tests.upstream import Upstream


def body(asked: ModelRequest, service: str = "openai-chat") -> dict[str, Any]:
    return completion_body(asked, CATALOG[service], Unmapped())


def history(*messages: ModelMessage) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = body(ModelRequest("m", messages))["messages"]
    return sent


@pytest.mark.anyio
async def test_the_request_as_it_is_sent() -> None:
    with Upstream(key=KEY) as upstream:
        preset = Preset("mine", "openai-chat", base_url=upstream.base_url, headers={"X-Title": "Palaver"})
        asked = request("Hi", system="Be kind.", temperature=0.5, top_p=0.9, max_tokens=7, stop=("END",))
        async with opened({"OPENAI_API_KEY": KEY}) as registry:
            got = await ask(registry.open(preset), asked)
        assert got.error is None
        (sent,) = upstream.requests
        assert sent.path == "/v1/chat/completions"
        assert sent.headers["x-title"] == "Palaver"
        assert sent.json == {
            "model": "tiny",
            "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 7,
            "stop": ["END"],
            "stream": True,
            "stream_options": {"include_usage": True},
        }


@pytest.mark.anyio
async def test_openais_organisation_is_told_to_openai_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    with Upstream() as upstream:
        async with opened({"OPENAI_API_KEY": KEY}) as registry:
            await ask(registry.open(Preset("mine", "openai", base_url=upstream.base_url)))
            await ask(registry.open(Preset("other", "ollama", base_url=upstream.base_url)))
        openai, ollama = upstream.requests
    assert (openai.headers["openai-organization"], openai.headers["openai-project"]) == ("org-mine", "proj-mine")
    assert "openai-organization" not in ollama.headers
    assert "openai-project" not in ollama.headers
    assert ollama.key != KEY


def test_services_differ_as_their_rows_say() -> None:
    asked = request(max_tokens=7, thinking="low", response_format="json")
    openai, groq, perplexity = (body(asked, name) for name in ("openai", "groq", "perplexity"))
    assert (openai["max_completion_tokens"], openai["reasoning_effort"]) == (7, "low")
    assert "max_tokens" not in openai
    assert openai["response_format"] == {"type": "json_object"}
    assert (groq["max_tokens"], "stream_options" in groq) == (7, False)
    assert "reasoning_effort" not in perplexity
    assert "response_format" not in perplexity
    for sent in (openai, groq, perplexity):
        assert sent["messages"][0] == {"role": "system", "content": JSON_INSTRUCTION}


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        ("low", "low"),
        ("high", "high"),
        (1024, "low"),
        (10_000, "medium"),
        (50_000, "high"),
        ("off", "none"),
        (0, "none"),
    ],
)
def test_thinking_is_an_effort(thinking: Any, effort: str) -> None:
    assert body(request(thinking=thinking), "openai")["reasoning_effort"] == effort


@pytest.mark.parametrize(("service", "thinking"), [("perplexity", "high"), ("groq", "off")])
def test_thinking_that_a_service_cannot_be_told_is_counted(service: str, thinking: Any) -> None:
    unmapped = Unmapped()
    assert "reasoning_effort" not in completion_body(request(thinking=thinking), CATALOG[service], unmapped)
    assert unmapped.counts == {f"openai_chat: thinking at {CATALOG[service].title}": 1}


def test_what_nobody_set_is_not_sent() -> None:
    assert set(body(request(), "groq")) == {"model", "messages"}


def test_text_is_a_string_and_text_with_an_image_a_list() -> None:
    texts, mixed = history(
        ModelMessage("user", (Text("a"), Text("b"))), ModelMessage("user", (Text("a"), Media("image/png", "iVBOR")))
    )
    assert texts["content"] == "a\n\nb"
    assert mixed["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR"}},
    ]


def test_tool_calls_and_their_results_are_sent_back() -> None:
    sent = history(
        ModelMessage(
            "assistant", (Reasoning("Hm."), Text("Let"), Text(" me."), ToolCall("c1", "weather", {"city": "Oslo"}))
        ),
        ModelMessage("tool", (ToolResult("c1", "weather", {"degrees": 7}), ToolResult("c2", "now", "noon"))),
    )
    function = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    assert sent == [
        {
            "role": "assistant",
            "content": "Let me.",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"degrees": 7}'},
        {"role": "tool", "tool_call_id": "c2", "content": "noon"},
    ]


def test_thinking_is_not_sent_back_and_counted() -> None:
    unmapped = Unmapped()
    messages = (
        ModelMessage("assistant", (Reasoning("Hm."), Text("Yes."))),
        ModelMessage("assistant", (Reasoning("Hm."),)),
    )
    sent = completion_body(ModelRequest("m", messages), CATALOG["openai-chat"], unmapped)["messages"]
    assert sent == [{"role": "assistant", "content": "Yes."}]
    assert unmapped.counts == {"openai_chat: thinking in the history": 2}
