"""The usage page as a browser gets it."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.core.events import Usage
from app.core.usage import UsageEntry
from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from app.storage.sqlite import open_store
from app.storage.usage import SqliteUsageLedger
from app.web.deps import Deps

HOSTILE = '"><script>alert(1)</script>'
TODAY = datetime.now(UTC)

ENTRY = UsageEntry(
    at=TODAY.isoformat(),
    block_id=None,
    message_id=None,
    preset="claude",
    provider="anthropic",
    model="claude-sonnet-5-5",
    purpose="chat",
    usage=Usage(1000, 200, None, 600, None),
    cost_usd=0.0125,
)


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """A visitor of a server that has these entries in its books."""
    opened: list[TestClient] = []

    def start(*entries: UsageEntry) -> TestClient:
        config = tmp_path / "palaver.toml"
        config.write_text('[presets.default]\nprovider = "echo"\n')
        settings = ServerSettings(data=tmp_path / "data", config=config)

        @asynccontextmanager
        async def deps() -> AsyncGenerator[Deps, None]:
            (tmp_path / "data").mkdir()
            store = await open_store(tmp_path / "data/palaver.db", now=lambda: datetime.now(UTC))
            for entry in entries:
                await SqliteUsageLedger(store.database).add(entry)
            await store.close()
            async with open_deps(settings, {}, port=8000) as opened:
                yield opened

        client = TestClient(create_app(settings, deps), "http://127.0.0.1:8000")
        opened.append(client.__enter__())
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)


def cells(html: str) -> list[str]:
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", html, re.DOTALL)]


def test_nothing_was_used_yet_and_the_page_says_so(visitor: Callable[..., TestClient]) -> None:
    page = visitor().get("/usage").text
    assert "Nothing was used in the last 30 days." in page
    assert '<svg class="plot"' not in page


def test_figures_plots_and_tables_tell_the_same(visitor: Callable[..., TestClient]) -> None:
    page = visitor(ENTRY, replace(ENTRY, model="claude-opus-5-5", cost_usd=1.0)).get("/usage?days=7").text
    assert "<dd>$1.01</dd>" in page
    assert "<dd>2.4k</dd>" in page
    assert "800 input, 1,200 cached, 400 output tokens</title>" in page
    row = cells(page)
    day = row.index(f"{TODAY:%-d %b %Y}")
    assert row[day : day + 6] == [f"{TODAY:%-d %b %Y}", "800", "1,200", "400", "$1.01", "2"]
    assert row.index("claude-opus-5-5anthropic") < row.index("claude-sonnet-5-5anthropic")
    assert page.count('role="img" aria-labelledby') == 3


def test_a_period_counts_what_lies_in_it(visitor: Callable[..., TestClient]) -> None:
    client = visitor(ENTRY, replace(ENTRY, at=(TODAY - timedelta(days=20)).isoformat()))
    assert "<dt>Model calls</dt><dd>1</dd>" in client.get("/usage?days=7").text
    assert "<dt>Model calls</dt><dd>2</dd>" in client.get("/usage").text
    assert '<dd class="more">1 before</dd>' not in client.get("/usage").text
    month = client.get("/usage", params={"month": f"{TODAY:%Y-%m}"}).text
    assert f"<h2>{TODAY:%B %Y}</h2>" in month
    assert "month=2025-12" in client.get("/usage?month=2026-01").text


def test_calls_without_a_price_are_not_passed_off_as_free(visitor: Callable[..., TestClient]) -> None:
    free = replace(ENTRY, preset="local", provider="ollama", model="qwen3", cost_usd=None)
    client = visitor(ENTRY, free)
    page = client.get("/usage").text
    assert "1 of 2 calls have no known price" in page
    assert "no price" in cells(page)[cells(page).index("qwen3ollama") + 2]


def test_each_day_is_divided_by_model_or_by_preset(visitor: Callable[..., TestClient]) -> None:
    client = visitor(ENTRY, replace(ENTRY, model="claude-opus-5-5", preset="default", cost_usd=1.0))
    by_model = client.get("/usage?days=7&by=model").text
    assert "claude-opus-5-5 1,200 tokens, claude-sonnet-5-5 1,200 tokens</title>" in by_model
    assert "claude-opus-5-5 $1.00, claude-sonnet-5-5 $0.0125</title>" in by_model
    assert '<li class="series-1">claude-opus-5-5</li><li class="series-2">claude-sonnet-5-5</li>' in by_model
    assert 'href="/usage?days=90&amp;by=model"' in by_model
    row = cells(by_model)
    day = row.index(f"{TODAY:%-d %b %Y}")
    assert row[day + 1 : day + 5] == ["1,200$1.00", "1,200$0.0125", "$1.01", "2"]
    by_preset = client.get("/usage?days=7&by=preset").text
    assert "echo 1,200 tokens, claude 1,200 tokens</title>" in by_preset


def test_what_has_no_colour_of_its_own_is_one_series(visitor: Callable[..., TestClient]) -> None:
    page = visitor(*(replace(ENTRY, model=f"m{number}") for number in range(8))).get("/usage?by=model").text
    assert '<li class="series-rest">3 others</li>' in page
    assert "3 others 3,600 tokens</title>" in page


def test_a_free_model_is_free(visitor: Callable[..., TestClient]) -> None:
    page = visitor(replace(ENTRY, cost_usd=0.0)).get("/usage").text
    assert "<dt>Cost</dt><dd>Free</dd>" in page


def test_a_ledger_without_any_price_has_no_cost(visitor: Callable[..., TestClient]) -> None:
    page = visitor(replace(ENTRY, cost_usd=None)).get("/usage").text
    assert "No price is known for any of these calls." in page
    assert "$" not in page.partition('class="figures"')[2].partition("</dl>")[0]


def test_conversations_are_named_and_linked(visitor: Callable[..., TestClient]) -> None:
    client = visitor(replace(ENTRY, cost_usd=0.5))
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": HOSTILE}]}
    client.post("/api/ai/chat/b1", json={"messages": [message]})
    page = client.get("/usage").text
    assert '<a href="/c/b1">' in page
    assert "<script>alert" not in page
    assert "Temporary and deleted chats" in page


@pytest.mark.parametrize(
    "query", ["days=8", "days=", "days=x", "month=2026-13", "month=1999-01", f"month={HOSTILE}", "by=day"]
)
def test_what_is_no_period_is_refused(visitor: Callable[..., TestClient], query: str) -> None:
    assert visitor().get(f"/usage?{query}", headers={"accept": "application/json"}).status_code == 400
