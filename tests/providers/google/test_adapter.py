"""What is sent to Gemini, and what becomes of its answers on the way over a real connection."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import Any

import pytest

from app.core.errors import ProviderBroken, ProviderRateLimited, ProviderRejected, ProviderUnavailable
from app.core.events import CallWarning, TextDelta
from app.core.heal import ANSWER_ENDED
from app.core.model import Media, ModelMessage, ModelRequest, Preset, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import ToolSpec
from app.providers.google.adapter import model_path, prepared_generation
from app.providers.google.contents import SKIP_SIGNATURE
from app.providers.retry import Retry
from app.providers.system_prompt import JSON_INSTRUCTION
from app.providers.unmapped import Unmapped
from tests.providers.asking import Answer, Naps, ask, opened, request
from tests.providers.validators import check_gemini
from tests.upstream import Reply, Step, Upstream, byte_by_byte, json_reply, with_crlf

KEY = "AIzaSyTest0123456789-secret"
WEATHER = ToolSpec(
    "weather",
    "The weather in a city.",
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"city": {"type": ["string", "null"], "$ref": "#/$defs/city"}},
        "additionalProperties": False,
    },
)
SEARCH = {"googleSearch": {}}
OSLO = {"city": "Oslo"}


def signature(value: str) -> Mapping[str, Mapping[str, Any]]:
    return {"google": {"thoughtSignature": value}}


def prepared(asked: ModelRequest, unmapped: Unmapped | None = None) -> tuple[dict[str, Any], list[str]]:
    """The body, and the settings that were warned of."""
    got = prepared_generation(asked, unmapped or Unmapped())
    check_gemini(got.body)
    return dict(got.body), [warning.setting for warning in got.warnings]


def contents(*messages: ModelMessage, model: str = "gemini-3.8-flash") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = prepared(ModelRequest(model, (user("Hi"), *messages, user("And?"))))[0]["contents"]
    return sent[1:-1]


def user(text: str) -> ModelMessage:
    return ModelMessage("user", (Text(text),))


def assistant(*content: Any) -> ModelMessage:
    return ModelMessage("assistant", content)


def results(*content: Any) -> ModelMessage:
    return ModelMessage("tool", content)


# What is sent.


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


def frames(*chunks: Any) -> list[bytes]:
    return [b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n" for chunk in chunks]


def answer(*texts: str, finish: str | None = "STOP") -> list[bytes]:
    chunks = [{"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}]} for text in texts]
    end = {
        "candidates": [{"finishReason": finish}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2},
    }
    return frames(*chunks, *([end] if finish else []))


async def ask_google(
    upstream: Upstream, asked: ModelRequest | None = None, *, naps: Naps | None = None, **fields: Any
) -> Answer:
    preset = Preset(**{"name": "mine", "provider": "google", "base_url": f"{upstream.url}/v1beta", **fields})
    async with opened({"GEMINI_API_KEY": KEY}, retry=Retry(sleep=(naps or Naps()).sleep)) as registry:
        return await ask(registry.open(preset), asked)


@pytest.mark.anyio
async def test_the_request_as_it_is_sent(upstream: Upstream) -> None:
    upstream.reply(answer("Hello"))
    asked = request(
        "Hi",
        Media("image/png", "iVBO"),
        Media("audio/mpeg", "SUQz"),
        model="gemini-3.8-flash",
        system="Be kind.",
        temperature=0.5,
        top_p=0.9,
        max_tokens=100,
        stop=("END",),
        thinking="high",
        response_format="json",
        tools=(WEATHER,),
    )
    got = await ask_google(upstream, asked, headers={"X-Team": "blue"})
    assert (got.text, got.error) == ("Hello", None)
    (sent,) = upstream.requests
    assert sent.path == "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    assert (sent.headers["x-goog-api-key"], sent.headers["x-team"]) == (KEY, "blue")
    assert sent.json == {
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "weather",
                        "description": "The weather in a city.",
                        "parametersJsonSchema": {
                            "type": "object",
                            "properties": {"city": {"type": ["string", "null"], "$ref": "#/$defs/city"}},
                            "additionalProperties": False,
                        },
                    }
                ]
            }
        ],
        "systemInstruction": {"parts": [{"text": f"Be kind.\n\n{JSON_INSTRUCTION}"}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "Hi"},
                    {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
                    {"inlineData": {"mimeType": "audio/mp3", "data": "SUQz"}},
                ],
            }
        ],
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "maxOutputTokens": 100,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "thinkingConfig": {"thinkingLevel": "high", "includeThoughts": True},
        },
    }


def test_what_nobody_said_is_left_to_the_model() -> None:
    body, warnings = prepared(request())
    assert body == {"model": "tiny", "contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    assert not warnings


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3.8-flash", "models/gemini-3.8-flash"),
        ("models/gemini-3.8-flash", "models/gemini-3.8-flash"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
        ("fx:a;b=1", "models/fx:a;b=1"),
        ("../files/x?key=1#", "models/..%2Ffiles%2Fx%3Fkey=1%23"),
        ("models/../../x", "models/..%2F..%2Fx"),
        ("Ünï", "models/%C3%9Cn%C3%AF"),
    ],
)
def test_a_models_name_leads_nowhere_else(model: str, path: str) -> None:
    assert model_path(model) == path


@pytest.mark.parametrize(
    ("model", "thinking", "config", "warned"),
    [
        ("gemini-3.8-flash", "medium", {"thinkingLevel": "medium", "includeThoughts": True}, False),
        ("gemini-3.8-flash", 5000, {"thinkingLevel": "medium", "includeThoughts": True}, True),
        ("gemini-3.8-flash", 99_000, {"thinkingLevel": "high", "includeThoughts": True}, True),
        ("gemini-3.8-flash", "off", {"thinkingLevel": "low"}, True),
        ("gemini-flash-latest", "low", {"thinkingLevel": "low", "includeThoughts": True}, False),
        ("gemini-2.5-flash", "off", {"thinkingBudget": 0}, False),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 24576, "includeThoughts": True}, False),
        ("gemini-2.5-flash", 50_000, {"thinkingBudget": 24576, "includeThoughts": True}, True),
        ("gemini-2.5-flash-lite", 100, {"thinkingBudget": 512, "includeThoughts": True}, True),
        ("gemini-2.5-pro", 30_000, {"thinkingBudget": 30_000, "includeThoughts": True}, False),
        ("gemini-2.5-pro", 0, {"thinkingBudget": 128, "includeThoughts": False}, True),
        ("gemini-2.0-flash", "high", None, True),
        ("gemini-2.0-flash", "off", None, False),
    ],
)
def test_thinking_is_asked_for_in_the_models_own_words(model: str, thinking: Any, config: Any, warned: bool) -> None:
    body, warnings = prepared(request(model=model, thinking=thinking))
    assert body.get("generationConfig", {}).get("thinkingConfig") == config
    assert warnings == (["thinking"] if warned else [])


def test_more_stop_sequences_than_it_takes_are_left_out_with_a_word() -> None:
    body, warnings = prepared(request(stop=tuple("abcdefg")))
    assert (body["generationConfig"]["stopSequences"], warnings) == (list("abcde"), ["stop"])


def test_googles_own_tools_are_sent_as_they_are() -> None:
    body, warnings = prepared(request(provider_tools=(SEARCH, {"codeExecution": {}}), model="gemini-2.5-flash"))
    assert (body["tools"], warnings) == ([SEARCH, {"codeExecution": {}}], [])
    assert "toolConfig" not in body


def test_new_models_mix_googles_tools_with_ours_and_old_ones_get_ours() -> None:
    asked = {"tools": (WEATHER,), "provider_tools": (SEARCH,)}
    body, warnings = prepared(request(model="gemini-3.8-flash", **asked))
    assert [sorted(tool) for tool in body["tools"]] == [["googleSearch"], ["functionDeclarations"]]
    assert body["toolConfig"]["includeServerSideToolInvocations"] is True
    assert not warnings
    body, warnings = prepared(request(model="gemini-2.5-pro", **asked))
    assert [sorted(tool) for tool in body["tools"]] == [["functionDeclarations"]]
    assert ("toolConfig" in body, warnings) == (False, ["provider_tools"])


def test_old_models_have_no_json_mode_beside_tools() -> None:
    body, warnings = prepared(request(model="gemini-2.5-pro", response_format="json", tools=(WEATHER,)))
    assert ("generationConfig" in body, warnings) == (False, ["response_format"])
    body, warnings = prepared(request(model="gemini-2.5-pro", response_format="json"))
    assert (body["generationConfig"], warnings) == ({"responseMimeType": "application/json"}, [])


def test_a_tool_whose_name_gemini_refuses_is_left_out_with_a_word() -> None:
    body, warnings = prepared(request(tools=(WEATHER, ToolSpec("3d_view", "Shows it.", {"type": "object"}))))
    assert [declared["name"] for declared in body["tools"][0]["functionDeclarations"]] == ["weather"]
    assert warnings == ["tools"]


# What goes back.


def test_a_signature_goes_back_on_the_part_that_it_came_with() -> None:
    sent = contents(
        assistant(
            Reasoning("Hm.", signature("cmVh")),
            Text("", signature("YWxvbmU=")),
            Text("Let me look.", signature("dGV4dA==")),
            Text("Now.", {"google": {"thoughtSignature": "YmVoaW5k", "signedBehind": True}}),
            ToolCall("a", "weather", OSLO, provider_metadata=signature("Y2FsbA==")),
            ToolCall("b", "weather", {"city": "Bergen"}),
        ),
        results(ToolResult("a", "weather", {"degrees": 7}), ToolResult("b", "weather", "No.", is_error=True)),
        assistant(Text("Seven.")),
    )
    assert sent == [
        {
            "role": "model",
            "parts": [
                {"text": "Hm.", "thought": True, "thoughtSignature": "cmVh"},
                {"text": "", "thoughtSignature": "YWxvbmU="},
                {"text": "Let me look.", "thoughtSignature": "dGV4dA=="},
                {"text": "Now."},
                {"text": "", "thoughtSignature": "YmVoaW5k"},
                {"functionCall": {"id": "a", "name": "weather", "args": OSLO}, "thoughtSignature": "Y2FsbA=="},
                {"functionCall": {"id": "b", "name": "weather", "args": {"city": "Bergen"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "a", "name": "weather", "response": {"output": {"degrees": 7}}}},
                {"functionResponse": {"id": "b", "name": "weather", "response": {"error": "No."}}},
            ],
        },
        {"role": "model", "parts": [{"text": "Seven."}]},
    ]


@pytest.mark.parametrize(
    ("model", "signatures"),
    [("gemini-3.8-flash", [SKIP_SIGNATURE, None]), ("gemini-2.5-pro", [None, None])],
)
def test_calls_of_another_service_go_without_its_signature_check(model: str, signatures: list[Any]) -> None:
    foreign = {"anthropic": {"signature": "Zm9yZWlnbg=="}}
    sent = contents(
        assistant(
            Reasoning("Hm.", foreign), ToolCall("a", "weather", OSLO, False, foreign), ToolCall("b", "weather", OSLO)
        ),
        results(ToolResult("a", "weather", 1), ToolResult("b", "weather", 2)),
        assistant(Text("Done.", foreign)),
        model=model,
    )
    assert [part.get("thoughtSignature") for part in sent[0]["parts"]] == signatures
    assert "Zm9yZWlnbg" not in json.dumps(sent)


def test_what_google_ran_itself_goes_back_as_it_came() -> None:
    code = {"language": "PYTHON", "code": "print('ok')\n1/0"}
    came_to = [{"outcome": "OUTCOME_OK", "output": "ok\n"}, {"outcome": "OUTCOME_FAILED", "output": "Error"}]
    ran = {"part": "codeExecutionResult", "results": came_to}
    search = {"part": "toolCall", "toolType": "GOOGLE_SEARCH_WEB", "id": "s-1"}
    sent = contents(
        assistant(
            ToolCall("c", "code_execution", code, True, {"google": {"part": "executableCode"}}),
            ToolResult("c", "code_execution", {"outcome": "OUTCOME_FAILED"}, False, True, {"google": ran}),
            ToolCall("s-1", "server:GOOGLE_SEARCH_WEB", {"queries": ["q"]}, True, {"google": search}),
            ToolResult(
                "s-1", "server:GOOGLE_SEARCH_WEB", {}, False, True, {"google": {**search, "part": "toolResponse"}}
            ),
            Text("It failed."),
        )
    )
    assert sent[0]["parts"] == [
        {"executableCode": code},
        *({"codeExecutionResult": result} for result in came_to),
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s-1", "args": {"queries": ["q"]}}},
        {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s-1", "response": {}}},
        {"text": "It failed."},
    ]


def test_what_another_service_thought_and_ran_itself_stays_here() -> None:
    unmapped = Unmapped()
    ran = ToolCall("w", "web_search", {}, True, {"anthropic": {"type": "server_tool_use"}})
    said = assistant(
        Reasoning("Hm.", {"anthropic": {"signature": "c2ln"}}), ran, ToolResult("w", "web_search", [], False, True)
    )
    sent = prepared(ModelRequest("m", (user("Hi"), said, user("And?"))), unmapped)[0]["contents"]
    assert sent[1] == {"role": "model", "parts": [{"text": ANSWER_ENDED}]}
    assert unmapped.counts == {
        "google: unsigned thinking in the history": 1,
        "google: another service's own tool in the history": 2,
    }


def test_a_tool_that_gemini_could_not_be_offered_has_a_name_in_the_past() -> None:
    sent = contents(
        assistant(ToolCall("a", "3d_view", {})), results(ToolResult("a", "3d_view", 1)), assistant(Text("Done."))
    )
    assert sent[0]["parts"][0]["functionCall"]["name"] == sent[1]["parts"][0]["functionResponse"]["name"] == "_3d_view"


def test_arguments_and_outputs_take_a_form_that_gemini_takes() -> None:
    sent = contents(
        assistant(ToolCall("a", "weather", '{"city": "Os')),
        results(ToolResult("a", "weather", {"$ref": "#/x"})),
        assistant(Text("Done.")),
    )
    assert sent[0]["parts"][0]["functionCall"]["args"] == {}
    assert sent[1]["parts"][0]["functionResponse"]["response"] == {"output": '{"$ref": "#/x"}'}


# What comes over the wire.


@pytest.mark.anyio
@pytest.mark.parametrize("cut", [list, byte_by_byte, with_crlf], ids=["frames", "bytes", "crlf"])
async def test_how_the_network_cuts_an_answer_does_not_matter(upstream: Upstream, cut: Any) -> None:
    upstream.reply(cut([b": a comment\n\n", b"event: x\n", *answer("Hel", "lo 🎈\u2028!")]))
    got = await ask_google(upstream)
    assert (got.text, got.error) == ("Hello 🎈\u2028!", None)


@pytest.mark.anyio
@pytest.mark.parametrize("ends", [["cut"], ["reset"], []], ids=["cut", "reset", "ended"])
async def test_an_answer_without_its_end_mark_is_an_error(upstream: Upstream, ends: list[Step]) -> None:
    upstream.reply([*answer("Hel", finish=None), *ends])
    got = await ask_google(upstream)
    assert (got.text, got.finish) == ("Hel", None)
    assert isinstance(got.error, ProviderBroken)


@pytest.mark.anyio
async def test_closing_the_stream_closes_the_connection(upstream: Upstream) -> None:
    upstream.reply([*answer("Hel", finish=None), "hold"])
    async with opened({"GEMINI_API_KEY": KEY}) as registry:
        provider = registry.open(Preset("mine", "google", base_url=f"{upstream.url}/v1beta"))
        async with aclosing(provider.stream(request())) as batches:
            assert any(isinstance(event, TextDelta) for event in await anext(batches))
        await upstream.requests[0].gone.opened()


def google_error(code: int, status: str, message: str = "Sorry.", **details: Any) -> dict[str, Any]:
    return {
        "error": {"code": code, "message": message, "status": status, **({"details": [details]} if details else {})}
    }


@pytest.mark.anyio
async def test_a_wrong_key_is_told_as_one_and_never_shown(upstream: Upstream) -> None:
    wrong = google_error(400, "INVALID_ARGUMENT", f"API key not valid: {KEY}", reason="API_KEY_INVALID")
    upstream.reply(json_reply(400, wrong))
    got = await ask_google(upstream)
    assert isinstance(got.error, ProviderRejected)
    assert got.error.message == "Google refuses the key of preset 'mine'. Check GEMINI_API_KEY."


@pytest.mark.anyio
async def test_how_long_to_wait_stands_in_the_error(upstream: Upstream) -> None:
    limited = google_error(429, "RESOURCE_EXHAUSTED", retryDelay="1.5s")
    upstream.reply(json_reply(429, limited), json_reply(429, [limited]), Reply(answer("Hello")))
    naps = Naps()
    got = await ask_google(upstream, naps=naps)
    assert (got.text, got.error, naps.taken) == ("Hello", None, [1.5, 1.5])


@pytest.mark.anyio
async def test_a_quota_that_fills_up_tomorrow_is_not_waited_for(upstream: Upstream) -> None:
    upstream.reply(json_reply(429, google_error(429, "RESOURCE_EXHAUSTED", retryDelay="40000s")))
    got = await ask_google(upstream)
    assert isinstance(got.error, ProviderRateLimited)
    assert got.error.retry_after == 40000


@pytest.mark.anyio
async def test_an_error_inside_the_answer_is_an_error(upstream: Upstream) -> None:
    upstream.reply([*answer("Well", finish=None), *frames(google_error(503, "UNAVAILABLE"))])
    got = await ask_google(upstream)
    assert (got.text, type(got.error)) == ("Well", ProviderUnavailable)


@pytest.mark.anyio
async def test_an_answer_that_is_no_stream_says_what_to_check(upstream: Upstream) -> None:
    upstream.reply(json_reply(200, [{"candidates": [{"finishReason": "STOP"}]}]))
    got = await ask_google(upstream)
    assert isinstance(got.error, ProviderBroken)
    assert "base_url" in got.error.message


@pytest.mark.anyio
async def test_what_was_left_out_is_told_with_the_first_words(upstream: Upstream) -> None:
    upstream.reply(answer("Hello"))
    got = await ask_google(upstream, request(stop=tuple("abcdef")))
    assert isinstance(got.events[0], CallWarning)
    assert got.text == "Hello"
