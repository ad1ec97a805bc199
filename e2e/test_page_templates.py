"""The pages of prompt templates in a real browser, with scripts and without."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex

import pytest
from playwright.sync_api import Browser, Page, expect

from e2e.chat_page import Chat
from tests.server_process import ServerProcess


@pytest.fixture
def name() -> str:
    """Of a template that no other test has."""
    return f"t-{token_hex(4)}"


@pytest.fixture
def plain_page(browser: Browser) -> Iterator[Page]:
    """A browser without JavaScript."""
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def write(page: Page, server: ServerProcess, name: str, text: str) -> None:
    page.goto(f"{server.url}/templates/new")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Title").fill(f"Title of {name}")
    page.get_by_label("Text", exact=True).fill(text)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved as version")).to_be_visible()


def test_a_template_is_written_tried_saved_and_used(chat: Chat, name: str) -> None:
    page = chat.page
    write(page, chat.server, name, 'Tell {{ who }} about {{ what | default("cats") }}')
    preview = page.get_by_role("group", name="Preview")
    expect(preview).to_have_text("Tell who about cats")
    page.get_by_role("textbox", name="who", exact=True).fill("Ann")
    expect(preview).to_have_text("Tell Ann about cats")
    expect(page.get_by_role("textbox", name="who", exact=True)).to_be_focused()
    save(page)
    page.get_by_role("textbox", name="who", exact=True).fill("Bob")
    page.get_by_role("button", name="Use in a new chat").click()
    expect(chat.box).to_have_value("Tell Bob about cats")
    page.get_by_role("button", name="Send", exact=True).click()
    chat.wait()
    expect(chat.questions).to_have_text("Tell Bob about cats")


def test_a_mistake_shows_while_it_is_typed_and_goes_when_it_is_mended(chat: Chat, name: str) -> None:
    write(chat.page, chat.server, name, "fine\n{{ topic | shout }}")
    expect(chat.page.get_by_text("Line 2: there is no such filter")).to_be_visible()
    chat.page.get_by_label("Text", exact=True).fill("fine\n{{ topic | upper }}")
    expect(chat.page.get_by_text("Line 2: there is no such filter")).to_have_count(0)
    expect(chat.page.get_by_role("textbox", name="topic", exact=True)).to_be_visible()


def test_a_version_is_looked_at_and_brought_back(chat: Chat, name: str) -> None:
    page = chat.page
    write(page, chat.server, name, "the first text")
    save(page)
    page.get_by_label("Text", exact=True).fill("the second text")
    save(page)
    page.get_by_text("2 versions").click()
    page.get_by_role("link", name="Version 1").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value("the first text")
    save(page)
    expect(page.get_by_text("Saved as version 3.")).to_be_visible()


def test_the_list_follows_the_search_and_a_template_is_deleted(chat: Chat, name: str) -> None:
    page = chat.page
    write(page, chat.server, name, "some text")
    save(page)
    page.get_by_role("link", name="All templates").click()
    page.get_by_label("Search templates").press_sequentially(name)
    expect(page.locator(".prompt-list li")).to_have_count(1)
    page.get_by_role("link", name=f"Title of {name}", exact=True).click()
    page.locator("#main").get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete the template").click()
    expect(page).to_have_url(f"{chat.server.url}/templates")
    expect(page.get_by_text(f"/{name}", exact=True)).to_have_count(0)


def test_everything_works_without_a_script(plain_page: Page, server: ServerProcess, name: str) -> None:
    page = plain_page
    write(page, server, name, "Dear {{ who }}")
    page.get_by_role("button", name="Update the preview").click()
    page.get_by_label("who", exact=True).fill("Ann")
    page.get_by_role("button", name="Update the preview").click()
    expect(page.get_by_role("group", name="Preview")).to_have_text("Dear Ann")
    page.get_by_role("button", name="Add a message").click()
    expect(page.get_by_label("Message 2", exact=True)).to_be_visible()
    page.get_by_label("Who says message 1").select_option("system")
    page.get_by_label("Message 2", exact=True).fill("Begin")
    save(page)
    page.get_by_label("who", exact=True).fill("Bob")
    page.get_by_role("button", name="Use in a new chat").click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("Begin")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".question .bubble")).to_have_text("Begin")
