"""What a conversation looks like in a real browser: formulas, long blocks while they grow, long conversations."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from e2e.chat_page import Chat
from tests.server_process import ServerProcess
from tests.upstream import Gate, Upstream, chat_answer

COUNT_TOUCHED = """() => {
    window.touched = [];
    new MutationObserver((records) => {
        let nodes = 0;
        for (const { addedNodes, removedNodes, type } of records) {
            nodes += type === 'childList' ? addedNodes.length + removedNodes.length : 1;
            for (const node of [...addedNodes, ...removedNodes]) nodes += node.querySelectorAll?.('*').length ?? 0;
        }
        window.touched.push(nodes);
    }).observe(document.querySelector('#transcript'), {
        subtree: true, childList: true, characterData: true, attributes: true,
    });
}"""

BLOCKS = "[...document.querySelectorAll('.parts > .prose')].map((prose) => prose.innerText.trim())"

LONG = {
    "table": ("| a | b |\n|---|---|\n", "| {0} | **two** |\n", ".prose tbody tr"),
    "list": ("", "- item {0} is `one`\n", ".prose li"),
    "code": ("```python\n", "value_{0} = {0}\n", ".growing code span > span"),
}


def save(chat: Chat, block: str, messages: list[dict[str, Any]]) -> None:
    answered = chat.page.request.post(
        f"{chat.server.url}/api/ai/conversations/{block}",
        data={"messages": messages},
        headers={"accept": "application/json", "origin": chat.server.url},
    )
    assert answered.ok, answered.text()


def said(number: int, text: str = "") -> dict[str, Any]:
    role = "assistant" if number % 2 else "user"
    parts = [{"type": "text", "text": text or f"Message **{number}** says something of an ordinary length. " * 4}]
    return {"id": f"m{number}", "role": role, "parts": parts}


def test_formulas_footnotes_and_code_are_shown_alike_while_they_come_and_after_a_reload(
    chat: Chat, upstream: Upstream
) -> None:
    text = (
        "For $x^2$[^1] pay $5 or $10:\n\n$$\n\\frac{a}{b}\n$$\n\n- [x] done\n\n| a |\n|---|\n| b |\n\n"
        "```python\nprint(1)\n```\n\n[^1]: A *note*.\n\nEnd."
    )
    upstream.reply(chat_answer(*(text[start : start + 7] for start in range(0, len(text), 7))))
    chat.open("fake-openai")
    answer = chat.ask("Show me")
    expect(answer.locator("math")).to_have_count(2)
    expect(answer).to_contain_text("pay $5 or $10:")
    expect(answer.locator("input[type=checkbox]")).to_be_checked()
    before = chat.js(BLOCKS)
    chat.page.reload()
    assert chat.js(BLOCKS) == before
    chat.answers.locator("sup a").click()
    expect(chat.page.locator(".footnotes li:target")).to_contain_text("A note.")
    chat.page.get_by_label("Back to the text").click()
    expect(chat.page.locator("sup a:target")).to_have_text("1")


def test_without_https_there_is_no_clipboard_and_code_is_copied(chat: Chat, upstream: Upstream) -> None:
    chat.page.add_init_script("delete Navigator.prototype.clipboard; delete window.ClipboardItem")
    upstream.reply(chat_answer("```python\nprint(1)\n```"))
    chat.open("fake-openai")
    answer = chat.ask("Code")
    chat.js("() => addEventListener('copy', ({ target }) => { window.copied = target.value; })")
    answer.get_by_label("Copy the code").click()
    expect(answer.locator("[data-copied]")).to_be_focused()
    assert chat.js("window.copied") == "print(1)\n"
    chat.page.get_by_label("Copy the answer").click()
    expect(chat.answers.locator(".ending [data-copied]")).to_be_focused()
    assert chat.js("window.copied") == "```python\nprint(1)\n```"


def test_code_can_be_copied_and_wrapped(chat: Chat, upstream: Upstream) -> None:
    chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    code = "print('" + "long " * 60 + "')"
    upstream.reply(chat_answer(f"```python\n{code}\n```"))
    chat.open("fake-openai")
    answer = chat.ask("Code")
    expect(answer.locator(".code-bar")).to_have_text("python")
    answer.get_by_label("Copy the code").click()
    expect(answer.locator("[data-copied]")).to_be_visible()
    assert chat.js("navigator.clipboard.readText()").strip() == code
    overflows = "(e => e.scrollWidth > e.clientWidth)(document.querySelector('.prose code'))"
    assert chat.js(overflows)
    answer.get_by_role("button", name="Wrap lines", pressed=False).click()
    expect(answer.get_by_role("button", name="Wrap lines", pressed=True)).to_be_visible()
    assert not chat.js(overflows)


@pytest.mark.parametrize("kind", list(LONG))
def test_what_is_shown_of_a_long_block_is_not_touched_again(chat: Chat, upstream: Upstream, kind: str) -> None:
    start, line, selector = LONG[kind]
    lines = [line.format(number) for number in range(300)]
    frames, gate, end = chat_answer(start + "".join(lines[:10]), *lines[10:], "\n"), Gate(), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:280], end, *frames[280:]])
    chat.open("fake-openai")
    chat.send("Write")
    first = chat.page.locator(selector).first
    expect(first).to_be_visible()
    handle = first.element_handle()
    chat.js(COUNT_TOUCHED)
    gate.open()
    if kind == "code":
        expect(chat.page.locator(".growing")).to_contain_text("value_250 = 250")
    else:
        expect(chat.page.locator(selector).nth(250)).to_be_attached()
    assert handle.evaluate("element => element.isConnected"), "what was shown was made anew"
    end.open()
    chat.wait()
    assert kind == "code" or handle.evaluate("element => element.isConnected")
    before = chat.js(BLOCKS)
    chat.page.reload()
    assert chat.js(BLOCKS) == before


def test_a_flush_touches_few_nodes_however_long_the_block_is(chat: Chat, upstream: Upstream) -> None:
    gates = [Gate() for _ in range(3)]
    frames = chat_answer("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 500, *["| 3 | 4 |\n"] * 3)
    upstream.reply([*frames[:2], gates[0], frames[2], gates[1], frames[3], gates[2], *frames[4:]])
    chat.open("fake-openai")
    chat.send("Write")
    rows = chat.page.locator(".prose tbody tr")
    expect(rows).to_have_count(500)
    chat.js(COUNT_TOUCHED)
    gates[0].open()
    expect(rows).to_have_count(501)
    gates[1].open()
    expect(rows).to_have_count(502)
    assert sum(chat.js("window.touched")) < 40
    gates[2].open()
    chat.wait()


def test_half_written_markdown_shows_no_markers(chat: Chat, upstream: Upstream) -> None:
    frames, gate = chat_answer("This is **bold and [a link](https://exam", "ple.com)**."), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.open("fake-openai")
    chat.send("Write")
    expect(chat.answers.locator(".prose")).to_have_text("This is bold and a link")
    expect(chat.answers.locator("strong")).to_have_text("bold and a link")
    gate.open()
    chat.wait()
    expect(chat.answers.locator("strong a")).to_have_attribute("href", "https://example.com")


def test_long_code_is_folded_and_opens_without_javascript(chat: Chat, browser: Browser) -> None:
    block = f"chat-{token_hex(6)}"
    code = "```python\n" + "".join(f"line_{number} = {number}\n" for number in range(100)) + "```"
    save(chat, block, [said(0), said(1, code)])
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{chat.server.url}/c/{block}")
    folded = page.locator(".fold")
    closed = folded.bounding_box()
    page.get_by_text("Show all 100 lines").click()
    expect(page.get_by_text("Show less")).to_be_visible()
    opened = folded.bounding_box()
    assert closed is not None
    assert opened is not None
    assert closed["height"] < 600 < 2_000 < opened["height"]
    context.close()


@pytest.fixture
def long_block(chat: Chat) -> str:
    block = f"chat-{token_hex(6)}"
    save(chat, block, [said(number) for number in range(2_000)])
    return block


def test_opening_a_long_conversation_sends_its_end_only(chat: Chat, long_block: str) -> None:
    html = chat.page.request.get(f"{chat.server.url}/c/{long_block}", headers={"accept": "text/html"}).text()
    assert len(html.encode()) < 200_000
    chat.open(block=long_block)
    expect(chat.page.locator("#m-m1999")).to_be_in_viewport()
    expect(chat.page.locator(".message")).to_have_count(40)


def test_earlier_messages_come_when_the_reader_scrolls_up_and_nothing_jumps(chat: Chat, long_block: str) -> None:
    chat.open(block=long_block)
    expect(chat.page.locator("#m-m1999")).to_be_in_viewport()
    chat.page.mouse.move(700, 300)
    bottom = chat.js("scrollY")
    chat.page.mouse.wheel(0, -600)
    chat.until(f"scrollY < {bottom}")
    chat.js("scrollTo(0, 1500)")  # what is near the screen is laid out first
    chat.settle()
    chat.js("scrollTo(0, 500)")
    mark = chat.page.locator("#m-m1964")
    before = mark.bounding_box()
    expect(chat.page.locator(".message")).not_to_have_count(40)
    after = mark.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 3
    assert chat.js("document.querySelectorAll('.message').length") >= 80
    ids = chat.js("[...document.querySelectorAll('.message')].map((message) => message.id)")
    assert ids == [f"m-m{number}" for number in range(2_000 - len(ids), 2_000)]


def test_earlier_messages_are_a_link_without_javascript(page: Page, browser: Browser, chat: Chat) -> None:
    block = f"chat-{token_hex(6)}"
    save(chat, block, [said(number) for number in range(90)])
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(f"{chat.server.url}/c/{block}")
    plain.get_by_role("link", name="Show earlier messages").click()
    expect(plain.locator("#m-m10")).to_be_attached()
    expect(plain.locator(".message")).to_have_count(40)
    plain.get_by_role("link", name="Show earlier messages").click()
    expect(plain.locator(".message")).to_have_count(10)
    expect(plain.get_by_role("link", name="Show earlier messages")).to_have_count(0)
    plain.get_by_role("link", name="Show the end of the conversation").click()
    expect(plain.locator("#m-m89")).to_be_attached()
    context.close()


def test_a_turn_at_the_end_of_a_long_conversation_keeps_what_is_shown(chat: Chat, long_block: str) -> None:
    chat.open(block=long_block)
    first = chat.page.locator(".message").first.element_handle()
    chat.send("say hi")
    expect(chat.answers.last).to_contain_text("hi")
    expect(chat.page.get_by_role("button", name="Send")).to_be_visible()
    assert first.evaluate("element => element.isConnected")


def test_text_from_right_to_left_begins_at_the_right(chat: Chat, upstream: Upstream) -> None:
    text = "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645"
    upstream.reply(chat_answer(f"{text}\n\n- {text}\n- {text}"))
    chat.open("fake-openai")
    answer = chat.ask(text)
    direction = "element => getComputedStyle(element).direction"
    for place in (chat.questions, answer.locator("ul")):
        assert place.evaluate(direction) == "rtl"
    chat.page.reload()
    assert chat.answers.locator(".prose").evaluate(direction) == "rtl"


def test_paper_shows_the_conversation_without_the_application(chat: Chat) -> None:
    chat.open()
    chat.ask("markdown")
    chat.page.emulate_media(media="print")
    title = chat.page.get_by_role("heading", name="markdown", level=1, exact=True)
    expect(title).to_be_visible()
    assert title.evaluate(
        "title => title.getBoundingClientRect().bottom < document.querySelector('.message').offsetTop"
    )
    for hidden in (".sidebar", ".topbar > .icon-button", ".composer", ".message .actions", ".code-bar .icon-button"):
        expect(chat.page.locator(hidden).first).to_be_hidden()
    expect(chat.answers.locator("table")).to_be_visible()


def test_nothing_moves_while_an_answer_is_written(chat: Chat, upstream: Upstream, server: ServerProcess) -> None:
    code = "```python\n" + "".join(f"line_{number} = {number}\n" for number in range(60)) + "```\n\nEnd."
    upstream.reply(chat_answer(*(code[start : start + 40] for start in range(0, len(code), 40))))
    chat.open("fake-openai")
    chat.js("""() => {
        window.shift = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
        }).observe({type: 'layout-shift', buffered: true});
    }""")
    chat.page.set_viewport_size({"width": 1280, "height": 2_000})
    chat.ask("Write")
    assert chat.js("window.shift") < 0.1


def test_a_long_question_is_folded_and_edited_whole(chat: Chat) -> None:
    question = "say ok\n" + "\n".join(f"line {number}" for number in range(60))
    chat.open()
    chat.ask(question)
    bubble = chat.questions.first
    height = "bubble => bubble.getBoundingClientRect().height"
    assert bubble.evaluate(height) <= 320
    chat.page.get_by_text("Show all of it").click()
    assert bubble.evaluate(height) > 1000
    chat.page.get_by_text("Show less").click()
    assert bubble.evaluate(height) <= 320
    chat.page.get_by_role("link", name="Edit the message").click()
    expect(chat.box).to_have_value(question)


def test_what_is_opened_at_the_end_of_the_page_stays_where_it_is(chat: Chat) -> None:
    chat.page.set_viewport_size({"width": 1280, "height": 420})
    chat.open()
    chat.ask("say one")
    chat.ask("think", answers=2)
    at_the_end = "document.scrollingElement.scrollHeight - innerHeight - scrollY < 2"
    chat.until(at_the_end)
    summary = chat.page.locator(".thinking summary")
    place = "summary => summary.getBoundingClientRect().top"
    before = summary.evaluate(place)
    summary.click()
    expect(chat.page.locator(".thinking .prose")).to_be_visible()
    chat.settle()
    assert summary.evaluate(place) == before
    chat.ask("say three", answers=3)
    chat.until(at_the_end)
