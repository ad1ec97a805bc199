"""The list at the side of the htmx page, its menu and search, the palette, keys, several tabs, temporary chats."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from secrets import token_hex
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Error, Locator, Page, Route, expect

from e2e.chat_page import Chat
from tests.server_process import ServerProcess
from tests.upstream import Gate, Upstream, chat_answer


def call(server: ServerProcess, method: str, path: str, body: object = None) -> None:
    content = None if body is None else json.dumps(body).encode()
    with urlopen(Request(server.url + path, content, {"content-type": "application/json"}, method=method)):
        pass


def keep(server: ServerProcess, text: str, updated: str | None = None) -> str:
    """A stored conversation with that question; its block id."""
    block = f"kept-{token_hex(6)}"
    messages = [
        {"id": "q", "role": "user", "parts": [{"type": "text", "text": text}]},
        {"id": "a", "role": "assistant", "parts": [{"type": "text", "text": f"An answer to: {text}"}]},
    ]
    said = {"id": block, "title": text, "messages": messages, "createdAt": updated, "updatedAt": updated}
    if updated is None:
        call(server, "POST", f"/api/ai/conversations/{block}", {"messages": messages})
    else:
        call(server, "POST", "/api/ai/conversations/import", {"palaver": 1, "conversation": said})
    return block


@pytest.fixture
def clean(server: ServerProcess) -> None:
    """No conversations of earlier tests, however many: a list has at most 200."""
    while items := listed(server):
        for item in items:
            call(server, "DELETE", f"/api/ai/conversations/{item['id']}")


def listed(server: ServerProcess) -> list[dict[str, Any]]:
    with urlopen(f"{server.url}/api/ai/conversations?archived=all&limit=200") as answer:
        conversations: list[dict[str, Any]] = json.load(answer)["conversations"]
        return conversations


def row(chat: Chat, title: str) -> Locator:
    return chat.page.locator(".conversation").filter(has=chat.page.get_by_text(title, exact=True))


def menu(chat: Chat, title: str, item: str) -> None:
    row(chat, title).hover()
    row(chat, title).get_by_title("Options").click()
    chat.page.get_by_role("menuitem", name=item).click()


def second_tab(chat: Chat) -> Chat:
    other = Chat(chat.page.context.new_page(), chat.server, chat.complaints)
    other.watch()
    other.open()
    return other


def test_conversations_stand_under_the_days_of_the_reader(browser: Browser, server: ServerProcess, clean: None) -> None:
    keep(server, "late", "2026-03-01T22:30:00.000000Z")
    keep(server, "early", "2026-03-01T08:00:00.000000Z")
    keep(server, "long ago", "2024-12-31T23:30:00.000000Z")

    def shown(zone: str) -> list[str]:
        with browser.new_context(timezone_id=zone) as context:
            page = context.new_page()
            page.clock.set_fixed_time("2026-03-02T12:00:00Z")
            page.goto(server.url)
            expect(page.locator(".group")).to_have_count(expected[zone])
            return page.locator("#conversations li:not(.show-more)").locator("h2, .title").all_inner_texts()

    expected = {"UTC": 2, "Asia/Tokyo": 3}
    assert shown("UTC") == ["Yesterday", "late", "early", "December 2024", "long ago"]
    assert shown("Asia/Tokyo") == ["Today", "late", "Yesterday", "early", "January 2025", "long ago"]


def test_a_conversation_is_renamed_in_its_place(chat: Chat, clean: None) -> None:
    chat.open()
    chat.ask("say hi")
    menu(chat, "say hi", "Rename")
    field = chat.page.get_by_role("textbox", name="Title")
    expect(field).to_be_focused()
    field.fill("Not this")
    field.press("Escape")
    expect(row(chat, "say hi").get_by_role("link").first).to_be_focused()
    chat.page.keyboard.press("F2")
    field.fill("A <b>better</b> name")
    field.press("Enter")
    expect(row(chat, "A <b>better</b> name")).to_be_visible()
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("A <b>better</b> name")
    chat.page.reload()
    expect(row(chat, "A <b>better</b> name")).to_be_visible()


def test_a_list_that_comes_late_leaves_the_title_that_is_being_written(chat: Chat, clean: None) -> None:
    keep(chat.server, "the one")
    chat.open()
    keep(chat.server, "of another browser")
    asked = list[Route]()
    lookups = re.compile(r"/api/ai/conversations\?")
    chat.page.route(lookups, lambda route: asked.append(route))
    look = "document.querySelector('#conversations').dispatchEvent(new Event('stale'))"
    with chat.page.expect_request(lookups):
        chat.js(look)
    menu(chat, "the one", "Rename")
    field = chat.page.get_by_role("textbox", name="Title")
    field.fill("half a")
    with chat.page.expect_response(lookups):
        asked[0].continue_()
    chat.settle()
    expect(field).to_have_value("half a")
    expect(field).to_be_focused()
    chat.page.unroute(lookups)
    field.press("Escape")
    chat.js(look)
    expect(row(chat, "of another browser")).to_be_visible()
    expect(row(chat, "the one")).to_be_visible()


def test_a_conversation_is_pinned_and_archived_and_comes_back(chat: Chat, clean: None) -> None:
    keep(chat.server, "older")
    keep(chat.server, "newer")
    chat.open()
    titles = chat.page.locator("#conversations .title")
    expect(titles).to_have_text(["newer", "older"])
    menu(chat, "older", "Pin")
    expect(titles).to_have_text(["older", "newer"])
    expect(chat.page.locator(".group")).to_have_text(["Pinned", "Today"])
    menu(chat, "older", "Unpin")
    expect(titles).to_have_text(["newer", "older"])
    menu(chat, "newer", "Archive")
    expect(titles).to_have_text(["older"])
    archive = chat.page.get_by_role("checkbox", name="Archived conversations")
    archive.check(force=True)
    expect(titles).to_have_text(["newer"])
    menu(chat, "newer", "Unarchive")
    expect(chat.page.get_by_text("Nothing is archived.")).to_be_visible()
    archive.uncheck(force=True)
    expect(titles).to_have_text(["newer", "older"])


def test_a_deleted_conversation_comes_back_by_undo(chat: Chat, clean: None) -> None:
    keep(chat.server, "the one")
    keep(chat.server, "another")
    chat.open()
    menu(chat, "the one", "Delete")
    expect(row(chat, "the one")).to_have_count(0)
    toast = chat.page.locator("#toast")
    expect(toast).to_contain_text("Conversation deleted.")
    toast.get_by_role("button", name="Undo").click()
    expect(row(chat, "the one")).to_be_visible()
    expect(toast).to_be_hidden()


def test_an_archived_conversation_comes_back_by_undo_and_the_focus_stays_in_the_list(chat: Chat, clean: None) -> None:
    keep(chat.server, "older")
    keep(chat.server, "newer")
    chat.open()
    menu(chat, "newer", "Archive")
    expect(row(chat, "newer")).to_have_count(0)
    toast = chat.page.locator("#toast")
    expect(toast).to_contain_text("Conversation archived.")
    expect(row(chat, "older").locator(".title")).to_be_focused()
    toast.get_by_role("button", name="Undo").click()
    expect(row(chat, "newer")).to_be_visible()
    expect(toast).to_be_hidden()


@pytest.mark.parametrize("script", [True, False])
def test_the_address_of_a_deleted_conversation_says_so_and_brings_it_back(
    chat: Chat, scriptless: Page, clean: None, script: bool
) -> None:
    block = keep(chat.server, "keep me")
    call(chat.server, "POST", f"/api/ai/conversations/{block}/trash")
    page = chat.page if script else scriptless
    page.goto(f"{chat.server.url}/c/{block}")
    expect(page.get_by_text("This conversation was deleted.")).to_be_visible()
    page.get_by_role("button", name="Bring it back").click()
    expect(page.locator(".bubble")).to_have_text("keep me")
    expect(page).to_have_url(f"{chat.server.url}/c/{block}")
    page.goto(f"{chat.server.url}/c/never-heard-of")
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
    expect(page.get_by_text("was deleted")).to_have_count(0)


def test_what_is_said_at_the_address_of_a_deleted_conversation_leaves_it_in_the_trash(chat: Chat, clean: None) -> None:
    block = keep(chat.server, "keep me")
    call(chat.server, "POST", f"/api/ai/conversations/{block}/trash")
    chat.open(block=block)
    chat.ask("say hello")
    assert not chat.page.url.endswith(block)
    expect(chat.page.get_by_text("was deleted")).to_have_count(0)
    call(chat.server, "POST", f"/api/ai/conversations/{block}/restore")


def test_a_deleted_conversation_that_another_tab_goes_on_with_is_brought_back(chat: Chat, clean: None) -> None:
    chat.open()
    chat.ask("say one")
    other = second_tab(chat)
    menu(other, "say one", "Delete")
    expect(row(other, "say one")).to_have_count(0)
    chat.ask("say two", answers=2)
    assert chat.shown() == ["say one", "one", "say two", "two"]
    assert len(chat.stored()) == 4


def test_the_list_is_put_away_for_as_long_as_one_likes(chat: Chat) -> None:
    page = chat.page
    chat.open()
    sidebar, show = page.locator("#sidebar"), page.get_by_role("button", name="Show the list")
    expect(show).to_be_hidden()
    page.get_by_role("button", name="Hide the list").click()
    expect(sidebar).to_be_hidden()
    expect(show).to_be_focused()
    assert page.locator(".chat").evaluate("chat => chat.getBoundingClientRect().left") == 0
    page.reload()
    expect(sidebar).to_be_hidden()
    expect(page.get_by_role("link", name="New chat", exact=True)).to_be_visible()
    page.keyboard.press("Control+Shift+S")
    expect(sidebar).to_be_visible()
    expect(show).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.insert_text("hide or show")
    page.keyboard.press("Enter")
    expect(sidebar).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    page.keyboard.press("Control+Shift+S")
    expect(sidebar).to_be_visible()  # a drawer


def test_a_search_that_finds_nothing_goes_on_in_the_archive(chat: Chat, clean: None) -> None:
    block = keep(chat.server, "all about submarines")
    call(chat.server, "PATCH", f"/api/ai/blocks/{block}", {"archived": True})
    chat.open()
    search = chat.page.get_by_role("searchbox", name="Search conversations")
    search.fill("submarines")
    chat.page.get_by_role("button", name="Search the archive").click()
    expect(row(chat, "all about submarines")).to_be_visible()
    expect(search).to_be_focused()
    expect(chat.page.get_by_role("checkbox", name="Archived conversations")).to_be_checked()


def test_exporting_the_open_conversation_does_not_leave_it(chat: Chat, clean: None) -> None:
    page = chat.page
    chat.open()
    chat.ask("say hi")
    address = page.url
    page.get_by_role("link", name="Share, export and more").click()
    page.get_by_role("menuitem", name="Export").click()
    dialog = page.get_by_role("dialog", name="Export the conversation")
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Markdown").click()
    assert download.value.suggested_filename.endswith(".md")
    expect(dialog).to_be_hidden()
    assert page.url == address


def test_deleting_the_open_conversation_leads_to_a_new_chat_and_back(chat: Chat, clean: None) -> None:
    chat.open()
    chat.ask("say hi")
    block = chat.page.url.rpartition("/")[2]
    menu(chat, "say hi", "Delete")
    expect(chat.page.get_by_role("heading", name="What shall we talk about?")).to_be_visible()
    expect(chat.page).to_have_url(f"{chat.server.url}/")
    chat.page.get_by_role("button", name="Undo").click()
    expect(chat.page).to_have_url(re.compile(block))
    expect(chat.questions).to_have_text("say hi")


def test_the_menu_is_used_by_keyboard_alone(chat: Chat, clean: None) -> None:
    keep(chat.server, "first")
    keep(chat.server, "second")
    chat.open()
    chat.page.get_by_role("searchbox").focus()
    keys = chat.page.keyboard
    for key in ("ArrowDown", "ArrowDown", "Tab", "Enter"):
        keys.press(key)
    items = chat.page.get_by_role("menuitem")
    expect(items.first).to_be_focused()
    keys.press("ArrowUp")
    expect(items.last).to_be_focused()
    keys.press("Home")
    keys.press("ArrowDown")
    expect(items.nth(1)).to_be_focused()
    keys.press("Escape")
    expect(chat.page.get_by_role("menu")).to_be_hidden()
    expect(row(chat, "first").get_by_title("Options")).to_be_focused()
    keys.press("Enter")
    expect(items.first).to_be_focused()
    keys.press("ArrowDown")
    expect(items.nth(1)).to_be_focused()
    keys.press("Enter")
    expect(chat.page.locator(".group").first).to_have_text("Pinned")
    row(chat, "second").get_by_role("link").first.focus()
    keys.press("Delete")
    expect(row(chat, "second")).to_have_count(0)
    expect(chat.page.locator("#toast")).to_be_visible()


def test_the_search_shows_where_the_words_are(chat: Chat, clean: None) -> None:
    keep(chat.server, "all about submarines")
    keep(chat.server, "all about gardens")
    chat.open()
    search = chat.page.get_by_role("searchbox")
    search.fill("submar")
    titles = chat.page.locator("#conversations .title > span")
    expect(titles).to_have_text(["all about submarines"])
    expect(chat.page.locator("#conversations mark")).to_have_text("submarines")
    search.fill("nobody said this")
    expect(chat.page.get_by_text("Nothing found for “nobody said this”.")).to_be_visible()
    search.fill("")
    expect(titles).to_have_count(2)


def ask_in_turn(chat: Chat, first: str, *others: str) -> None:
    """The same question in several versions."""
    chat.open()
    chat.ask(first)
    for number, words in enumerate(others, 2):
        chat.page.locator(".question").first.hover()
        chat.page.get_by_role("link", name="Edit the message").first.click()
        chat.ask(words)
        versions = chat.page.get_by_role("group", name="Versions of the question")
        expect(versions).to_contain_text(f"{number}/{number}")
        chat.wait()


@pytest.mark.parametrize("way", ["list", "palette"])
def test_what_another_version_says_is_found_and_shown(chat: Chat, clean: None, way: str) -> None:
    ask_in_turn(chat, "say hello", "say the **garden** of [my aunt](https://example.org)", "say a forest")
    if way == "list":
        chat.page.get_by_role("searchbox", name="Search conversations").fill("garden")
        found = chat.page.locator(".conversation small")
        expect(found).to_have_text("In another version: the garden of my aunt")
        chat.page.locator(".conversation .title").click()
    else:
        chat.page.keyboard.press("Control+k")
        chat.page.keyboard.insert_text("garden")
        chat.page.locator("#palette [role=option]", has_text="garden").click()
    expect(chat.questions).to_contain_text("garden")
    expect(chat.page).to_have_url(re.compile(r"/c/[\w-]+$"))
    expect(chat.page.locator("#notice")).to_be_empty()
    expect(chat.page.get_by_role("group", name="Versions of the question")).to_contain_text("2/3")


def test_without_javascript_another_version_is_offered(chat: Chat, scriptless: Page, clean: None) -> None:
    ask_in_turn(chat, "say hello", "say goodbye")
    block = chat.page.url.rpartition("/")[2]
    branches = chat.page.request.get(f"{chat.server.url}/api/ai/conversations/{block}/branches").json()["branches"]
    scriptless.goto(chat.page.url + "?branch=" + branches[0][0]["branch"])
    scriptless.get_by_role("button", name="Show it").click()
    expect(scriptless.locator(".bubble")).to_have_text("say hello")


@pytest.mark.parametrize("way", ["list", "palette"])
def test_what_is_found_far_above_the_end_is_shown(chat: Chat, clean: None, way: str) -> None:
    texts = [f"message {number}" for number in range(130)]
    texts[21] = "about submarines"
    messages = [
        {"id": f"m{number}", "role": ("user", "assistant")[number % 2], "parts": [{"type": "text", "text": text}]}
        for number, text in enumerate(texts)
    ]
    call(chat.server, "POST", "/api/ai/conversations/long", {"messages": messages})
    chat.open()
    if way == "list":
        chat.page.get_by_role("searchbox", name="Search conversations").fill("submarines")
        chat.page.locator(".conversation mark").click()
    else:
        chat.page.keyboard.press("Control+k")
        chat.page.keyboard.insert_text("submarines")
        expect(chat.page.locator("#palette mark")).to_be_visible()
        chat.page.keyboard.press("Enter")
    found = chat.page.locator("#m-m21")
    expect(found).to_be_focused()
    expect(found).to_be_in_viewport()
    expect(chat.page).to_have_url(f"{chat.server.url}/c/long")


def test_what_is_found_two_thousand_messages_up_comes_with_one_request(chat: Chat, clean: None) -> None:
    messages = [
        {"id": f"m{number}", "role": ("user", "assistant")[number % 2], "parts": [{"type": "text", "text": text}]}
        for number in range(2_000)
        for text in ("about submarines" if number == 21 else f"message {number}",)
    ]
    call(chat.server, "POST", "/api/ai/conversations/longer", {"messages": messages})
    asked = list[str]()
    chat.page.on("request", lambda request: "?before=" in request.url and asked.append(request.url))
    chat.page.goto(f"{chat.server.url}/?q=submarines")
    chat.page.locator(".conversation mark").click()
    expect(chat.page.locator("#m-m21")).to_be_focused()
    expect(chat.page.locator("#m-m21")).to_be_in_viewport()
    assert len(asked) == 1
    shown = "[...document.querySelectorAll('.message')].map(({ id }) => Number(id.slice(3)))"
    assert chat.js(shown) == [*range(21, 61), *range(1_960, 2_000)]
    chat.page.get_by_role("link", name="Show the messages between").click()
    expect(chat.page.locator("#m-m61")).to_be_attached()
    chat.js("document.querySelector('#earlier a').click()")
    expect(chat.page.locator("#m-m0")).to_be_attached()
    assert chat.js(shown) == [*range(101), *range(1_960, 2_000)]
    assert chat.ask("say hello", answers=71).inner_text() == "hello"


def test_the_messages_between_end_where_the_page_goes_on(chat: Chat, clean: None) -> None:
    messages = [
        {"id": f"m{number}", "role": ("user", "assistant")[number % 2], "parts": [{"type": "text", "text": "words"}]}
        for number in range(130)
    ]
    call(chat.server, "POST", "/api/ai/conversations/longer", {"messages": messages})
    chat.page.goto(f"{chat.server.url}/c/longer#m-m21")
    between = chat.page.get_by_role("link", name="Show the messages between")
    between.click()
    expect(between).to_have_count(0)
    shown = "[...document.querySelectorAll('.message')].map(({ id }) => Number(id.slice(3)))"
    assert chat.js(shown) == [*range(21, 130)]


def test_show_more_goes_on_with_what_was_searched(chat: Chat, clean: None) -> None:
    for number in range(45):
        keep(chat.server, f"garden {number}")
    keep(chat.server, "something else")
    chat.open()
    chat.page.get_by_role("searchbox").fill("garden")
    titles = chat.page.locator("#conversations .title")
    expect(titles).to_have_count(40)
    expect(titles.first).to_contain_text("garden 44")
    chat.page.get_by_role("link", name="Show more").click()
    expect(titles).to_have_count(45)
    expect(titles.last).to_contain_text("garden 0")
    menu(chat, "garden 44", "Pin")
    expect(row(chat, "garden 44")).to_have_attribute("data-pinned", "")
    expect(titles).to_have_count(45)


def test_the_palette_finds_conversations_commands_and_presets(chat: Chat, clean: None) -> None:
    block = keep(chat.server, "all about submarines")
    chat.open()
    keys = chat.page.keyboard
    keys.press("Control+k")
    field = chat.page.get_by_role("combobox", name="Find a conversation or a command")
    expect(field).to_be_focused()
    options = chat.page.locator("#palette").get_by_role("option")
    keys.type("parrot")
    selected = chat.page.locator("[role=option][aria-selected=true]")
    expect(selected).to_contain_text("Parrot")
    keys.press("Enter")
    expect(chat.page.get_by_label("Preset")).to_have_value("parrot")
    keys.press("Control+k")
    expect(field).to_have_value("")
    first = options.first.inner_text()
    keys.press("ArrowDown")
    expect(selected).not_to_have_text(first)
    chosen = selected.get_attribute("id")
    assert field.get_attribute("aria-activedescendant") == chosen
    keys.press("ArrowUp")
    expect(selected).to_have_text(first)
    keys.type("submarines")
    expect(selected).to_contain_text("all about submarines")
    keys.press("Enter")
    chat.page.wait_for_url(f"{chat.server.url}/c/{block}")
    keys.press("Control+k")
    expect(field).to_be_focused()
    keys.type("rename")
    keys.press("Enter")
    expect(chat.page.get_by_role("textbox", name="Title")).to_be_focused()
    keys.press("Escape")
    keys.press("Control+k")
    expect(field).to_be_focused()
    keys.type("toggle light")
    keys.press("Enter")
    assert chat.js("document.documentElement.dataset.theme") in ("light", "dark")
    keys.press("Control+k")
    expect(field).to_be_focused()
    keys.type("no such thing at all")
    expect(chat.page.locator("#palette [role=status]")).to_have_text("Nothing found.")
    keys.press("Escape")
    expect(chat.page.locator("#palette")).to_be_hidden()


def test_what_comes_late_to_the_palette_is_shown_where_it_still_belongs(chat: Chat, clean: None) -> None:
    keep(chat.server, "all about parrots")
    chat.open()
    asked = list[Route]()
    searches, presets = re.compile(r"/api/ai/conversations\?limit"), re.compile("/api/ai/presets$")
    for address in (searches, presets):
        chat.page.route(address, lambda route: asked.append(route))
    keys, selected = chat.page.keyboard, chat.page.locator("#palette [aria-selected=true]")
    with chat.page.expect_request(presets):
        keys.press("Control+k")
    with chat.page.expect_request(searches):
        keys.type("parrot")
    with chat.page.expect_response(presets):
        asked[0].continue_()
    expect(selected).to_contain_text("Parrot")
    keys.press("Escape")
    keys.press("Control+k")
    keys.press("ArrowDown")
    expect(selected).to_have_id("palette-1")
    with suppress(Error):  # given up is good as well
        asked[1].continue_()
    chat.page.unroute(searches)
    chat.settle()
    expect(selected).to_have_id("palette-1")


def test_keys_open_the_sheet_a_new_chat_and_the_box(chat: Chat, clean: None) -> None:
    chat.open(block=keep(chat.server, "all about keys"))
    keys = chat.page.keyboard
    sheet = chat.page.get_by_role("dialog", name="Keyboard shortcuts")
    keys.press("Control+/")
    expect(sheet).to_be_visible()
    keys.press("Escape")
    chat.page.locator("#conversation-title").click()
    keys.press("/")
    expect(chat.box).to_be_focused()
    keys.type("?")
    expect(sheet).to_be_hidden()
    expect(chat.box).to_have_value("?")
    chat.box.fill("")
    chat.page.locator("#conversation-title").click()
    keys.press("?")
    expect(sheet).to_be_visible()
    sheet.get_by_role("checkbox").uncheck()
    keys.press("Escape")
    chat.page.reload()
    chat.page.locator("#conversation-title").click()
    keys.press("?")
    expect(sheet).to_be_hidden()
    keys.press("Control+Shift+O")
    expect(chat.page).to_have_url(f"{chat.server.url}/")


def test_tabs_are_in_step(chat: Chat, clean: None) -> None:
    keep(chat.server, "there before")
    chat.open()
    other = second_tab(chat)
    expect(row(other, "there before")).to_be_visible()
    chat.ask("say something new")
    expect(row(other, "say something new")).to_be_visible()
    menu(chat, "there before", "Pin")
    expect(other.page.locator(".group").first).to_have_text("Pinned")
    menu(other, "say something new", "Rename")
    expect(other.page.get_by_role("textbox", name="Title")).to_be_focused()
    other.page.keyboard.type("From the other tab")
    other.page.keyboard.press("Enter")
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("From the other tab")
    menu(other, "there before", "Delete")
    expect(row(chat, "there before")).to_have_count(0)


def test_a_running_answer_is_marked_and_then_an_unread_one(chat: Chat, upstream: Upstream, clean: None) -> None:
    gate = Gate()
    frames = chat_answer("Once upon a time")
    upstream.reply([*frames[:2], gate, *frames[2:]])
    other = second_tab(chat)
    chat.open("fake-openai")
    chat.send("Tell me a story")
    mark = row(other, "Tell me a story").locator(".state")
    expect(mark).to_have_text(", being answered")
    chat.page.goto(f"{chat.server.url}/")
    gate.open()
    expect(mark).to_have_text(", new")
    expect(row(chat, "Tell me a story").locator(".state")).to_have_text(", new")
    row(other, "Tell me a story").get_by_role("link").first.click()
    expect(other.answers).to_have_count(1)
    expect(row(other, "Tell me a story").locator(".state")).to_have_count(0)
    expect(row(chat, "Tell me a story").locator(".state")).to_have_count(0)


def test_a_temporary_chat_is_remembered_by_the_page_alone(chat: Chat, clean: None) -> None:
    chat.page.goto(chat.server.url)
    chat.page.get_by_role("link", name="Temporary chat").click()
    expect(chat.page.get_by_text("Nothing of it is kept")).to_be_visible()
    chat.ask("say one")
    chat.ask("say two", answers=2)
    history = json.loads(chat.page.locator("#history").input_value())
    assert [message["role"] for message in history] == ["user", "assistant"] * 2
    earlier = chat.last_answer_id()
    chat.answers.last.get_by_role("button", name="Answer again").click()
    chat.wait(2, after=earlier)
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("Temporary chat")
    expect(chat.page.get_by_text("No conversations yet.")).to_be_visible()
    chat.page.reload()
    expect(chat.questions).to_have_count(0)
    expect(chat.page.get_by_text("Nothing of it is kept")).to_be_visible()
    assert chat.page.locator("#history").input_value() == "[]"


def test_a_temporary_chat_runs_tools_that_ask_first(chat: Chat, clean: None) -> None:
    chat.page.goto(f"{chat.server.url}/temporary?preset=tools")
    chat.send("approve")
    history = chat.page.locator("#history")
    expect(history).to_have_value(re.compile("approval-requested"))
    chat.page.locator("[name=approve]").click()
    expect(history).not_to_have_value(re.compile("approval-requested"))
    chat.wait(1)
    [_, answer] = json.loads(history.input_value())
    assert [part["state"] for part in answer["parts"] if "toolCallId" in part] == ["output-error"]


@pytest.fixture
def scriptless(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    with browser.new_context(java_script_enabled=False) as context:
        yield context.new_page()


def test_without_javascript_the_list_is_searched_and_changed(
    scriptless: Page, server: ServerProcess, clean: None
) -> None:
    keep(server, "all about submarines")
    keep(server, "all about gardens")
    page = scriptless
    titles = page.locator("#conversations .title > span")
    page.goto(server.url)
    page.get_by_role("searchbox").fill("submarines")
    page.get_by_role("button", name="Search").click()
    expect(titles).to_have_text(["all about submarines"])
    page.get_by_role("link", name="Options of “all about submarines”").click()
    page.get_by_label("Title").fill("Down below")
    page.get_by_role("button", name="Rename").click()
    expect(titles.first).to_have_text("all about gardens")
    expect(titles.last).to_have_text("Down below")
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(titles.first).to_have_text("Down below")
    page.get_by_role("button", name="Delete").click()
    expect(titles).to_have_text(["all about gardens"])
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Down below")


def test_without_javascript_a_temporary_chat_goes_on(scriptless: Page, server: ServerProcess, clean: None) -> None:
    chat = Chat(scriptless, server)
    scriptless.goto(f"{server.url}/temporary")
    chat.send("say one")
    chat.send("say two")
    expect(chat.questions).to_have_text(["say one", "say two"])
    expect(scriptless.get_by_text("No conversations yet.")).to_be_visible()


@pytest.mark.parametrize("width", [320, 390])
def test_on_a_phone_the_drawer_has_it_all(chat: Chat, clean: None, width: int) -> None:
    keep(chat.server, "all about phones")
    chat.page.set_viewport_size({"width": width, "height": 740})
    chat.open()
    opener = chat.page.get_by_role("button", name="Conversations")
    opener.click()
    row(chat, "all about phones").get_by_title("Options").click()
    item = chat.page.get_by_role("menuitem", name="Pin")
    expect(item).to_be_in_viewport(ratio=1)
    item.click()
    expect(chat.page.locator(".group").first).to_have_text("Pinned")
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_role("navigation")).to_be_hidden()
    expect(opener).to_be_focused()
    opener.click()
    chat.page.mouse.click(width - 10, 400)
    expect(chat.page.get_by_role("navigation")).to_be_hidden()
    assert chat.js("document.scrollingElement.scrollWidth") <= width
