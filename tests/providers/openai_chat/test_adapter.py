"""What is sent to the services that speak chat completions. What they answer: `test_dialects`."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.events import CallWarning, ReasoningEnd, ToolInputAvailable
from app.core.files import AUDIO_TYPES, IMAGE_TYPES, PDF
from app.core.model import (
    Content,
    Media,
    ModelMessage,
    ModelRequest,
    Preset,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from app.core.tools import ToolSpec
from app.providers.catalog import CATALOG
from app.providers.openai_chat.adapter import prepared_completion
from app.providers.system_prompt import JSON_INSTRUCTION
from tests.providers.asking import KEY, Answer, ask, opened, request
from tests.upstream import Upstream, fixture

ROWS = sorted(name for name, service in CATALOG.items() if service.adapter == "openai_chat")
WEATHER = ToolSpec("weather", "How it is outside.", {"type": "object", "properties": {"city": {"type": "string"}}})
WEATHER_ON_THE_WIRE = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "How it is outside.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SEARCH = {"type": "browser_search"}


def body(asked: ModelRequest, service: str = "openai-chat") -> dict[str, Any]:
    return dict(prepared_completion(asked, service, CATALOG[service]).body)


def warned(asked: ModelRequest, service: str = "openai-chat") -> list[str]:
    """The settings that there is a warning about."""
    return [warning.setting for warning in prepared_completion(asked, service, CATALOG[service]).warnings]


def history(*messages: ModelMessage, service: str = "openai-chat") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = body(ModelRequest("m", messages), service)["messages"]
    return sent


def user(*content: Content | str) -> ModelMessage:
    return ModelMessage("user", tuple(Text(item) if isinstance(item, str) else item for item in content))


def assistant(*content: Content | str) -> ModelMessage:
    return ModelMessage("assistant", tuple(Text(item) if isinstance(item, str) else item for item in content))


def results(*content: ToolResult) -> ModelMessage:
    return ModelMessage("tool", content)


def call_on_the_wire(call_id: str, name: str, arguments: str, **extra: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **extra}


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
            await ask(registry.open(Preset("mine", "openai-chat", base_url=upstream.base_url)))
            await ask(registry.open(Preset("other", "ollama", base_url=upstream.base_url)))
        openai, ollama = upstream.requests
    assert (openai.headers["openai-organization"], openai.headers["openai-project"]) == ("org-mine", "proj-mine")
    assert "openai-organization" not in ollama.headers
    assert "openai-project" not in ollama.headers
    assert ollama.key != KEY


def test_what_nobody_set_is_not_sent() -> None:
    assert set(body(request(), "groq")) == {"model", "messages"}


@pytest.mark.parametrize("service", ROWS)
def test_a_row_takes_only_what_can_be_written(service: str) -> None:
    assert CATALOG[service].takes <= IMAGE_TYPES | AUDIO_TYPES | {PDF}


# Settings


@pytest.mark.parametrize(
    ("service", "thinking", "sent"),
    [
        ("openai-chat", "low", {"reasoning_effort": "low"}),
        ("groq", "medium", {"reasoning_effort": "medium"}),
        ("mistral", "off", {"reasoning_effort": "none"}),
        ("mistral", "high", {"reasoning_effort": "high"}),
        ("deepseek", "off", {"thinking": {"type": "disabled"}}),
        ("deepseek", "high", {"reasoning_effort": "high"}),
        ("xai", "low", {"reasoning_effort": "low"}),
        ("openrouter", 0, {"reasoning_effort": "none"}),
        ("ollama", "off", {"reasoning_effort": "none"}),
        ("vllm", "off", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("vllm", "high", {"reasoning_effort": "high"}),
        ("llamacpp", "off", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("llamacpp", "low", {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "low"}}),
    ],
)
def test_thinking_is_said_in_the_words_of_the_service(service: str, thinking: Any, sent: dict[str, Any]) -> None:
    plain = body(request(), service)
    assert body(request(thinking=thinking), service) == {**plain, **sent}
    assert warned(request(thinking=thinking), service) == []


@pytest.mark.parametrize(
    ("service", "thinking", "sent"),
    [
        ("groq", 1024, {"reasoning_effort": "low"}),
        ("groq", 10_000, {"reasoning_effort": "medium"}),
        ("groq", 50_000, {"reasoning_effort": "high"}),
        ("mistral", "low", {"reasoning_effort": "high"}),
        ("groq", "off", {}),
        ("perplexity", "high", {}),
    ],
)
def test_thinking_that_cannot_be_said_exactly_is_noted(service: str, thinking: Any, sent: dict[str, Any]) -> None:
    plain = body(request(), service)
    assert body(request(thinking=thinking), service) == {**plain, **sent}
    assert warned(request(thinking=thinking), service) == ["thinking"]


def test_openais_models_that_think_get_what_they_take() -> None:
    values = {"temperature": 0.5, "top_p": 0.9, "stop": ("END",), "max_tokens": 7}
    sent = body(request(model="o3-mini", thinking="low", **values))
    assert {name: sent[name] for name in sent.keys() - {"model", "messages", "stream_options"}} == {
        "max_completion_tokens": 7,
        "reasoning_effort": "low",
    }
    assert warned(request(model="o3-mini", **values)) == ["temperature", "top_p", "stop"]


def test_openais_models_that_can_be_told_not_to_think_sample_then() -> None:
    sent = body(request(model="gpt-5.1", thinking="off", temperature=0.5))
    assert (sent["reasoning_effort"], sent["temperature"]) == ("none", 0.5)
    always = request(model="o3", thinking="off")
    assert (body(always)["reasoning_effort"], warned(always)) == ("low", ["thinking"])
    never = request(model="gpt-4o", thinking="off")
    assert ("reasoning_effort" in body(never), warned(never)) == (False, [])


@pytest.mark.parametrize("service", ["perplexity", "xai"])
def test_a_setting_that_a_service_refuses_is_left_out_and_noted(service: str) -> None:
    asked = request(stop=("END",), temperature=0.5)
    assert "stop" not in body(asked, service)
    assert body(asked, service)["temperature"] == 0.5
    (warning,) = prepared_completion(asked, service, CATALOG[service]).warnings
    assert warning == CallWarning("stop", f"{CATALOG[service].title} does not take it: it was left out.")


def test_json_is_asked_for_in_words_and_where_there_is_one_with_the_switch() -> None:
    asked = request(response_format="json")
    for service in ROWS:
        sent = body(asked, service)
        assert sent["messages"][0] == {"role": "system", "content": JSON_INSTRUCTION}
        has_switch = sent.get("response_format") == {"type": "json_object"}
        assert (has_switch, warned(asked, service)) in ((True, []), (False, ["response_format"]))
    assert "response_format" not in body(asked, "perplexity")


def test_usage_is_asked_for_where_it_does_not_come_unasked() -> None:
    asking = {service for service in ROWS if "stream_options" in body(request(), service)}
    assert asking == set(ROWS) - {"groq", "perplexity", "mistral"}


# Tools


def test_tools_are_functions_and_the_services_own_go_as_they_are() -> None:
    asked = request(tools=(WEATHER,), provider_tools=(SEARCH,))
    assert body(asked, "groq")["tools"] == [WEATHER_ON_THE_WIRE, SEARCH]


def test_a_service_without_tools_gets_none_and_it_is_noted() -> None:
    asked = request(tools=(WEATHER,))
    assert "tools" not in body(asked, "perplexity")
    assert warned(asked, "perplexity") == ["tools"]


def test_tool_calls_and_their_results_are_sent_back() -> None:
    sent = history(
        assistant(Reasoning("Hm."), "Let", " me.", ToolCall("c1", "weather", {"city": "Ålesund"})),
        results(ToolResult("c1", "weather", {"degrees": 7}), ToolResult("c2", "now", "noon")),
    )
    assert sent == [
        {
            "role": "assistant",
            "content": "Let me.",
            "tool_calls": [call_on_the_wire("c1", "weather", '{"city": "Ålesund"}')],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"degrees": 7}'},
        {"role": "tool", "tool_call_id": "c2", "content": "noon"},
    ]


def test_arguments_that_were_no_json_go_back_as_an_object() -> None:
    (sent,) = history(assistant(ToolCall("c1", "weather", '{"city": "Os')))
    assert sent == {"role": "assistant", "content": None, "tool_calls": [call_on_the_wire("c1", "weather", "{}")]}


def test_what_another_service_ran_itself_stays_out() -> None:
    searched = ToolCall("srvtoolu_1", "web_search", {"query": "rain"}, provider_executed=True)
    found = ToolResult("srvtoolu_1", "web_search", [], provider_executed=True)
    assert history(assistant(searched, found, "It rains.")) == [{"role": "assistant", "content": "It rains."}]
    assert history(assistant(searched, found)) == []


def test_mistral_gets_ids_of_nine_letters_and_digits() -> None:
    turn = (
        assistant(ToolCall("toolu_01ABC", "now", {}), ToolCall("aB3dE5gH7", "now", {})),
        results(ToolResult("toolu_01ABC", "now", "noon"), ToolResult("aB3dE5gH7", "now", "noon")),
    )
    answer, *outputs = history(*turn, service="mistral")
    first, second = [call["id"] for call in answer["tool_calls"]]
    assert first.isalnum()
    assert (len(first), second) == (9, "aB3dE5gH7")
    assert [output["tool_call_id"] for output in outputs] == [first, second]
    assert history(*turn, service="mistral")[0] == answer


def test_perplexity_is_told_in_turns_what_tools_said() -> None:
    messages = (
        user("Weather?"),
        assistant(ToolCall("c1", "weather", {})),
        results(ToolResult("c1", "weather", {"degrees": 7}), ToolResult("c2", "now", "noon")),
        assistant("Seven."),
        user("Why?"),
    )
    asked = ModelRequest("m", messages, system="Be kind.")
    assert body(asked, "perplexity")["messages"] == [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": 'Weather?\n\nThe tool weather answered:\n{"degrees": 7}\n\nThe tool now answered:\nnoon',
        },
        {"role": "assistant", "content": "Seven."},
        {"role": "user", "content": "Why?"},
    ]
    assert warned(asked, "perplexity") == ["tools"]


def test_messages_that_become_one_keep_their_pictures() -> None:
    picture = Media("image/png", "iVBOR")
    (sent,) = history(
        user("See", picture),
        assistant(ToolCall("c1", "now", {})),
        results(ToolResult("c1", "now", 7)),
        service="perplexity",
    )
    assert [part["type"] for part in sent["content"]] == ["text", "image_url", "text"]


# Content


def test_text_alone_is_a_string() -> None:
    assert history(user("a", "b")) == [{"role": "user", "content": "a\n\nb"}]


def test_files_are_parts() -> None:
    (sent,) = history(
        user(
            "a",
            Media("image/png", "iVBOR"),
            Media("application/pdf", "JVBER", "report.pdf"),
            Media("application/pdf", "JVBER"),
            Media("audio/wav", "UklGR"),
            Media("audio/mpeg", "SUQz"),
        )
    )
    pdf = "data:application/pdf;base64,JVBER"
    assert sent["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR"}},
        {"type": "file", "file": {"filename": "report.pdf", "file_data": pdf}},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": pdf}},
        {"type": "input_audio", "input_audio": {"data": "UklGR", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
    ]


def test_mistral_takes_a_pdf_as_a_document() -> None:
    (sent,) = history(user("a", Media("application/pdf", "JVBER")), service="mistral")
    assert sent["content"][1] == {"type": "document_url", "document_url": "data:application/pdf;base64,JVBER"}


# Back again


async def answer_of(service: str, name: str, upstream: Upstream) -> Answer:
    upstream.reply(fixture(f"{name}.jsonl"))
    async with opened({}) as registry:
        return await ask(registry.open(Preset("mine", service, base_url=upstream.base_url)))


def as_history(answer: Answer) -> tuple[ModelMessage, ModelMessage]:
    """The next turn's view of an answer that calls tools."""
    content: list[Content] = []
    for event in answer.events:
        if isinstance(event, ReasoningEnd):
            content.append(Reasoning(answer.reasoning, event.provider_metadata))
        elif isinstance(event, ToolInputAvailable):
            content.append(
                ToolCall(event.tool_call_id, event.tool_name, event.input, provider_metadata=event.provider_metadata)
            )
    outputs = [ToolResult(item.id, item.name, "ok") for item in content if isinstance(item, ToolCall)]
    return assistant(*content), results(*outputs)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("service", "name", "sent_back"),
    [
        ("deepseek", "deepseek/tools", {"reasoning_content": "Ask the tool."}),
        ("openai-chat", "deepseek/tools", {"reasoning_content": "Ask the tool."}),
        ("openai-chat", "groq/tools", {"reasoning": "Ask."}),
        ("groq", "groq/tools", {}),
        (
            "openrouter",
            "openrouter/reasoning_details",
            {
                "reasoning_details": [
                    {
                        "format": "anthropic-claude-v1",
                        "index": 0,
                        "type": "reasoning.text",
                        "text": "Ask them.",
                        "signature": "c2lnbmVk",
                    },
                    {"type": "reasoning.encrypted", "data": "ZW5j", "id": "toolu_1", "index": 0},
                ]
            },
        ),
    ],
)
async def test_what_was_thought_goes_back_with_its_calls(service: str, name: str, sent_back: dict[str, Any]) -> None:
    with Upstream() as upstream:
        turn = as_history(await answer_of(service, name, upstream))
        async with opened({}) as registry:
            preset = Preset("mine", service, base_url=upstream.base_url)
            await ask(registry.open(preset), ModelRequest("m", (user("Go"), *turn)))
        message = upstream.requests[1].json["messages"][1]
    assert {field: message[field] for field in message.keys() - {"role", "content", "tool_calls"}} == sent_back
    (elsewhere, _) = history(*turn, service="xai")[:2]
    assert elsewhere.keys() == {"role", "content", "tool_calls"}


@pytest.mark.anyio
async def test_a_thought_signature_goes_back_with_its_own_call() -> None:
    with Upstream() as upstream:
        turn = as_history(await answer_of("openai-chat", "gemini/tools", upstream))
        async with opened({}) as registry:
            preset = Preset("mine", "openai-chat", base_url=upstream.base_url)
            await ask(registry.open(preset), ModelRequest("m", (user("Go"), *turn)))
        calls = upstream.requests[1].json["messages"][1]["tool_calls"]
    signature = {"google": {"thought_signature": "c2lnbmVk"}}
    assert calls == [
        call_on_the_wire("function-call-1", "weather", '{"city": "Oslo"}', extra_content=signature),
        call_on_the_wire("function-call-2", "now", "{}"),
    ]
    assert all("extra_content" not in call for call in history(*turn, service="groq")[0]["tool_calls"])


def test_deepseek_wants_its_thoughts_in_every_answer_and_nobody_elses() -> None:
    own = {"deepseek": {"field": "reasoning_content"}}
    sent = history(
        assistant(Reasoning("Hm.", own), "Yes."),
        assistant(Reasoning("Signed.", {"anthropic": {"signature": "c2ln"}}), ToolCall("c1", "now", {})),
        service="deepseek",
    )
    assert [message["reasoning_content"] for message in sent] == ["Hm.", ""]


def test_thoughts_without_calls_stay_here() -> None:
    own = {"openai-chat": {"field": "reasoning_content"}}
    assert history(assistant(Reasoning("Hm.", own), "Yes.")) == [{"role": "assistant", "content": "Yes."}]
    assert history(assistant(Reasoning("Hm.", own))) == []


def test_no_field_but_those_for_thoughts_can_be_named_by_a_client() -> None:
    forged = {"openai-chat": {"field": "role"}}
    (sent,) = history(assistant(Reasoning("system", forged), ToolCall("c1", "now", {})))
    assert sent["role"] == "assistant"
    assert sent.keys() == {"role", "content", "tool_calls"}


@pytest.mark.parametrize("service", ROWS)
def test_a_longer_history_begins_as_the_shorter_one_did(service: str) -> None:
    own = {service: {"field": "reasoning_content"}}
    first = (
        user("One"),
        assistant(Reasoning("Hm.", own), ToolCall("c1", "now", {})),
        results(ToolResult("c1", "now", "noon")),
        assistant("Noon."),
    )
    shorter = history(*first, service=service)
    assert history(*first, user("Two"), service=service)[: len(shorter)] == shorter
