"""What programs ask for beside a prompt: whether tools are called, how many at once, and answers that fit a schema."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.core.model import JsonSchema, ModelRequest, NamedTool, ToolChoice
from app.core.tools import ToolSpec
from app.providers.anthropic.adapter import prepared_message
from app.providers.catalog import CATALOG
from app.providers.exchange import Prepared
from app.providers.google.adapter import prepared_generation
from app.providers.openai_chat.adapter import prepared_completion
from app.providers.openai_responses.adapter import prepared_response
from app.providers.unmapped import Unmapped
from tests.providers.asking import request
from tests.providers.services import SERVICES, body_for, check_body

RAIN = ToolSpec("rain", "How much it rains.", {"type": "object", "properties": {"city": {"type": "string"}}})
SCHEMA = {"type": "object", "properties": {"mm": {"type": "number", "minimum": 0}}, "required": ["mm"]}
RAINFALL = JsonSchema("rainfall", SCHEMA, "How much.", strict=True)
CLAUDE = "claude-haiku-4-5"


def prepared(service: str, asked: ModelRequest) -> Prepared:
    row = CATALOG[service]
    match row.adapter:
        case "anthropic":
            return prepared_message(asked, Unmapped())
        case "google":
            return prepared_generation(asked, Unmapped())
        case "openai_responses":
            return prepared_response(asked, service, row, Unmapped())
    return prepared_completion(asked, service, row)


def calling(choice: ToolChoice | None, *, parallel: bool | None = None, **more: Any) -> ModelRequest:
    return replace(request("Rain?", tools=(RAIN,), **more), tool_choice=choice, parallel_tools=parallel)


def answering(**more: Any) -> ModelRequest:
    return replace(request("Rain?", response_format="json", **more), json_schema=RAINFALL)


def warned(found: Prepared) -> list[str]:
    assert all(warning.details.endswith(".") for warning in found.warnings)
    return [warning.setting for warning in found.warnings]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("choice", ["auto", "none", "required", NamedTool("rain")])
def test_every_service_takes_every_choice(service: str, choice: ToolChoice) -> None:
    check_body(service, body_for(service, calling(choice, parallel=False)))
    check_body(service, body_for(service, answering()))


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        (NamedTool("rain"), {"type": "function", "function": {"name": "rain"}}),
    ],
)
def test_chat_completions_have_openais_words(choice: ToolChoice | None, said: Any) -> None:
    body = prepared("openai-chat", calling(choice, parallel=False)).body
    assert body.get("tool_choice") == said
    assert body["parallel_tool_calls"] is False
    assert "tool_choice" not in prepared("openai-chat", replace(calling(choice), tools=())).body


def test_responses_name_a_tool_flat() -> None:
    body = prepared("openai", calling(NamedTool("rain"), parallel=True)).body
    assert body["tool_choice"] == {"type": "function", "name": "rain"}
    assert body["parallel_tool_calls"] is True


@pytest.mark.parametrize(
    ("choice", "parallel", "said"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        (NamedTool("rain"), False, {"type": "tool", "name": "rain", "disable_parallel_tool_use": True}),
    ],
)
def test_anthropic_has_words_of_its_own(choice: ToolChoice | None, parallel: bool | None, said: Any) -> None:
    found = prepared("anthropic", calling(choice, parallel=parallel, model=CLAUDE))
    assert found.body.get("tool_choice") == said
    assert warned(found) == []


def test_a_claude_that_must_call_a_tool_does_not_think_meanwhile() -> None:
    found = prepared("anthropic", calling("required", model=CLAUDE, thinking="high"))
    assert found.body["thinking"] == {"type": "disabled"}
    assert warned(found) == ["thinking"]
    unasked = prepared("anthropic", calling("required", model="claude-sonnet-5"))
    assert unasked.body["thinking"] == {"type": "disabled"}
    assert warned(unasked) == []


def test_a_claude_that_always_thinks_cannot_be_made_to_call() -> None:
    found = prepared("anthropic", calling("required", model="claude-sonnet-5-5"))
    assert found.body["tool_choice"] == {"type": "auto"}
    assert warned(found) == ["tool_choice"]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (None, None),
        ("auto", None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (NamedTool("rain"), {"mode": "ANY", "allowedFunctionNames": ["rain"]}),
        (NamedTool("9lives"), None),
    ],
)
def test_gemini_has_modes(choice: ToolChoice | None, said: Any) -> None:
    found = prepared("google", calling(choice, model="gemini-3.8-flash"))
    assert found.body.get("toolConfig", {}).get("functionCallingConfig") == said
    one = prepared("google", calling(choice, parallel=False, model="gemini-3.8-flash"))
    assert warned(one) == ["parallel_tools"]


def test_a_choice_stands_beside_tools_of_googles_own() -> None:
    search = {"googleSearch": {}}
    asked = replace(calling("required", model="gemini-3.8-flash"), provider_tools=(search,))
    config = prepared("google", asked).body["toolConfig"]
    assert config == {"functionCallingConfig": {"mode": "ANY"}, "includeServerSideToolInvocations": True}


def test_a_schema_goes_to_whoever_takes_one() -> None:
    chat = prepared("openai-chat", answering()).body["response_format"]
    wanted = {"name": "rainfall", "description": "How much.", "strict": True, "schema": SCHEMA}
    assert chat == {"type": "json_schema", "json_schema": wanted}
    responses = prepared("openai", answering()).body["text"]["format"]
    assert responses == {"type": "json_schema", **wanted}
    google = prepared("google", answering(model="gemini-3.8-flash")).body["generationConfig"]
    assert google == {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}


def test_claude_gets_the_schema_as_it_takes_schemas() -> None:
    body = prepared("anthropic", answering(model=CLAUDE, thinking="off")).body
    sent = body["output_config"]["format"]
    assert sent["type"] == "json_schema"
    assert sent["schema"]["additionalProperties"] is False
    assert "minimum" not in sent["schema"]["properties"]["mm"]
    assert "minimum" not in body["system"][0]["text"]


def test_an_effort_and_a_schema_share_their_place() -> None:
    body = prepared("anthropic", answering(model="claude-sonnet-5-5", thinking="high")).body
    assert body["output_config"].keys() == {"effort", "format"}


@pytest.mark.parametrize(
    ("service", "model"),
    [("anthropic", "claude-opus-4"), ("anthropic", "tiny"), ("deepseek", "m"), ("google", "gemini-2.0-flash")],
)
def test_a_schema_that_a_model_cannot_take_is_told_in_words(service: str, model: str) -> None:
    found = prepared(service, answering(model=model))
    assert '"minimum"' in str(found.body)
    assert "schema" not in str(found.body.get("response_format", ""))
    assert "output_config" not in found.body
    assert warned(found) == ["response_format"]


def test_a_schema_that_claude_cannot_take_is_told_in_words() -> None:
    odd = replace(answering(model=CLAUDE), json_schema=JsonSchema("odd", {"properties": {"mm": 5}, "type": "object"}))
    found = prepared("anthropic", odd)
    assert "output_config" not in found.body
    assert '"mm"' in found.body["system"][0]["text"]
    assert warned(found) == ["response_format"]


@pytest.mark.parametrize("service", ["perplexity", "lmstudio"])
def test_services_without_a_json_mode_take_a_schema(service: str) -> None:
    found = prepared(service, answering())
    assert found.body["response_format"]["type"] == "json_schema"
    assert warned(found) == []
