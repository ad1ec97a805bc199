"""The usage page in a real browser: its plots, and what is read instead of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.core.events import Usage
from app.core.usage import UsageEntry
from app.storage.sqlite import open_store
from app.storage.usage import SqliteUsageLedger
from tests.server_process import ServerProcess, server_process

DAYS = 40
MODELS = (("claude", "anthropic", "claude-sonnet-5-5", 0.02), ("local", "ollama", "qwen3:32b", None))


async def keep_books(folder: Path) -> None:
    """A call of each model on each of the last days, more on each than on the one before."""
    now = datetime.now(UTC)
    folder.mkdir(parents=True)
    store = await open_store(folder / "palaver.db", now=lambda: now)
    ledger = SqliteUsageLedger(store.database)
    for day in range(DAYS):
        for preset, provider, model, cost in MODELS:
            tokens = 1000 * (DAYS - day)
            await ledger.add(
                UsageEntry(
                    at=(now - timedelta(days=day)).isoformat(),
                    block_id=None,
                    message_id=None,
                    preset=preset,
                    provider=provider,
                    model=model,
                    purpose="chat",
                    usage=Usage(tokens, tokens // 10, None, tokens // 2, None),
                    cost_usd=cost,
                )
            )
    await store.close()


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("books")
    with ThreadPoolExecutor() as elsewhere:  # the browser's loop runs in this thread
        elsewhere.submit(asyncio.run, keep_books(folder / "data")).result()
    with server_process(folder) as running:
        yield running


def test_the_plots_show_every_day_and_grow_towards_today(page: Page, books: ServerProcess) -> None:
    page.goto(f"{books.url}/usage")
    plot = page.get_by_role("img", name="Tokens by day")
    expect(plot).to_be_visible()
    columns = plot.locator(".column")
    expect(columns).to_have_count(30)
    first, last = (columns.nth(index).locator(".input").bounding_box() for index in (0, 29))
    assert first is not None
    assert last is not None
    assert last["height"] > first["height"]
    assert last["x"] > first["x"]
    box = plot.bounding_box()
    assert box is not None
    assert last["x"] + last["width"] <= box["x"] + box["width"]


def test_whoever_points_at_a_day_gets_its_numbers(page: Page, books: ServerProcess) -> None:
    page.goto(f"{books.url}/usage?days=7")
    today = page.get_by_role("img", name="Tokens by day").locator(".column").last
    assert "40,000 input, 40,000 cached, 8,000 output tokens" in (today.locator("title").text_content() or "")


def test_a_period_is_chosen_by_a_link(page: Page, books: ServerProcess) -> None:
    page.goto(f"{books.url}/usage")
    expect(page.get_by_role("navigation", name="Period").get_by_role("link", name="30 days")).to_have_attribute(
        "aria-current", "page"
    )
    page.get_by_role("link", name="90 days").click()
    expect(page.get_by_role("heading", name="The last 90 days")).to_be_visible()
    expect(page.locator(".figures")).to_contain_text(str(2 * DAYS))
    page.get_by_role("link", name="Month").click()
    page.get_by_role("navigation", name="Months").get_by_role("link").first.click()
    expect(page.get_by_role("navigation", name="Months").get_by_role("link")).to_have_count(2)


def test_each_day_is_divided_by_model_or_preset(page: Page, books: ServerProcess) -> None:
    page.goto(f"{books.url}/usage?days=7")
    page.get_by_role("navigation", name="Each day divided by").get_by_role("link", name="Model").click()
    today = page.get_by_role("img", name="Tokens by day").locator(".column").last
    assert "claude-sonnet-5-5 44,000 tokens, qwen3:32b 44,000 tokens" in (today.locator("title").text_content() or "")
    one, other = (today.locator(f".series-{number}").bounding_box() for number in (1, 2))
    assert one is not None
    assert other is not None
    assert abs(other["y"] + other["height"] - one["y"]) < 1  # on top of each other
    colours = {today.locator(f".series-{n}").evaluate("bar => getComputedStyle(bar).fill") for n in (1, 2)}
    assert len(colours) == 2
    page.get_by_text("The numbers, day by day").click()
    table = page.get_by_role("group", name="Day by day")
    expect(table.get_by_role("columnheader", name="claude-sonnet-5-5")).to_be_visible()
    page.get_by_role("link", name="Preset").click()
    expect(page.locator(".legend")).to_have_text(re.compile("claude\\s*local"))
    page.get_by_role("link", name="30 days").click()
    expect(page.get_by_role("link", name="Preset")).to_have_attribute("aria-current", "page")


def test_calls_without_a_price_are_told(page: Page, books: ServerProcess) -> None:
    page.goto(f"{books.url}/usage")
    expect(page.get_by_text("30 of 60 calls have no known price")).to_be_visible()
    expect(page.get_by_role("row", name="qwen3:32b")).to_contain_text("no price")


def test_without_javascript_everything_is_there(browser: Browser, books: ServerProcess) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{books.url}/usage?days=7")
        expect(page.get_by_role("img", name="Cost by day")).to_be_visible()
        page.get_by_text("The numbers, day by day").click()
        expect(page.get_by_role("group", name="Day by day").get_by_role("row")).to_have_count(8)


@pytest.mark.parametrize("width", [320, 768, 1920])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_it_fits_every_window(browser: Browser, books: ServerProcess, width: int, colours: str) -> None:
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=colours) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{books.url}/usage?days=90")
        expect(page.get_by_role("img", name="Tokens by day")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= document.body.clientWidth")
        colour = page.locator(".plot .input").first.evaluate("bar => getComputedStyle(bar).fill")
        assert colour == ("rgb(15, 118, 110)" if colours == "light" else "rgb(92, 201, 187)")
