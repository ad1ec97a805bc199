"""What can be done with a message, in a real browser: by mouse, by touch, by keyboard, and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from e2e.chat_page import Chat
from tests.server_process import ServerProcess
from tests.upstream import Gate, Upstream, chat_answer

WIDTHS = {"wide": (1280, 800), "narrow": (390, 844)}
FOCUSED = "document.activeElement.closest('.message')?.className"


@pytest.fixture(params=list(WIDTHS))
def sized(request: pytest.FixtureRequest, page: Page, chat: Chat) -> Chat:
    """The page at a desk and on a phone."""
    width, height = WIDTHS[request.param]
    page.set_viewport_size({"width": width, "height": height})
    return chat


def save(chat: Chat, *texts: str) -> str:
    """A conversation of questions and answers in turn; its block id."""
    block = f"messages-{token_hex(6)}"
    said = [
        {"id": f"m{i}", "role": "assistant" if i % 2 else "user", "parts": [{"type": "text", "text": text}]}
        for i, text in enumerate(texts)
    ]
    answered = chat.page.request.post(
        f"{chat.server.url}/api/ai/conversations/{block}",
        data={"messages": said},
        headers={"accept": "application/json", "origin": chat.server.url},
    )
    assert answered.ok, answered.text()
    return block


def said(chat: Chat) -> list[str]:
    return [part["text"] for message in chat.stored() for part in message["parts"] if part["type"] == "text"]


def feedback(chat: Chat) -> list[dict[str, Any]]:
    block = chat.page.url.rpartition("/")[2]
    found: list[dict[str, Any]] = chat.page.request.get(
        f"{chat.server.url}/api/ai/conversations/{block}/feedback"
    ).json()["feedback"]
    return found


def more(message: Locator) -> Locator:
    message.hover()
    message.get_by_role("button", name="More").click()
    return message.page.get_by_role("menu", name="More with this message")


def test_an_answer_is_copied_as_it_was_written_and_as_it_is_shown(sized: Chat) -> None:
    sized.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    text = "# Title\n\nSome **bold** text.\n\n```python\nprint(1)\n```"
    sized.open(block=save(sized, "Show me\nsome *Markdown*", text))
    sized.answers.first.get_by_label("Copy the answer").click()
    expect(sized.answers.first.locator("[data-copied]")).to_be_visible()
    assert sized.js("navigator.clipboard.readText()") == text
    html = sized.js(
        "navigator.clipboard.read().then(([item]) => item.getType('text/html')).then((blob) => blob.text())"
    )
    assert "<strong>bold</strong>" in html
    assert "code-bar" not in html
    sized.page.locator(".question").hover()
    sized.page.get_by_label("Copy the message").click()
    expect(sized.page.locator(".question [data-copied]")).to_be_visible()
    assert sized.js("navigator.clipboard.readText()") == "Show me\nsome *Markdown*"


def test_what_a_temporary_chat_says_is_copied_from_the_page(chat: Chat) -> None:
    chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chat.page.goto(f"{chat.server.url}/temporary?preset=echo")
    chat.ask("hello")
    chat.answers.first.get_by_label("Copy the answer").click()
    expect(chat.answers.first.locator("[data-copied]")).to_be_visible()
    assert "I am **" in chat.js("navigator.clipboard.readText()")
    expect(chat.page.get_by_role("button", name="Good answer")).to_be_hidden()
    menu = more(chat.answers.first)
    assert menu.get_by_role("menuitem").all_inner_texts()[:2] == ["Echo\necho", "Parrot\necho"]
    menu.get_by_role("menuitem", name="Parrot").click()
    expect(chat.answers.first.locator(".summary")).to_be_visible()
    expect(chat.page.locator("#history")).to_have_value(re.compile('"preset":"parrot"'))


def test_another_preset_answers_once(sized: Chat) -> None:
    sized.open()
    sized.ask("hello")
    more(sized.answers.first).get_by_role("menuitem", name="Parrot").click()
    expect(sized.answers.first.get_by_text("2/2")).to_be_visible()
    sized.wait()
    assert sized.stored()[1]["metadata"]["preset"] == "parrot"
    expect(sized.page.get_by_label("Preset: who answers")).to_have_value("echo")
    sized.ask("and you?", answers=2)
    assert sized.stored()[3]["metadata"]["preset"] == "echo"


def test_an_older_answer_is_made_again_and_both_ways_are_kept(chat: Chat) -> None:
    chat.open(block=save(chat, "one", "first answer", "two", "second answer"))
    more(chat.answers.first).get_by_role("menuitem", name="Parrot").click()
    expect(chat.answers).to_have_count(1)
    chat.wait()
    expect(chat.answers.first).to_contain_text("You said")
    chat.answers.first.get_by_label("Previous version").click()
    expect(chat.answers).to_have_count(2)
    expect(chat.answers.last).to_contain_text("second answer")


def test_versions_are_changed_by_keys_and_the_focus_stays(sized: Chat) -> None:
    sized.open()
    sized.ask("hello")
    sized.answers.first.get_by_role("button", name="Answer again").click()
    expect(sized.answers.first.get_by_text("2/2")).to_be_visible()
    sized.wait()
    earlier = sized.answers.first.get_by_label("Previous version")
    earlier.focus()
    sized.page.keyboard.press("Enter")
    expect(sized.answers.first.get_by_text("1/2")).to_be_visible()
    expect(sized.page.locator(":focus")).to_have_id(re.compile("-earlier$"))
    sized.page.keyboard.press("Tab")
    sized.page.keyboard.press("Enter")
    expect(sized.answers.first.get_by_text("2/2")).to_be_visible()


def test_a_new_chat_begins_at_a_message(sized: Chat) -> None:
    block = save(sized, "one", "first answer", "two", "second answer")
    sized.open(block=block)
    more(sized.answers.first).get_by_role("menuitem", name="New chat from here").click()
    sized.page.wait_for_url(re.compile(r"/c/chat-"))
    expect(sized.page.get_by_role("heading", level=1)).to_have_text("one (copy)")
    assert said(sized) == ["one", "first answer"]
    sized.open(block=block)
    assert len(said(sized)) == 4


def test_a_message_is_deleted_after_a_question_that_says_how_many_go(sized: Chat) -> None:
    sized.open(block=save(sized, "one", "first answer", "two", "second answer"))
    sized.box.fill("a draft")
    more(sized.page.locator(".question").last).get_by_role("menuitem", name="Delete").click()
    dialog = sized.page.get_by_role("dialog", name="Delete 2 messages?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert len(said(sized)) == 4
    more(sized.page.locator(".question").last).get_by_role("menuitem", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(sized.answers).to_have_count(1)
    expect(dialog).to_be_hidden()
    assert said(sized) == ["one", "first answer"]
    expect(sized.box).to_have_value("a draft")
    sized.ask("three", answers=2)
    assert said(sized)[2] == "three"


def test_a_deleted_message_comes_back_by_undo(sized: Chat) -> None:
    sized.open(block=save(sized, "one", "first answer", "two", "second answer"))
    sized.box.fill("a draft")
    more(sized.page.locator(".question").last).get_by_role("menuitem", name="Delete").click()
    sized.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(sized.answers).to_have_count(1)
    sized.page.get_by_role("button", name="Undo").click()
    expect(sized.answers).to_have_count(2)
    expect(sized.page.get_by_role("button", name="Undo")).to_have_count(0)
    assert said(sized) == ["one", "first answer", "two", "second answer"]
    expect(sized.box).to_have_value("a draft")
    sized.ask("three", answers=3)


def test_what_another_tab_has_added_is_not_deleted_unseen(chat: Chat) -> None:
    block = save(chat, "one", "first answer")
    chat.open(block=block)
    more(chat.page.locator(".question").last).get_by_role("menuitem", name="Delete").click()
    dialog = chat.page.get_by_role("dialog", name="Delete 2 messages?")
    added = [{"id": "other", "role": "user", "parts": [{"type": "text", "text": "from another tab"}]}]
    chat.page.request.post(
        f"{chat.server.url}/api/ai/conversations/{block}",
        data={"messages": added},
        headers={"accept": "application/json", "origin": chat.server.url},
    )
    dialog.get_by_role("button", name="Delete").click()
    expect(chat.page.locator("#notice")).to_contain_text("changed")
    assert len(said(chat)) == 3
    chat.complaints.clear()  # the browser notes that it got a 412


def test_with_the_first_message_the_conversation_goes(chat: Chat) -> None:
    block = save(chat, "one", "first answer")
    chat.open(block=block)
    more(chat.page.locator(".question").first).get_by_role("menuitem", name="Delete").click()
    chat.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    chat.page.wait_for_url(f"{chat.server.url}/")
    expect(chat.page.locator(f"[data-block='{block}']")).to_have_count(0)


def test_an_answer_is_rated_with_a_word_about_it(sized: Chat) -> None:
    sized.open(block=save(sized, "one", "first answer"))
    answer = sized.answers.first
    answer.get_by_role("button", name="Bad answer").click()
    words = sized.page.get_by_role("dialog", name="What was wrong")
    words.get_by_role("textbox").fill("Too short.")
    words.get_by_role("button", name="Send").click()
    expect(words).to_be_hidden()
    expect(answer.get_by_role("button", name="Bad answer", pressed=True)).to_be_visible()
    assert feedback(sized) == [{"messageId": "m1", "rating": "down", "comment": "Too short."}]
    sized.page.reload()
    expect(answer.get_by_role("button", name="Bad answer", pressed=True)).to_be_visible()
    answer.get_by_role("button", name="Good answer").click()
    words = sized.page.get_by_role("dialog", name="What was good")
    words.get_by_role("button", name="No, thanks").click()
    expect(answer.get_by_role("button", name="Bad answer", pressed=False)).to_be_visible()
    assert feedback(sized) == [{"messageId": "m1", "rating": "up"}]
    answer.get_by_role("button", name="Good answer").click()
    expect(answer.get_by_role("button", name="Good answer", pressed=False)).to_be_visible()
    assert feedback(sized) == []


def test_how_an_answer_was_made_is_told_on_demand(sized: Chat, upstream: Upstream) -> None:
    upstream.reply(chat_answer("Hello"))
    sized.open("fake-openai")
    sized.ask("hi")
    sized.answers.first.locator(".summary").click()
    details = sized.page.get_by_role("dialog", name="Details")
    expect(details.get_by_role("row", name="Model tiny")).to_be_visible()
    expect(details.get_by_role("row", name="Preset fake-openai")).to_be_visible()
    expect(details.get_by_role("row", name="Ended By itself")).to_be_visible()
    sized.page.keyboard.press("Escape")
    expect(details).to_be_hidden()
    more(sized.answers.first).get_by_role("menuitem", name="Details").click()
    expect(details).to_be_visible()
    details.get_by_role("button", name="Close").click()
    expect(details).to_be_hidden()


def test_what_nobody_reports_of_a_stopped_answer_is_said(sized: Chat, upstream: Upstream) -> None:
    gate = Gate()
    frames = chat_answer("Once upon", " a time")
    upstream.reply([*frames[:2], gate, *frames[2:]])
    sized.open("fake-openai")
    sized.send("Tell me")
    expect(sized.answers).to_contain_text("Once upon")
    sized.page.get_by_role("button", name="Stop").click()
    expect(sized.page.get_by_role("button", name="Send")).to_be_visible()
    gate.open()
    details = sized.page.get_by_role("dialog", name="Details")
    sized.answers.first.locator(".summary").click()
    expect(details.get_by_role("row", name="Tokens Stopped, and the service reports no tokens")).to_be_visible()
    sized.page.keyboard.press("Escape")
    upstream.reply(chat_answer(" a time"))
    sized.page.get_by_role("button", name="Continue").click()
    expect(sized.answers).to_contain_text("a time")
    expect(sized.page.get_by_role("button", name="Continue")).to_have_count(0)
    sized.wait()
    sized.answers.first.locator(".summary").click()
    expect(details.get_by_role("row", name="not counted What was said before it was continued")).to_be_visible()
    expect(details.get_by_role("row", name="Cost No price known")).to_be_visible()


def test_everything_is_reached_by_keys(chat: Chat) -> None:
    chat.open(block=save(chat, "one", "first answer", "two", "second answer"))
    keys = chat.page.keyboard
    keys.press("Alt+ArrowUp")
    assert chat.js(FOCUSED) == "message answer"
    keys.press("Alt+ArrowUp")
    assert chat.js(FOCUSED) == "message question"
    for _ in range(3):
        keys.press("Tab")
    expect(chat.page.locator(".question").last.get_by_role("button", name="More")).to_be_focused()
    keys.press("Enter")
    menu = chat.page.get_by_role("menu", name="More with this message")
    items = menu.get_by_role("menuitem")
    expect(items.first).to_be_focused()
    expect(items).to_have_text(["New chat from here", "Delete"])
    keys.press("ArrowUp")
    expect(items.last).to_be_focused()
    keys.press("ArrowDown")
    expect(items.first).to_be_focused()
    keys.press("Escape")
    expect(menu).to_be_hidden()
    expect(chat.page.locator(".question").last.get_by_role("button", name="More")).to_be_focused()
    for _ in range(2):
        keys.press("Alt+ArrowDown")
    expect(chat.box).to_be_focused()
    chat.box.fill("typing")
    keys.press("Alt+ArrowUp")
    expect(chat.box).to_be_focused()


def test_actions_of_older_messages_come_with_the_pointer_or_the_focus(chat: Chat) -> None:
    chat.open(block=save(chat, "one", "first answer", "two", "second answer"))
    opacity = "(e) => getComputedStyle(e).opacity"
    first = chat.answers.first.get_by_label("Copy the answer")
    chat.page.mouse.move(0, 0)
    assert first.evaluate(opacity) == "0"
    assert chat.answers.last.get_by_label("Copy the answer").evaluate(opacity) == "1"
    chat.answers.first.hover()
    assert first.evaluate(opacity) == "1"
    chat.page.mouse.move(0, 0)
    first.focus()
    assert first.evaluate(opacity) == "1"


@pytest.fixture
def phone(browser: Browser, server: ServerProcess) -> Iterator[Chat]:
    """Something that is touched, and has no pointer to hover with."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    chat = Chat(page, server)
    chat.watch()
    yield chat
    assert chat.complaints == []
    context.close()


def test_a_question_that_was_stopped_before_its_first_word_can_be_asked_again(chat: Chat, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply([gate, *chat_answer("Late.")])
    chat.open("fake-openai")
    chat.send("Well?")
    expect(chat.page.locator(".waiting")).to_be_visible()
    chat.box.press("Escape")
    expect(chat.answers).to_contain_text("Stopped.")
    gate.open()
    upstream.reply(chat_answer("Now."))
    chat.page.get_by_role("button", name="Try again").click()
    chat.wait()
    expect(chat.answers).to_contain_text("Now.")


def test_on_a_phone_enter_breaks_the_line_and_ctrl_enter_sends(phone: Chat) -> None:
    phone.open()
    phone.box.fill("say one")
    phone.box.press("Enter")
    phone.box.press_sequentially("and two")
    expect(phone.box).to_have_value("say one\nand two")
    phone.box.press("Control+Enter")
    phone.wait()
    assert phone.questions.inner_text() == "say one\nand two"


def test_by_touch_everything_is_there(phone: Chat) -> None:
    phone.open(block=save(phone, "one", "first answer", "two", "second answer"))
    for message in phone.page.locator(".message").all():
        button = message.get_by_role("button", name="More")
        assert button.evaluate("(e) => getComputedStyle(e).opacity") == "1"
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24
    phone.answers.first.get_by_role("button", name="More").tap()
    menu = phone.page.get_by_role("menu", name="More with this message")
    box = menu.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    menu.get_by_role("menuitem", name="Delete").tap()
    phone.page.get_by_role("dialog", name="Delete 3 messages?").get_by_role("button", name="Delete").tap()
    expect(phone.answers).to_have_text([re.compile("This message has no answer")])
    assert said(phone) == ["one"]


def test_while_an_answer_is_written_there_is_no_menu(chat: Chat, upstream: Upstream) -> None:
    gate = Gate()
    frames = chat_answer("One", " two")
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.open("fake-openai")
    chat.send("hi")
    expect(chat.answers.first).to_contain_text("One")
    expect(chat.page.locator(".question").get_by_role("button", name="More")).to_be_hidden()
    gate.open()
    chat.wait()
    chat.page.locator(".question").hover()
    expect(chat.page.locator(".question").get_by_role("button", name="More")).to_be_visible()


def test_without_javascript_a_message_has_a_page_of_its_own(browser: Browser, chat: Chat) -> None:
    block = save(chat, "one", "first answer", "two", "second answer")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{chat.server.url}/c/{block}")
    answer = page.locator(".answer")
    expect(answer.first.get_by_label("Copy the answer")).to_be_hidden()
    answer.first.get_by_role("button", name="Good answer").click()
    expect(answer.first.get_by_role("button", name="Good answer", pressed=True)).to_be_visible()
    answer.first.get_by_role("button", name="More").click()
    expect(page.get_by_role("heading", name="Delete 3 messages?")).to_be_visible()
    page.get_by_role("textbox", name="What was good or bad").fill("Clear.")
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_text("You rated it as good: “Clear.”")).to_be_visible()
    page.get_by_role("button", name="New chat from here").click()
    expect(answer).to_have_count(1)
    answer.first.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Parrot").click()
    expect(answer.first).to_contain_text("You said")
    expect(answer.first.get_by_text("2/2")).to_be_visible()
    page.locator(".question").get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(re.compile(r"/\?deleted="))
    page.get_by_role("button", name="Undo").click()
    expect(answer.first).to_contain_text("You said")
    answer.first.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted.", exact=True)).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(answer.first).to_contain_text("You said")
    context.close()
