"""Sharing by a link, exporting and importing, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from playwright.sync_api import Browser, Page, expect

from e2e.chat_page import Chat


@pytest.fixture
def reader(browser: Browser) -> Iterator[Page]:
    """Somebody else's browser."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def share(page: Page) -> None:
    page.get_by_role("link", name="Share, export and more").click()
    page.get_by_role("menuitem", name="Share").click()


def test_a_link_shows_what_was_said_until_it_is_revoked(chat: Chat, reader: Page) -> None:
    page = chat.page
    chat.open()
    chat.ask("say **hello** there")
    share(page)
    dialog = page.get_by_role("dialog", name="Share the conversation")
    dialog.get_by_role("button", name="Create a link").click()
    link = dialog.get_by_label("Link 1").input_value()
    assert link.startswith(f"{chat.server.url}/share/")
    reader.goto(link)
    expect(reader.locator(".answer strong")).to_have_text("hello")
    expect(reader.get_by_role("navigation")).to_have_count(0)
    expect(reader.get_by_role("textbox")).to_have_count(0)
    dialog.get_by_role("button", name="Close").click()
    chat.ask("said later", answers=2)
    reader.reload()
    expect(reader.locator(".question")).to_have_count(1)
    share(page)
    dialog.get_by_role("button", name="Revoke link 1").click()
    expect(dialog.get_by_label("Link 1")).to_have_count(0)
    reader.reload()
    expect(reader.get_by_text("The link may have been revoked.")).to_be_visible()


def test_an_empty_chat_offers_nothing_to_share(chat: Chat) -> None:
    chat.open()
    expect(chat.page.get_by_role("link", name="Share, export and more")).to_be_hidden()


def test_a_link_is_made_without_a_script(chat: Chat, browser: Browser) -> None:
    chat.open()
    chat.ask("hello")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(chat.page.url)
    page.get_by_role("link", name="Share, export and more").click()
    page.get_by_role("link", name="Share by a link").click()
    page.get_by_role("button", name="Create a link").click()
    expect(page.get_by_label("Link 1")).to_have_value(re.compile("/share/"))
    page.goto(chat.server.url + page.get_by_label("Link 1").input_value())
    expect(page.locator(".question .bubble")).to_have_text("hello")
    context.close()


def test_a_large_file_is_imported_in_parts_and_says_what_it_left_out(chat: Chat, tmp_path: Path) -> None:
    mark = token_hex(4)
    said = [{"role": "user", "content": "x" * 30_000}]
    items = [{"id": f"{mark}-{number}", "title": f"{mark} {number}", "messages": said} for number in range(450)]
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps([*items, {"nothing": 1}]))
    chat.page.goto(f"{chat.server.url}/transfer")
    form = chat.page.locator("#import")
    form.get_by_label("A file with conversations").set_input_files(file)
    form.get_by_role("button", name="Import").click()
    expect(form.get_by_role("status")).to_have_text("450 imported, 1 skipped.")
    expect(form.get_by_role("listitem")).to_contain_text("Number 451: This is no conversation")


def test_a_file_that_is_none_is_told(chat: Chat, tmp_path: Path) -> None:
    file = tmp_path / "export.zip"
    file.write_bytes(b"PK\x03\x04")
    chat.page.goto(f"{chat.server.url}/transfer")
    form = chat.page.locator("#import")
    form.get_by_label("A file with conversations").set_input_files(file)
    form.get_by_role("button", name="Import").click()
    expect(form.get_by_role("status")).to_contain_text("unpack it and choose conversations.json")
