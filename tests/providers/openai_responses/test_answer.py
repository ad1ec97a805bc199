"""Every stream in `fixtures/openai_responses/`, sent by a real server to the real SDK, and what must come out of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app.core.events import TextEnd, ToolInputAvailable, ToolOutputAvailable, Usage
from app.core.model import Preset
from app.core.tools import ToolSpec
from app.providers.openai_responses.answer import OpenAIResponsesAnswer
from app.providers.openai_responses.tools import NO_APPROVALS
from app.providers.registry import Registry
from app.providers.unmapped import Unmapped
from tests.providers.asking import KEY, Answer, ask, request
from tests.upstream import FIXTURES, Upstream, anthropic_frames, fixture

pytestmark = pytest.mark.anyio

FOLDER = FIXTURES / "openai_responses"
FUNCTIONS = tuple(ToolSpec(name, "", {"type": "object"}) for name in ("weather", "now", "roll"))
OSLO = {"city": "Oslo"}
USAGE = Usage(19, 9, 0, 4)
NONE = Usage()
CUT_OFF = "The call was cut off."


@dataclass(frozen=True)
class Case:
    parts: list[tuple[Any, ...]]
    finish: str = "stop"
    usage: Usage = USAGE
    unmapped: Mapping[str, int] = field(default_factory=dict)


def text(said: str) -> tuple[Any, ...]:
    return ("text", said)


def thought(said: str, **own: Any) -> tuple[Any, ...]:
    return ("reasoning", said, own)


def called(call_id: str, name: str, value: Any) -> tuple[Any, ...]:
    return (f"tool-{name}", call_id, value, "input-available")


def failed(call_id: str, name: str, value: Any, error: str) -> tuple[Any, ...]:
    return (f"tool-{name}", call_id, value, "output-error", error)


def ran(call_id: str, name: str, value: Any, output: Any) -> tuple[Any, ...]:
    return (f"tool-{name}", call_id, value, "output-available", output)


CASES: dict[str, Case] = {
    "text": Case([text("Hello there.\u2028Ünïcode 🎈")]),
    "no_deltas": Case([text("Told as a whole. "), text("Told at the end.")]),
    "only_the_end": Case(
        [thought("Hm.", itemId="rs_1", reasoningText=True), text("All at once."), called("call_1", "now", {})],
        "tool-calls",
    ),
    "unannounced": Case([text("Just words.")], usage=NONE),
    "summaries": Case(
        [
            thought("**Looking**", itemId="rs_1"),
            thought("**Finding**", itemId="rs_1", reasoningEncryptedContent="d2hvbGU="),
            called("call_1", "weather", OSLO),
        ],
        "tool-calls",
        Usage(50, 40, 31, 0),
    ),
    "sealed_thinking": Case(
        [thought("", itemId="rs_1", reasoningEncryptedContent="c2VhbGVk"), text("Done.")],
        usage=Usage(5, 600, 576, 0),
    ),
    "thinking_in_full": Case(
        [
            thought("They ask for rain.", itemId="rs_1", reasoningText=True),
            text("I'll look."),
            called("call_1", "weather", OSLO),
        ],
        "tool-calls",
        Usage(182, 61, 48, 2),
    ),
    "changing_ids": Case(
        [thought("**Counting**", itemId="id-1", reasoningEncryptedContent="cm90YXRlZA=="), text("Three.")],
        usage=Usage(19, 105, 44, 0),
    ),
    "interleaved_calls": Case(
        [
            called("call_a", "weather", OSLO),
            called("call_b", "now", {}),
            called("call_c", "roll", {"sides": 6}),
            failed("call_d", "weather", '{"city":"Os', "The arguments of the call are not valid JSON."),
        ],
        "tool-calls",
        Usage(60, 30, 0, 0),
    ),
    "parallel_wrapper": Case([called("call_1_0", "weather", OSLO), called("call_1_1", "now", {})], "tool-calls"),
    "unknown_parallel": Case(
        [called("call_1", "parallel", {"tool_uses": [{"recipient_name": "functions.nobody", "parameters": {}}]})],
        "tool-calls",
    ),
    "refusal": Case([text("I can't help with that.")], "content-filter", Usage(5, 6, 0, 0)),
    "length": Case([text("Once")], "length", Usage(5, 16, 0, 0)),
    "half_a_call": Case(
        [failed("call_1", "weather", '{"city":"Oslo"}', CUT_OFF), failed("call_2", "now", "", CUT_OFF)],
        "length",
        Usage(5, 16, 0, 0),
    ),
    "content_filter": Case([], "content-filter", Usage(5, 0, 0, 0)),
    "unknown_end": Case([text("Hm.")], "other", NONE),
    "web_search": Case(
        [
            ran(
                "ws_1",
                "web_search",
                {"query": "rain in Oslo"},
                {
                    "action": {"type": "search", "query": "rain in Oslo"},
                    "sources": [
                        {"type": "url", "url": "https://example.org/rain"},
                        {"type": "api", "name": "oai-weather"},
                    ],
                },
            ),
            ("source-url", "https://example.org/rain", None),
            ran(
                "ws_2",
                "web_search",
                {"url": "https://example.org/rain"},
                {"action": {"type": "openPage", "url": "https://example.org/rain"}},
            ),
            failed("ws_3", "web_search", {}, "The service could not run web_search."),
            text("It rains."),
            ("source-url", "https://example.org/snow?a=1&utm_source=openai", "Snow"),
        ],
        usage=replace(USAGE, searches=1),
        unmapped={"openai_responses: a source that is no web address": 1, "openai_responses: annotation brand_new": 2},
    ),
    "web_search_xai": Case(
        [
            ran("fc_1_0", "web_search", {"query": "rain"}, {}),
            text("Rain."),
            ("source-url", "https://example.org/rain", None),
        ]
    ),
    "file_search": Case(
        [
            ran(
                "fs_1",
                "file_search",
                {"queries": ["rain"]},
                {
                    "queries": ["rain"],
                    "results": [
                        {
                            "fileId": "file-1",
                            "filename": "rain.pdf",
                            "score": 0.9,
                            "text": "It rains.",
                            "attributes": {"Made By": "me"},
                        },
                        {"fileId": "file-1", "filename": "rain.pdf", "score": 0.5, "text": "Still.", "attributes": {}},
                    ],
                },
            ),
            ("source-document", "text/plain", "rain.pdf", "rain.pdf"),
            text("It rains."),
            ("source-document", "text/plain", "plot.csv", "plot.csv"),
            ("source-document", "application/octet-stream", "file-2", "file-2"),
        ]
    ),
    "code_and_picture": Case(
        [
            ran(
                "ci_1",
                "code_interpreter",
                {"code": "print(4)", "containerId": "cntr_1"},
                {"outputs": [{"type": "logs", "logs": "4\n"}]},
            ),
            ran("ig_1", "image_generation", {"prompt": "A boat."}, {"result": "cGljdHVyZQ=="}),
            failed("ci_2", "code_interpreter", "", CUT_OFF),
        ]
    ),
    "mcp": Case(
        [
            (
                "dynamic-tool",
                "mcp_1",
                {"word": "rain"},
                "output-available",
                {
                    "type": "call",
                    "serverLabel": "words",
                    "name": "count",
                    "arguments": '{"word":"rain"}',
                    "output": "4",
                },
            ),
            ("dynamic-tool", "mcp_2", {"word": "rain"}, "output-error", "No such word."),
            ("dynamic-tool", "mcpr_1", {"word": "rain"}, "output-error", NO_APPROVALS),
        ],
        unmapped={"openai_responses: item mcp_list_tools": 1},
    ),
    "hosted_pairs": Case(
        [
            ran(
                "call_1",
                "shell",
                {"action": {"commands": ["ls"], "timeoutMs": 9}},
                {"output": [{"stdout": "a.txt\n", "stderr": "", "outcome": {"type": "exit", "exitCode": 0}}]},
            ),
            ran(
                "tsc_1",
                "tool_search",
                {"arguments": {"paths": ["sky"]}, "call_id": None},
                {"tools": [{"type": "function", "name": "weather"}]},
            ),
            failed(
                "call_p",
                "programmatic_tool_calling",
                {"code": "1+1", "fingerprint": "f"},
                "The service does not say what came of it.",
            ),
        ],
        unmapped={"openai_responses: shell_call_output without its call": 1},
    ),
    "calls_for_us": Case(
        [
            called("call_0", "shell", {"action": {"commands": ["ls"], "maxOutputLength": 99}}),
            called(
                "call_1",
                "local_shell",
                {
                    "action": {
                        "type": "exec",
                        "command": ["ls"],
                        "env": {"LANG_ALL": "C"},
                        "workingDirectory": "/srv/notes",
                    }
                },
            ),
            called(
                "call_2",
                "apply_patch",
                {"callId": "call_2", "operation": {"type": "delete_file", "path": "old.txt"}},
            ),
            called("call_3", "note", "Buy milk"),
            called(
                "call_4",
                "computer",
                {
                    "actions": [{"type": "scroll", "x": 1, "y": 2, "scrollX": 0, "scrollY": 9}],
                    "pendingSafetyChecks": [],
                },
            ),
            called("call_5", "tool_search", {"arguments": {"goal": "weather"}, "call_id": "call_5"}),
        ],
        "tool-calls",
    ),
    "brand_new": Case(
        [text("Known.")],
        usage=NONE,
        unmapped={"openai_responses: event response.brand_new": 1, "openai_responses: item brand_new_item": 1},
    ),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


async def answered(upstream: Upstream, *replies: Any) -> tuple[Answer, Registry]:
    upstream.reply(*replies)
    registry = Registry({"OPENAI_API_KEY": KEY})
    got = await ask(registry.open(Preset("mine", "openai", base_url=upstream.base_url)), request(tools=FUNCTIONS))
    await registry.close()
    return got, registry


def summary(part: dict[str, Any]) -> tuple[Any, ...]:
    kind = part["type"]
    if kind == "text":
        return (kind, part["text"])
    if kind == "reasoning":
        return (kind, part["text"], part["providerMetadata"]["openai"])
    if kind == "source-url":
        return (kind, part["url"], part.get("title"))
    if kind == "source-document":
        return (kind, part["mediaType"], part["title"], part["filename"])
    asked = part["input"] if "input" in part else part["rawInput"]
    said = [part[name] for name in ("output", "errorText") if name in part]
    return (kind, part["toolCallId"], asked, part["state"], *said)


@pytest.mark.parametrize("name", CASES)
async def test_a_stream_becomes_what_it_says(name: str, upstream: Upstream) -> None:
    got, registry = await answered(upstream, fixture(f"openai_responses/{name}.jsonl"))
    case = CASES[name]
    assert got.error is None
    assert got.finish is not None
    assert [summary(part) for part in got.parts] == case.parts
    assert (got.finish.reason, got.finish.usage) == (case.finish, case.usage)
    assert registry.unmapped.counts == case.unmapped


def test_every_fixture_has_its_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.jsonl")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_stream_that_is_cut_anywhere_has_no_end_and_can_be_shown(name: str) -> None:
    events = [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().split("\n") if line]
    for length in range(len(events)):
        decoder = OpenAIResponsesAnswer(Unmapped(), "openai")
        got = Answer()
        for event in events[:length]:
            decoder.read(event, got.events)
        decoder.finish(got.events)
        assert got.finish is None
        assert all(part["type"] for part in got.parts)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"type": "error", "error": {"type": "insufficient_quota", "message": "No."}}, "provider_rejected"),
        ({"type": "error", "code": "server_error", "message": "Oh."}, "provider_unavailable"),
        ({"type": "error", "code": None, "message": "Oh."}, "provider_error"),
        ({"type": "error", "error": None, "code": "rate_limit_exceeded"}, "provider_rate_limited"),
        (
            {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "Oh."}}},
            "provider_unavailable",
        ),
        ({"type": "response.failed", "response": {"error": None}}, "provider_error"),
    ],
)
async def test_an_error_inside_an_answer_is_one_in_every_shape(
    upstream: Upstream, event: dict[str, Any], code: str
) -> None:
    said = fixture("openai_responses/text.jsonl")[:5]
    got, _ = await answered(upstream, [*said, *anthropic_frames([event])])
    assert got.error is not None
    assert (got.text, got.error.code) == ("Hello", code)


async def test_what_the_service_wants_back_is_kept_word_for_word(upstream: Upstream) -> None:
    got, _ = await answered(upstream, fixture("openai_responses/hosted_pairs.jsonl"))
    call = next(event for event in got.events if isinstance(event, ToolInputAvailable))
    result = next(event for event in got.events if isinstance(event, ToolOutputAvailable))
    assert call.provider_metadata is not None
    assert result.provider_metadata is not None
    assert call.provider_metadata["openai"]["item"]["environment"]["container_id"] == "cntr_1"
    assert result.provider_metadata["openai"]["item"]["output"][0]["outcome"] == {"type": "exit", "exit_code": 0}
    assert (call.provider_executed, result.provider_executed) == (True, True)


async def test_a_picture_is_kept_once(upstream: Upstream) -> None:
    got, _ = await answered(upstream, fixture("openai_responses/code_and_picture.jsonl"))
    _, picture = (event for event in got.events if isinstance(event, ToolOutputAvailable))
    assert picture.output == {"result": "cGljdHVyZQ=="}
    assert picture.provider_metadata is not None
    assert "result" not in picture.provider_metadata["openai"]["item"]


async def test_the_phase_of_a_text_and_the_namespace_of_a_call_are_kept(upstream: Upstream) -> None:
    got, _ = await answered(upstream, fixture("openai_responses/text.jsonl"))
    assert next(event for event in got.events if isinstance(event, TextEnd)).provider_metadata == {
        "openai": {"phase": "final_answer"}
    }
    got, _ = await answered(upstream, fixture("openai_responses/interleaved_calls.jsonl"))
    first, second = [event for event in got.events if isinstance(event, ToolInputAvailable)][:2]
    assert first.provider_metadata == {"openai": {"call": {"namespace": "sky"}}}
    assert second.provider_metadata is None
