"""Every stream in `fixtures/`, sent by a real server to the real SDKs, and what must come out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.core.events import Usage
from app.core.model import Preset
from app.providers.registry import Registry
from tests.providers.asking import KEY, ask
from tests.upstream import FIXTURES, Upstream, fixture

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Case:
    parts: list[tuple[Any, ...]]
    finish: str
    usage: Usage = field(default_factory=Usage)
    unmapped: Mapping[str, int] = field(default_factory=dict)


def text(said: str) -> tuple[Any, ...]:
    return ("text", said)


def thought(said: str, **anthropic: str) -> tuple[Any, ...]:
    return ("reasoning", said, {"anthropic": anthropic} if anthropic else None)


def called(call_id: str, name: str, value: Any) -> tuple[Any, ...]:
    return (f"tool-{name}", call_id, "input-available", value)


def failed(call_id: str, name: str, value: Any) -> tuple[Any, ...]:
    return (f"tool-{name}", call_id, "output-error", value)


CLAUDE = Usage(21, 17, None, 0, 0)
OSLO = {"city": "Oslo"}

CASES: dict[str, Case] = {
    "anthropic/text": Case([text("Hello there. How\u2028are you? 🎈")], "stop", CLAUDE),
    "anthropic/thinking": Case(
        [thought("Two plus two.", signature="RXJvdGhlc2lnbmF0dXJl"), text("Four.")], "stop", Usage(21, 40, 31, 0, 0)
    ),
    "anthropic/redacted_thinking": Case(
        [thought("", redactedData="ZW5jcnlwdGVk"), text("I would rather not say.")], "stop", CLAUDE
    ),
    "anthropic/omitted_thinking": Case([thought("", signature="b21pdHRlZA=="), text("Done.")], "stop", CLAUDE),
    "anthropic/tools": Case(
        [
            text("Let me look."),
            called("toolu_01", "weather", OSLO),
            called("toolu_02", "now", {}),
            called("toolu_03", "roll", {"sides": 6}),
        ],
        "tool-calls",
        CLAUDE,
    ),
    "anthropic/broken_tool_input": Case([failed("toolu_01", "weather", '{"city": "Os')], "length", CLAUDE),
    "anthropic/whole_message": Case([called("toolu_09", "roll", {"player": "two"})], "tool-calls"),
    "anthropic/server_tool": Case(
        [text("I could"), text(" not search.")],
        "stop",
        CLAUDE,
        {
            "anthropic: block server_tool_use": 1,
            "anthropic: input_json_delta in server_tool_use": 1,
            "anthropic: block web_search_tool_result": 1,
            "anthropic: citations_delta in text": 1,
            "anthropic: event brand_new_event": 1,
        },
    ),
    "anthropic/refusal": Case([], "content-filter", Usage(21, 3, None, 0, 0)),
    "anthropic/cache": Case([text("Cached.")], "stop", Usage(6595, 5, None, 6289, 300)),
    "anthropic/unknown_end": Case([text("Hm.")], "other", CLAUDE),
    "anthropic/open_block": Case([text("Cut short")], "length", CLAUDE),
    "openai/text": Case([text("Hello there.\u2028Ünïcode 🎈")], "stop", Usage(19, 9, 0, 4)),
    "openai/refusal": Case([text("I can't help with that.")], "content-filter", Usage(5, 6)),
    "openai/length": Case([text("Once")], "length", Usage(5, 1)),
    "openai/content_filter": Case([], "content-filter", Usage(5, 0)),
    "openai/tools": Case([called("call_a", "weather", OSLO), called("call_b", "now", {})], "tool-calls", Usage(60, 30)),
    "openai/second_choice": Case([text("first")], "stop", Usage(), {"openai_chat: a second choice": 1}),
    "azure/text": Case([text("Routed.")], "stop", Usage(15, 78)),
    "groq/reasoning": Case([thought("Count the Rs."), text("Three.")], "stop", Usage(17, 55, 48)),
    "groq/usage_in_x_groq": Case([text("Hi")], "stop", Usage(17, 5)),
    "deepseek/reasoning": Case([thought("We think."), text("So it is.")], "stop", Usage(18, 20, 12, 0)),
    "deepseek/no_resource": Case([text("Well")], "error"),
    "ollama/reasoning": Case([thought("Hmm."), text("Yes.")], "stop", Usage(12, 8)),
    "openrouter/both_fields": Case(
        [thought("Once."), text("Only once.")],
        "stop",
        Usage(3, 4),
        {"openai_chat: delta.reasoning_details": 1, "openai_chat: delta.native_finish_reason": 1},
    ),
    "mistral/reasoning": Case(
        [thought("Let me see."), text("Seen.")], "length", Usage(9, 9), {"openai_chat: content reference": 1}
    ),
    "mistral/tools": Case(
        [called("gSIMJiOkT", "weather", OSLO), called("hTJNKjPlU", "weather", {"city": "Bergen"})],
        "tool-calls",
        Usage(124, 22),
    ),
    "mistral/tools_in_pieces": Case([called("null1", "weather", OSLO)], "tool-calls", Usage(1, 2)),
    "alibaba/tools": Case([called("call_1", "weather", OSLO)], "tool-calls", Usage(7, 8)),
    "compatible/tools_same_index": Case(
        [called("c1", "weather", OSLO), called("c2", "weather", {"city": "Bergen"})], "tool-calls"
    ),
    "compatible/tools_without_id": Case([called("minted", "weather", OSLO)], "tool-calls"),
    "compatible/tools_late_name": Case([called("c1", "search", {"query": "test"})], "tool-calls"),
    "compatible/arguments_object": Case([called("c1", "weather", OSLO)], "tool-calls"),
    "compatible/broken_arguments": Case([failed("c1", "weather", '{"city":"Os')], "length"),
    "compatible/text_around_tools": Case([text("Before."), called("c1", "now", {}), text("After.")], "tool-calls"),
    "compatible/unknown_end": Case([text("Hm.")], "other", Usage(), {"openai_chat: delta.brand_new": 1}),
    "perplexity/citations": Case(
        [
            ("source-url", "https://example.org/a", "The A page"),
            ("source-url", "https://example.org/b", None),
            text("Oslo is fine[1][2]."),
            ("source-url", "https://example.org/c", None),
        ],
        "stop",
        Usage(10, 12),
        {"openai_chat: a source that is no web address": 1},
    ),
}
SERVICES = {"anthropic": "anthropic", "perplexity": "perplexity", "groq": "groq"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


def summary(part: dict[str, Any]) -> tuple[Any, ...]:
    kind = part["type"]
    if kind == "text":
        return (kind, part["text"])
    if kind == "reasoning":
        return (kind, part["text"], part.get("providerMetadata"))
    if kind == "source-url":
        return (kind, part["url"], part.get("title"))
    call_id = (
        "minted" if part["toolCallId"].startswith("call_") and len(part["toolCallId"]) > 20 else part["toolCallId"]
    )
    return (kind, call_id, part["state"], part["input"])


@pytest.mark.parametrize("name", CASES)
async def test_a_stream_becomes_what_it_says(name: str, upstream: Upstream) -> None:
    folder = name.partition("/")[0]
    service = SERVICES.get(folder, "openai-chat")
    upstream.reply(fixture(f"{name}.jsonl"))
    registry = Registry({"GROQ_API_KEY": KEY})
    base_url = upstream.url if service == "anthropic" else upstream.base_url
    got = await ask(registry.open(Preset("mine", service, base_url=base_url)))
    await registry.close()
    case = CASES[name]
    assert got.error is None
    assert got.finish is not None
    assert [summary(part) for part in got.parts] == case.parts
    assert (got.finish.reason, got.finish.usage) == (case.finish, case.usage)
    assert registry.unmapped.counts == case.unmapped


def test_every_fixture_has_its_case() -> None:
    assert {str(path.relative_to(FIXTURES).with_suffix("")) for path in FIXTURES.glob("*/*.jsonl")} == set(CASES)
