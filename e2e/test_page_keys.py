"""Keys for programs: made, shown once, used and removed, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from e2e.chat_page import Chat


@pytest.fixture(autouse=True)
def no_keys_left(chat: Chat) -> Iterator[None]:
    """From the first key on every program needs one: the other tests do without."""
    yield
    keys = f"{chat.server.url}/api/ai/keys"
    for key in chat.page.request.get(keys).json()["keys"]:
        chat.page.request.delete(f"{keys}/{key['id']}")


def ask(page: Page, chat: Chat, key: str) -> int:
    """The status of a program's request."""
    answer = page.request.post(
        f"{chat.server.url}/v1/chat/completions",
        headers={"authorization": f"Bearer {key}"},
        data={"model": "echo", "messages": [{"role": "user", "content": "hello"}]},
    )
    return answer.status


def test_a_key_is_shown_once_and_opens_the_gateway_until_it_is_removed(chat: Chat) -> None:
    page = chat.page
    page.goto(f"{chat.server.url}/settings")
    page.get_by_role("link", name="Addresses and keys").click()
    assert ask(page, chat, "anything") == 200
    page.get_by_label("Name of the program").fill("Editor")
    page.get_by_label("Dollars a month").fill("2.5")
    page.get_by_role("button", name="Create the key").click()
    expect(page.get_by_role("heading", name="The key of Editor")).to_be_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert chat.js("navigator.clipboard.readText()") == page.get_by_label("The new key").input_value()
    key = page.get_by_label("The new key").input_value()
    assert ask(page, chat, key) == 200
    assert ask(page, chat, "anything") == 401
    page.goto(f"{chat.server.url}/settings/keys")
    expect(page.get_by_text(key)).to_have_count(0)
    card = page.get_by_role("listitem").filter(has_text="Editor")
    expect(card).to_contain_text("of $2.5 this month")
    expect(card).to_contain_text("1, the last on")
    card.get_by_role("button", name="Remove the key of Editor").click()
    expect(page.get_by_text("There are no keys yet")).to_be_visible()
    assert ask(page, chat, key) == 401
    assert ask(page, chat, "anything") == 200


def test_a_limit_that_is_no_number_is_refused_and_nothing_typed_is_lost(chat: Chat) -> None:
    page = chat.page
    page.goto(f"{chat.server.url}/settings/keys")
    page.get_by_label("Name of the program").fill("Editor")
    page.get_by_label("Requests a minute").fill("many")
    page.get_by_role("button", name="Create the key").click()
    expect(page.get_by_role("alert")).to_have_text("Requests a minute: must be a number.")
    expect(page.get_by_label("Name of the program")).to_have_value("Editor")
    chat.complaints[:] = [complaint for complaint in chat.complaints if "400" not in complaint]
