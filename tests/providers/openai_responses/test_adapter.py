from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.core.events import CallWarning
from app.core.model import Content, Media, ModelMessage, ModelRequest, Preset, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import ToolSpec
from app.providers.catalog import CATALOG
from app.providers.exchange import Prepared
from app.providers.openai_models import abilities
from app.providers.openai_responses.adapter import prepared_response
from app.providers.system_prompt import JSON_INSTRUCTION
from app.providers.unmapped import Unmapped
from tests.llama import llama_server
from tests.providers.asking import KEY, ask, opened, request
from tests.upstream import Upstream, fixture

WEATHER = ToolSpec("weather", "The weather in a city.", {"type": "object", "properties": {"city": {"type": "string"}}})
THINKER, CHAT = "gpt-6.1-terra", "gpt-4.1"
ENCRYPTED = "reasoning.encrypted_content"


def prepared(asked: ModelRequest, provider: str = "openai", unmapped: Unmapped | None = None) -> Prepared:
    return prepared_response(asked, provider, CATALOG[provider], unmapped or Unmapped())


def said(content: Content) -> ModelMessage:
    return ModelMessage("assistant", (content,))


def history(
    *messages: ModelMessage, provider: str = "openai", unmapped: Unmapped | None = None
) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = prepared(ModelRequest("m", messages), provider, unmapped).body["input"]
    return items


def answer(text: str, **more: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content, **more}


def hosted(call_id: str, name: str, item: Mapping[str, Any], output: Any = None) -> tuple[ToolCall, ToolResult]:
    """A call that OpenAI ran itself, as the history has it."""
    return (
        ToolCall(call_id, name, {}, provider_executed=True),
        ToolResult(call_id, name, output, provider_executed=True, provider_metadata={"openai": {"item": item}}),
    )


@pytest.mark.anyio
async def test_the_request_as_it_is_sent() -> None:
    with Upstream(key=KEY) as upstream:
        preset = Preset("mine", "openai", base_url=upstream.base_url, headers={"X-Title": "Palaver"})
        asked = request(
            "Hi", model=CHAT, system="Be kind.", temperature=0.5, top_p=0.9, max_tokens=70, tools=(WEATHER,)
        )
        async with opened({"OPENAI_API_KEY": KEY}) as registry:
            got = await ask(registry.open(preset), asked)
        assert (got.text, got.error) == ("Hello from upstream.", None)
        (sent,) = upstream.requests
    assert (sent.path, sent.headers["x-title"]) == ("/v1/responses", "Palaver")
    assert sent.json == {
        "model": "gpt-4.1",
        "input": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        ],
        "store": False,
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": "The weather in a city.",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
                "strict": False,
            }
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 70,
        "stream": True,
    }


@pytest.mark.anyio
async def test_openais_organisation_is_told_to_openai_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    with Upstream() as upstream:
        async with opened({"OPENAI_API_KEY": KEY}) as registry:
            await ask(registry.open(Preset("mine", "openai", base_url=upstream.base_url)))
            other = Preset("other", "openai-responses", base_url=upstream.base_url, api_key="sk-others")
            await ask(registry.open(other))
        openai, others = upstream.requests
    assert (openai.headers["openai-organization"], openai.headers["openai-project"]) == ("org-mine", "proj-mine")
    assert "openai-organization" not in others.headers
    assert "openai-project" not in others.headers


@pytest.mark.anyio
async def test_an_answer_with_thinking_and_a_call_goes_back_as_it_came() -> None:
    """Twice the same request but for its end: what is cached stays cached."""
    with Upstream() as upstream:
        upstream.reply(fixture("openai_responses/summaries.jsonl"))
        preset = Preset("mine", "openai", base_url=upstream.base_url)
        async with opened() as registry:
            first = await ask(registry.open(preset), request("Rain?", tools=(WEATHER,)))
            parts = first.parts
            thoughts = [Reasoning(part["text"], part["providerMetadata"]) for part in parts[:2]]
            call = ToolCall(parts[2]["toolCallId"], "weather", parts[2]["input"])
            messages = (
                *request("Rain?").messages,
                ModelMessage("assistant", (*thoughts, call)),
                ModelMessage("tool", (ToolResult("call_1", "weather", "rain"),)),
            )
            await ask(registry.open(preset), ModelRequest("tiny", messages, tools=(WEATHER,)))
        before, after = (sent.json for sent in upstream.requests)
    assert {**after, "input": after["input"][:1]} == before
    assert after["input"][1:] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [
                {"type": "summary_text", "text": "**Looking**"},
                {"type": "summary_text", "text": "**Finding**"},
            ],
            "encrypted_content": "d2hvbGU=",
        },
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Oslo"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
    ]


@pytest.mark.anyio
async def test_a_real_server_is_understood_and_takes_its_own_words_back() -> None:
    with llama_server() as base_url:
        preset = Preset("real", "openai-responses", base_url=base_url)
        async with opened() as registry:
            first = await ask(registry.open(preset), request("Hello there", system="Be brief.", max_tokens=20))
            messages = (
                *request("Hello there").messages,
                ModelMessage("assistant", (Text(first.text), ToolCall("call_1", "weather", {"city": "Oslo"}))),
                ModelMessage("tool", (ToolResult("call_1", "weather", "rain"),)),
            )
            second = await ask(registry.open(preset), ModelRequest("any", messages, max_tokens=20, tools=(WEATHER,)))
    for got in (first, second):
        assert got.error is None
        assert got.text.strip()
        assert got.finish is not None
        assert got.finish.reason in ("stop", "length")
        assert got.finish.usage.input_tokens > 1


def test_what_nobody_set_is_not_sent() -> None:
    assert prepared(request(model=CHAT)).body.keys() == {"model", "input", "store"}
    assert prepared(request(model=THINKER)).body["include"] == [ENCRYPTED]


def test_json_is_asked_for_in_the_words_and_in_the_format() -> None:
    body = prepared(request(response_format="json")).body
    assert body["text"] == {"format": {"type": "json_object"}}
    assert body["input"][0] == {"role": "system", "content": JSON_INSTRUCTION}


def test_the_services_own_tools_go_as_they_are_and_tell_what_came_of_them() -> None:
    own = ({"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}})
    body = prepared(request(model=CHAT, tools=(WEATHER,), provider_tools=own)).body
    assert body["tools"][1:] == list(own)
    assert body["include"] == ["code_interpreter_call.outputs"]


def test_images_and_pdfs_stand_among_the_words() -> None:
    (item,) = history(
        ModelMessage("user", (Text("a"), Media("image/png", "iVBOR"), Media("application/pdf", "JVBE", "a.pdf")))
    )
    assert item["content"] == [
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBOR", "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
    ]


@pytest.mark.parametrize(
    ("model", "thinking", "reasoning", "warned"),
    [
        (THINKER, None, None, False),
        (THINKER, "high", {"effort": "high", "summary": "auto"}, False),
        (THINKER, 1024, {"effort": "low", "summary": "auto"}, True),
        (THINKER, 10_000, {"effort": "medium", "summary": "auto"}, True),
        (THINKER, 50_000, {"effort": "high", "summary": "auto"}, True),
        (THINKER, "off", {"effort": "none"}, False),
        (THINKER, 0, {"effort": "none"}, False),
        ("gpt-5-mini", "off", {"effort": "minimal"}, True),
        ("o3", "off", {"effort": "low"}, True),
        ("gpt-6-astra", "off", {"effort": "low"}, True),
        (CHAT, "high", None, True),
        (CHAT, "off", None, False),
        ("grok-5", "low", {"effort": "low", "summary": "auto"}, False),
        ("grok-5", "off", None, True),
    ],
)
def test_thinking_is_an_effort(model: str, thinking: Any, reasoning: Any, *, warned: bool) -> None:
    got = prepared(request(model=model, thinking=thinking))
    assert got.body.get("reasoning") == reasoning
    assert [warning.setting for warning in got.warnings] == ["thinking"] * warned


@pytest.mark.parametrize(
    ("model", "thinking", "sent"),
    [
        (CHAT, None, True),
        ("grok-5", "high", True),
        (THINKER, None, False),
        (THINKER, "low", False),
        (THINKER, "off", True),
        ("gpt-5", "off", False),
    ],
)
def test_a_model_that_thinks_gets_no_temperature(model: str, thinking: Any, *, sent: bool) -> None:
    got = prepared(request(model=model, temperature=0.0, top_p=0.5, thinking=thinking))
    assert ("temperature" in got.body, "top_p" in got.body) == (sent, sent)
    left_out = {warning.setting for warning in got.warnings} & {"temperature", "top_p"}
    assert left_out == (set() if sent else {"temperature", "top_p"})


def test_limits_and_stops_that_the_service_does_not_know_are_told() -> None:
    got = prepared(request(model=CHAT, max_tokens=3, stop=("END",)))
    assert got.body["max_output_tokens"] == 16
    assert "stop" not in got.body
    assert got.warnings == (
        CallWarning("max_tokens", "The smallest limit is 16 tokens."),
        CallWarning("stop", "OpenAI takes no stop sequences."),
    )


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("gpt-4o-mini", False),
        ("chatgpt-4o-latest", False),
        ("gpt-5-chat-latest", False),
        ("ft:gpt-4.1:me", False),
        ("o4-mini", True),
        ("gpt-5.4-nano", True),
        ("openai/gpt-6-sol", True),
        ("gpt-oss-120b", None),
        ("omni", None),
    ],
)
def test_a_name_tells_whether_a_model_thinks(model: str, reasons: bool | None) -> None:
    assert abilities(model).reasons is reasons


def test_text_goes_back_with_its_phase() -> None:
    kept = {"openai": {"phase": "commentary"}}
    assert history(said(Text("a", kept)), said(Text(" \n")), said(Text("b", {"openai": {"phase": 1}}))) == [
        answer("a", phase="commentary"),
        answer("b"),
    ]


def test_thinking_that_was_told_in_full_goes_back_to_its_own_service_alone() -> None:
    kept = {"openai-responses": {"itemId": "rs_1", "reasoningText": True}}
    message = ModelMessage("assistant", (Reasoning("Hm.", kept), Text("Yes.")))
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    text = answer("Yes.")
    unmapped = Unmapped()
    assert history(message, provider="openai-responses") == [thought, text]
    assert history(message, unmapped=unmapped) == [text]
    assert unmapped.counts == {"openai_responses: thinking in the history": 1}


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"itemId": "rs_1"},
        {"itemId": 7, "reasoningEncryptedContent": "ZW5j"},
        {"itemId": "rs_1", "reasoningEncryptedContent": 7},
        {"reasoningEncryptedContent": "ZW5j"},
    ],
)
def test_thinking_that_the_service_could_not_open_stays_here(own: dict[str, Any]) -> None:
    unmapped = Unmapped()
    message = ModelMessage("assistant", (Reasoning("Hm.", {"openai": own}), Text("Yes.")))
    assert history(message, unmapped=unmapped) == [answer("Yes.")]
    assert unmapped.counts == {"openai_responses: thinking in the history": 1}


def test_thinking_is_sent_once_and_never_last() -> None:
    sealed = Reasoning("Hm.", {"openai": {"itemId": "rs_1", "reasoningEncryptedContent": "ZW5j"}})
    summary = [{"type": "summary_text", "text": "Hm."}]
    item = {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "ZW5j"}
    yes = answer("Yes.")
    assert history(
        ModelMessage("assistant", (sealed, Text("Yes."))), ModelMessage("assistant", (sealed, Text("Yes.")))
    ) == [
        item,
        yes,
        yes,
    ]
    assert history(ModelMessage("assistant", (Text("Yes."), sealed))) == [yes]


def test_calls_and_results_of_any_service_are_sent() -> None:
    content = (
        ToolCall("toolu_é 1", "weather", {"city": "Zürich"}, provider_metadata={"anthropic": {"caller": {}}}),
        ToolCall("x" * 80, "now", {}, provider_metadata={"openai": {"call": {"namespace": "clock"}}}),
    )
    results = (ToolResult("toolu_é 1", "weather", {"degrees": 7}), ToolResult("x" * 80, "now", "No.", is_error=True))
    first, second, *answers = history(ModelMessage("assistant", content), ModelMessage("tool", results))
    assert first == {
        "type": "function_call",
        "call_id": "toolu_é 1",
        "name": "weather",
        "arguments": '{"city":"Zürich"}',
    }
    assert len(second["call_id"]) == 64
    assert second["namespace"] == "clock"
    assert answers == [
        {"type": "function_call_output", "call_id": "toolu_é 1", "output": '{"degrees": 7}'},
        {"type": "function_call_output", "call_id": second["call_id"], "output": "No."},
    ]


def test_what_the_service_ran_itself_goes_back_item_by_item() -> None:
    search = {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "x"},
    }
    picture = {"id": "ig_1", "type": "image_generation_call", "status": "completed", "output_format": "png"}
    call = {"id": "sh_1", "type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}
    output = {"id": "sho_1", "type": "shell_call_output", "call_id": "c", "output": []}
    shell = ToolCall("c", "shell", {}, provider_executed=True, provider_metadata={"openai": {"item": call}})
    content = (
        *hosted("ws_1", "web_search", search),
        *hosted("ig_1", "image_generation", picture, {"result": "cGlj"}),
        shell,
        hosted("c", "shell", output)[1],
        Text("Done."),
    )
    sent = history(ModelMessage("assistant", content))
    assert sent == [search, {**picture, "result": "cGlj"}, call, output, answer("Done.")]
    assert json.dumps(sent[0]) == json.dumps(search)


def test_what_another_service_ran_or_failed_to_run_stays_here() -> None:
    unmapped = Unmapped()
    theirs = {"anthropic": {"block": {}}}
    content = (
        ToolCall("s", "web_search", {}, provider_executed=True, provider_metadata=theirs),
        ToolResult("s", "web_search", [], provider_executed=True, provider_metadata=theirs),
        ToolCall("m", "mcp.erase", {}, provider_executed=True),
        ToolResult("m", "mcp.erase", "No.", is_error=True, provider_executed=True),
        Text("Done."),
    )
    assert history(ModelMessage("assistant", content), unmapped=unmapped) == [answer("Done.")]
    assert unmapped.counts == {"openai_responses: a service's own call in the history": 2}


@pytest.mark.parametrize(
    ("item", "result", "output"),
    [
        ({"type": "custom_tool_call", "name": "note"}, ToolResult("c", "note", "ok"), {"output": "ok"}),
        ({"type": "local_shell_call"}, ToolResult("c", "local_shell", {"a": 1}), {"output": '{"a": 1}'}),
        (
            {"type": "apply_patch_call"},
            ToolResult("c", "apply_patch", "No.", is_error=True),
            {"status": "failed", "output": "No."},
        ),
        (
            {"type": "shell_call"},
            ToolResult("c", "shell", "a.txt"),
            {"output": [{"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
        ),
        (
            {"type": "shell_call"},
            ToolResult("c", "shell", "No.", is_error=True),
            {"output": [{"stdout": "", "stderr": "No.", "outcome": {"type": "exit", "exit_code": 1}}]},
        ),
    ],
)
def test_calls_of_its_own_tools_that_were_run_here_are_answered_in_their_words(
    item: dict[str, Any], result: ToolResult, output: dict[str, Any]
) -> None:
    item = {**item, "id": "i_1", "call_id": "c"}
    call = ToolCall("c", result.name, {}, provider_metadata={"openai": {"item": item}})
    sent = history(ModelMessage("assistant", (call,)), ModelMessage("tool", (result,)))
    assert sent == [item, {"type": f"{item['type']}_output", "call_id": "c", **output}]


def test_a_call_that_words_cannot_answer_is_left_out_with_its_result() -> None:
    item = {"id": "cu_1", "type": "computer_call", "call_id": "c", "action": {}}
    call = ToolCall("c", "computer", {}, provider_metadata={"openai": {"item": item}})
    assert history(ModelMessage("assistant", (call,)), ModelMessage("tool", (ToolResult("c", "computer", "ok"),))) == []
