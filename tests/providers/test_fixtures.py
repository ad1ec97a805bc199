"""Every stream in `fixtures/anthropic/`, sent by a real server to the real SDK, and what must come out of it."""

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


def ran(call_id: str, name: str, value: Any) -> tuple[Any, ...]:
    return (f"tool-{name}", call_id, "output-available", value)


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
        [failed("srvtoolu_01", "web_search", {"query": "x"}), text("I could"), text(" not search.")],
        "stop",
        CLAUDE,
        {"anthropic: event brand_new_event": 1},
    ),
    "anthropic/web_search": Case(
        [
            ran("srvtoolu_01", "web_search", {"query": "rain in Oslo"}),
            ("source-url", "https://example.org/1", "Rain"),
            ("source-url", "https://example.org/2", "Sun"),
            text("Yesterday "),
            text("Oslo had rain"),
            text("."),
        ],
        "stop",
        CLAUDE,
    ),
    "anthropic/cited_pages": Case([text("It rains."), ("source-url", "https://example.org/1", "Rain")], "stop", CLAUDE),
    "anthropic/web_fetch": Case(
        [
            ran("srvtoolu_01", "web_fetch", {"url": "https://example.org/report"}),
            text("It rained."),
            ("source-document", "text/plain", "Report"),
        ],
        "stop",
        CLAUDE,
    ),
    "anthropic/code_execution": Case(
        [
            ran(
                "srvtoolu_01",
                "code_execution",
                {"type": "text_editor_code_execution", "command": "create", "path": "/a.py"},
            ),
            ran("srvtoolu_02", "code_execution", {"type": "bash_code_execution", "command": "python /a.py"}),
            failed("srvtoolu_03", "code_execution", {"type": "bash_code_execution", "command": "sleep 999"}),
            text("Four."),
        ],
        "stop",
        CLAUDE,
    ),
    "anthropic/code_that_calls": Case(
        [
            called("srvtoolu_01", "code_execution", {"type": "programmatic-tool-call", "code": "await roll()"}),
            called("toolu_01", "roll", {"sides": 6}),
        ],
        "tool-calls",
        CLAUDE,
    ),
    "anthropic/late_result": Case(
        [text("Rolled.")], "stop", CLAUDE, {"anthropic: code_execution_tool_result without a call": 1}
    ),
    "anthropic/other_server_tools": Case(
        [
            ran("srvtoolu_01", "tool_search_tool_bm25", {"query": "weather"}),
            ran("srvtoolu_02", "advisor", {}),
            ("dynamic-tool", "mcptoolu_01", "output-error", {"word": "rain"}),
            ("dynamic-tool", "mcptoolu_02", "output-available", {"word": "snow"}),
            text("Done."),
        ],
        "stop",
        Usage(3000, 70, None, 0, 0),
    ),
    "anthropic/survived": Case(
        [text("Rain.")],
        "stop",
        Usage(60500, 317, None, 0, 0),
        {
            "anthropic: block compaction": 1,
            "anthropic: compaction_delta in compaction": 2,
            "anthropic: block fallback": 1,
            "anthropic: block container_upload": 1,
        },
    ),
    "anthropic/fallback_usage": Case([text("Hi.")], "stop", Usage(50, 17, None, 0, 0)),
    "anthropic/paused": Case(
        [text("Let me search."), called("srvtoolu_01", "web_search", {"query": "x"})], "stop", CLAUDE
    ),
    "anthropic/refusal_explained": Case([text("Well")], "content-filter", CLAUDE),
    "anthropic/refusal": Case([], "content-filter", Usage(21, 3, None, 0, 0)),
    "anthropic/cache": Case([text("Cached.")], "stop", Usage(6595, 5, None, 6289, 300)),
    "anthropic/unknown_end": Case([text("Hm.")], "other", CLAUDE),
    "anthropic/open_block": Case([text("Cut short")], "length", CLAUDE),
}


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
    if kind == "source-document":
        return (kind, part["mediaType"], part["title"])
    call_id = (
        "minted" if part["toolCallId"].startswith("call_") and len(part["toolCallId"]) > 20 else part["toolCallId"]
    )
    return (kind, call_id, part["state"], part["input"] if "input" in part else part["rawInput"])


@pytest.mark.parametrize("name", CASES)
async def test_a_stream_becomes_what_it_says(name: str, upstream: Upstream) -> None:
    upstream.reply(fixture(f"{name}.jsonl"))
    registry = Registry({"ANTHROPIC_API_KEY": KEY})
    got = await ask(registry.open(Preset("mine", "anthropic", base_url=upstream.url)))
    await registry.close()
    case = CASES[name]
    assert got.error is None
    assert got.finish is not None
    assert [summary(part) for part in got.parts] == case.parts
    assert (got.finish.reason, got.finish.usage) == (case.finish, case.usage)
    assert registry.unmapped.counts == case.unmapped


def test_every_fixture_has_its_case() -> None:
    assert {str(path.relative_to(FIXTURES).with_suffix("")) for path in FIXTURES.glob("anthropic/*.jsonl")} == set(
        CASES
    )
