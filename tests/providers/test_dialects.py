"""Every stream of the services that speak chat completions, sent by a real server to the real SDK, and what must come
out of it. A fixture's folder names the service; those without a row of their own are asked as `openai-chat`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.core.events import GeneratedFile, Usage
from app.core.model import Preset
from app.providers.catalog import CATALOG
from tests.providers.asking import ask, opened
from tests.upstream import FIXTURES, Upstream, chat_chunk, chat_frames, fixture

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Case:
    parts: list[tuple[Any, ...]]
    finish: str
    usage: Usage = field(default_factory=Usage)
    unmapped: Mapping[str, int] = field(default_factory=dict)


def text(said: str) -> tuple[Any, ...]:
    return ("text", said)


def thought(said: str, **kept: Any) -> tuple[Any, ...]:
    return ("reasoning", said, kept)


def called(call_id: str, name: str, value: Any, **kept: Any) -> tuple[Any, ...]:
    return (name, call_id, "input-available", value, kept)


def failed(call_id: str, name: str, value: Any) -> tuple[Any, ...]:
    return (name, call_id, "output-error", value, {})


def source(url: str, title: str | None = None) -> tuple[Any, ...]:
    return ("source-url", url, title)


OSLO = {"city": "Oslo"}
BERGEN = {"city": "Bergen"}
SIGNED = {"type": "reasoning.text", "text": "Ask them.", "signature": "c2lnbmVk"}
ENCRYPTED = {"type": "reasoning.encrypted", "data": "ZW5j", "id": "toolu_1", "index": 0}

CASES: dict[str, Case] = {
    "openai_chat/text": Case([text("Hello there.\u2028Ünïcode 🎈")], "stop", Usage(19, 9, 0, 4)),
    "openai_chat/refusal": Case([text("I can't help with that.")], "content-filter", Usage(5, 6)),
    "openai_chat/length": Case([text("Once")], "length", Usage(5, 1)),
    "openai_chat/content_filter": Case([], "content-filter", Usage(5, 0)),
    "openai_chat/second_choice": Case([text("first")], "stop", Usage(), {"openai_chat: a second choice": 1}),
    "openai_chat/unknown_end": Case([text("Hm.")], "other", Usage(), {"openai_chat: delta.brand_new": 1}),
    "openai_chat/usage_in_every_chunk": Case([text("AB")], "stop", Usage(9, 3)),
    "openai_chat/audio": Case([text("Hello")], "stop", Usage(), {"openai_chat: delta.audio": 2}),
    "openai_chat/annotations": Case(
        [text("It rained."), source("https://example.org/rain", "Rain"), source("https://example.org/sun")],
        "stop",
        Usage(5, 6),
        {"openai_chat: annotation file": 1},
    ),
    "openai_chat/tools": Case(
        [called("call_a", "weather", OSLO), called("call_b", "now", {})], "tool-calls", Usage(60, 30)
    ),
    "openai_chat/tools_from_one": Case(
        [text("Let me look."), called("toolu_1", "weather", OSLO), called("toolu_2", "now", {})], "tool-calls"
    ),
    "openai_chat/tools_same_index": Case(
        [called("c1", "weather", OSLO), called("c2", "weather", BERGEN)], "tool-calls"
    ),
    "openai_chat/tools_without_id": Case([called("minted", "weather", OSLO)], "tool-calls"),
    "openai_chat/tools_without_index_or_id": Case(
        [called("minted", "weather", OSLO), called("minted", "weather", BERGEN)], "tool-calls"
    ),
    "openai_chat/tools_one_index_without_id": Case(
        [called("minted", "weather", OSLO), called("minted", "now", {})], "tool-calls"
    ),
    "openai_chat/tools_without_name": Case(
        [called("c2", "now", {}), failed("c1", "unnamed", '{"city":"Oslo"}')], "tool-calls"
    ),
    "openai_chat/tools_late_name": Case([called("c1", "search", {"query": "test"})], "tool-calls"),
    "openai_chat/tools_cut_before_arguments": Case([called("c1", "now", {}), failed("c2", "weather", "")], "length"),
    "openai_chat/arguments_may_go_on": Case([called("c1", "search", {"query": "test"})], "tool-calls"),
    "openai_chat/arguments_object": Case([called("c1", "weather", OSLO)], "tool-calls"),
    "openai_chat/broken_arguments": Case([failed("c1", "weather", '{"city":"Os')], "length"),
    "openai_chat/text_around_tools": Case([text("Before."), called("c1", "now", {}), text("After.")], "tool-calls"),
    "azure/text": Case([text("Routed.")], "stop", Usage(15, 78)),
    "alibaba/tools": Case([called("call_1", "weather", OSLO)], "tool-calls", Usage(7, 8)),
    "moonshot/usage_in_choice": Case(
        [thought("Hm.", field="reasoning_content"), text("Yes.")], "stop", Usage(9, 12, None, 4)
    ),
    "gemini/tools": Case(
        [
            called("function-call-1", "weather", OSLO, extra_content={"google": {"thought_signature": "c2lnbmVk"}}),
            called("function-call-2", "now", {}),
        ],
        "tool-calls",
        Usage(10, 70),
    ),
    "groq/reasoning": Case([thought("Count the Rs."), text("Three.")], "stop", Usage(17, 55, 48)),
    "groq/usage_in_x_groq": Case([text("Hi")], "stop", Usage(17, 5)),
    "groq/tools": Case(
        [thought("Ask."), called("fc_1", "weather", OSLO), called("fc_2", "now", {})], "tool-calls", Usage(17, 5)
    ),
    "perplexity/citations": Case(
        [
            source("https://example.org/a", "The A page"),
            source("https://example.org/b"),
            text("Oslo is fine[1][2]."),
            source("https://example.org/c"),
        ],
        "stop",
        Usage(10, 12),
        {"openai_chat: a source that is no web address": 1},
    ),
    "perplexity/search_results": Case(
        [source("https://example.org/rain", "Rain"), text("Rain[1]."), source("https://example.org/sun")],
        "stop",
        Usage(10, 4, 1),
    ),
    "mistral/reasoning": Case(
        [thought("Let me see."), text("Seen.")], "length", Usage(9, 9), {"openai_chat: content reference": 1}
    ),
    "mistral/tools": Case(
        [called("gSIMJiOkT", "weather", OSLO), called("hTJNKjPlU", "weather", BERGEN)], "tool-calls", Usage(124, 22)
    ),
    "mistral/tools_in_pieces": Case([called("null1", "weather", OSLO)], "tool-calls", Usage(1, 2)),
    "mistral/reasoning_and_tools": Case(
        [thought("Ask."), called("aB3dE5gH7", "weather", OSLO)], "tool-calls", Usage(9, 9)
    ),
    "deepseek/reasoning": Case(
        [thought("We think.", field="reasoning_content"), text("So it is.")], "stop", Usage(18, 20, 12, 0)
    ),
    "deepseek/tools": Case(
        [thought("Ask the tool.", field="reasoning_content"), called("call_00_a", "weather", OSLO)],
        "tool-calls",
        Usage(30, 12, 5, 8),
    ),
    "deepseek/no_resource": Case([text("Well")], "error"),
    "xai/thinking": Case(
        [thought("Thinking... "), text("haha"), source("https://example.org/ha")], "stop", Usage(12, 292, 290, 11)
    ),
    "xai/tools": Case([thought("Look."), called("call_1", "weather", OSLO)], "tool-calls", Usage(12, 116, 90)),
    "openrouter/both_fields": Case(
        [thought("Once."), text("Only once.")],
        "stop",
        Usage(3, 4),
        {"openai_chat: delta.reasoning_details without a call": 1, "openai_chat: delta.native_finish_reason": 1},
    ),
    "openrouter/reasoning_details": Case(
        [
            thought("Ask them."),
            called(
                "toolu_1",
                "weather",
                OSLO,
                reasoning_details=[{"format": "anthropic-claude-v1", "index": 0, **SIGNED}, ENCRYPTED],
            ),
            called("toolu_2", "now", {}),
        ],
        "tool-calls",
        Usage(20, 9, None, 3, 2),
    ),
    "openrouter/images": Case(
        [text("A cat:"), ("file", "image/png"), text("There.")],
        "stop",
        Usage(3, 4),
        {"openai_chat: an image that is only an address": 1},
    ),
    "ollama/reasoning": Case([thought("Hmm.", field="reasoning"), text("Yes.")], "stop", Usage(12, 8)),
    "ollama/tools": Case([called("call_a1", "weather", OSLO)], "tool-calls", Usage(12, 8)),
    "lmstudio/text": Case([text("Hi")], "stop", Usage(2, 1)),
    "llamacpp/think_tags": Case([text("<think>\nHm.\n</think>\n\nYes.")], "stop", Usage(12, 8)),
    "llamacpp/tools": Case(
        [thought("Ask.", field="reasoning_content"), called("Xk3", "weather", OSLO)], "tool-calls", Usage(12, 8)
    ),
    "vllm/tools": Case(
        [thought("Ask.", field="reasoning_content"), called("chatcmpl-tool-1", "weather", OSLO)],
        "tool-calls",
        Usage(12, 8),
    ),
}

FOLDERS = {name.partition("/")[0] for name in CASES}


def row(name: str) -> str:
    folder = name.partition("/")[0]
    return folder if folder in CATALOG else "openai-chat"


def summary(part: dict[str, Any], provider: str) -> tuple[Any, ...]:
    kind = part["type"]
    if kind == "text":
        return (kind, part["text"])
    if kind == "reasoning":
        return (kind, part["text"], kept(part.get("providerMetadata"), provider))
    if kind == "source-url":
        return (kind, part["url"], part.get("title"))
    if kind == "file":
        return (kind, part["mediaType"])
    minted = part["toolCallId"].startswith("call_") and len(part["toolCallId"]) > 20
    value = part["input"] if "input" in part else part["rawInput"]
    return (
        kind.removeprefix("tool-"),
        "minted" if minted else part["toolCallId"],
        part["state"],
        value,
        kept(part.get("callProviderMetadata"), provider),
    )


def kept(metadata: Mapping[str, Any] | None, provider: str) -> Any:
    """What the service wants back; nothing may stand under another name."""
    assert set(metadata or {}) <= {provider}
    return (metadata or {}).get(provider, {})


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.mark.parametrize("name", CASES)
async def test_a_stream_becomes_what_it_says(name: str, upstream: Upstream) -> None:
    upstream.reply(fixture(f"{name}.jsonl"))
    async with opened({}) as registry:
        got = await ask(registry.open(Preset("mine", row(name), base_url=upstream.base_url)))
        unmapped = registry.unmapped.counts
    case = CASES[name]
    assert got.error is None
    assert got.finish is not None
    assert [summary(part, row(name)) for part in got.parts] == case.parts
    assert (got.finish.reason, got.finish.usage) == (case.finish, case.usage)
    assert unmapped == case.unmapped


def test_every_fixture_has_its_case() -> None:
    paths = [path for folder in FOLDERS for path in (FIXTURES / folder).glob("*.jsonl")]
    assert {str(path.relative_to(FIXTURES).with_suffix("")) for path in paths} == set(CASES)


def test_every_row_that_speaks_chat_completions_has_a_fixture() -> None:
    rows = {name for name, service in CATALOG.items() if service.adapter == "openai_chat"}
    assert {row(name) for name in CASES} >= rows - {"openai"}


async def test_a_picture_is_handed_over_whole(upstream: Upstream) -> None:
    upstream.reply(fixture("openrouter/images.jsonl"))
    async with opened({}) as registry:
        got = await ask(registry.open(Preset("mine", "openrouter", base_url=upstream.base_url)))
    files = [event for event in got.events if isinstance(event, GeneratedFile)]
    assert files == [GeneratedFile("image/png", "data:image/png;base64,iVBORw0KGgo=")]


@pytest.mark.parametrize(
    ("service", "last"),
    [
        ("groq", {"x_groq": {"id": "req_1", "error": {"type": "over_capacity", "code": "503"}}}),
        ("openrouter", {"error": {"code": 502, "message": "Provider disconnected"}}),
        ("openrouter", {"choices": [{"index": 0, "finish_reason": "error", "error": {"code": 502}}]}),
    ],
)
async def test_an_error_in_the_stream_ends_the_answer(upstream: Upstream, service: str, last: dict[str, Any]) -> None:
    upstream.reply(chat_frames([chat_chunk({"content": "Well"}), {**chat_chunk({}), **last}]))
    async with opened({}) as registry:
        got = await ask(registry.open(Preset("mine", service, base_url=upstream.base_url)))
    assert (got.text, got.finish) == ("Well", None)
    assert got.error is not None
    assert got.error.code == "provider_unavailable"
