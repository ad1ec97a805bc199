"""What the page costs browser and wire, in numbers that do not depend on the machine: bytes, requests, elements."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64encode
from collections.abc import Iterator
from gzip import compress
from secrets import token_hex
from struct import pack
from typing import Any

import pytest
from playwright.sync_api import Locator, Request, Route, expect

from e2e.chat_page import Chat, until
from tests.server_process import ROOT
from tests.upstream import Gate, Upstream, chat_answer, chat_chunk, chat_frames

KB = 1024
LONG = 2_000
ANSWER = """\
Here is **what I think** about it, with `code` and a [link](https://example.com).

- first
- second

```python
def hello(name):
    return f"Hello {name}"
```

| a | b |
|---|---|
| 1 | 2 |
"""
WORDS = [f"word{number} and *more* of it. " for number in range(20)]

TIMELINE = [
    "devtools.timeline",
    "disabled-by-default-devtools.timeline",
    "disabled-by-default-devtools.timeline.invalidationTracking",
]

THOUGHTS = [f"Thought {number} of it. " for number in range(30)]
PIECES = [
    *WORDS,
    "\n\n",
    *WORDS,
    "\n\n",
    *(f"- item {number}\n" for number in range(12)),
    "\n| name | value |\n|---|---|\n",
    *(f"| row {number:02} | {number:02} |\n" for number in range(30)),
    "\n```python\n",
    *(f"value_{number} = {number}\n" for number in range(60)),
    "```\n\n",
    *WORDS,
]
"""An answer of everything that grows."""

PNG = (
    b"\x89PNG\r\n\x1a\n",
    b"IHDR" + pack(">IIBBBBB", 640, 400, 8, 0, 0, 0, 0),
    b"IDAT" + zlib.compress(bytes(641 * 400)),
    b"IEND",
)
"""A black one of 640 by 400 pixels: what it begins with, and its chunks."""
PICTURE = (
    "data:image/png;base64,"
    + b64encode(
        PNG[0] + b"".join(pack(">I", len(chunk) - 4) + chunk + pack(">I", zlib.crc32(chunk)) for chunk in PNG[1:])
    ).decode()
)

FROM_THE_END = "(page => page.scrollHeight - page.clientHeight - page.scrollTop)(document.scrollingElement)"
SHIFTS = """() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const { value, hadRecentInput, sources } of list.getEntries()) {
            const what = sources.map(({ node, previousRect, currentRect }) =>
                [node?.nodeName, node?.className, previousRect.y, currentRect.y].join(" "));
            if (!hadRecentInput) shifts.push([value, ...what]);
        }
    }).observe({ type: "layout-shift" });
    window.moved = () => shifts.reduce((sum, [value]) => sum + value, 0);
}"""

WATCH = """() => {
    window.seen = { added: 0, elsewhere: 0 };
    new MutationObserver((records) => {
        const last = document.querySelector(".message:last-child");
        for (const { target, addedNodes } of records) {
            seen.added += addedNodes.length;
            if (!last.contains(target)) seen.elsewhere += 1;
        }
    }).observe(document.querySelector("#transcript"), {
        childList: true, subtree: true, characterData: true, attributes: true,
    });
}"""


def conversation(chat: Chat, count: int) -> str:
    block = f"speed-{token_hex(4)}"
    messages: list[dict[str, Any]] = [
        {
            "id": f"{block}-{number}",
            "role": "assistant" if number % 2 else "user",
            "parts": [{"type": "text", "text": ANSWER if number % 2 else f"Question {number}?"}],
        }
        for number in range(count)
    ]
    saved = chat.page.request.post(f"{chat.server.url}/api/ai/conversations/{block}", data={"messages": messages})
    assert saved.ok, saved.text()
    return block


def expect_rendered(place: Locator, is_rendered: bool = True) -> None:
    """What comes near the screen is rendered with the next frame, as what has left it is not."""
    page, handle = place.page, place.element_handle()
    test = "([element, wanted]) => element.checkVisibility({ contentVisibilityAuto: true }) === wanted"
    until(page, test, [handle, is_rendered])


@pytest.fixture(params=[10, LONG])
def growing(chat: Chat, upstream: Upstream, request: pytest.FixtureRequest) -> Iterator[tuple[Chat, Gate]]:
    """An answer at the end of a conversation, of which twenty pieces come when the gate opens, but not its end."""
    frames, gate, end = chat_answer("# Title\n\nIt begins ", *WORDS, "the end"), Gate(), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:-3], end, *frames[-3:]])
    chat.open("fake-openai", conversation(chat, request.param))
    chat.page.get_by_label("Preset: who answers").select_option("fake-openai")
    chat.send("Go on")
    expect(chat.answers.last).to_contain_text("It begins")
    yield chat, gate
    gate.open()
    end.open()
    expect(chat.page.get_by_role("button", name="Send")).to_be_visible()


def test_a_piece_of_an_answer_changes_nothing_but_its_end(growing: tuple[Chat, Gate]) -> None:
    chat, gate = growing
    chat.js(WATCH)
    gate.open()
    expect(chat.answers.last).to_contain_text("word19 and more")
    seen = chat.js("seen")
    assert seen["elsewhere"] == 0
    assert seen["added"] < 10 * len(WORDS)


def test_a_piece_of_an_answer_has_few_elements_styled_anew(growing: tuple[Chat, Gate]) -> None:
    chat, gate = growing
    browser = chat.page.context.browser
    assert browser is not None
    expect(chat.page.locator(".conversation.running").first).to_be_attached()
    chat.hold_the_list()
    chat.settle()
    browser.start_tracing(page=chat.page, categories=TIMELINE)
    gate.open()
    expect(chat.answers.last).to_contain_text("word19 and more")
    events = json.loads(browser.stop_tracing())["traceEvents"]
    styled = [event["args"].get("elementCount", 0) for event in events if event["name"] == "UpdateLayoutTree"]
    assert styled, "nothing was recorded"
    assert max(styled) < 100 < chat.js("document.querySelectorAll('*').length") / 5
    reasons = [event["args"]["data"] for event in events if event["name"] == "StyleRecalcInvalidationTracking"]
    assert reasons, "nothing was recorded"
    around = {reason["nodeName"] for reason in reasons if reason["reason"] == "Affected by :has()"}
    around = {name for name in around if "class='conversation" not in name}  # what was on its way to the list
    assert around <= {"HTML"}, "a rule with :has() is looked into again with every piece of an answer"


def test_letters_are_added_to_the_text_that_stands_there(chat: Chat, upstream: Upstream) -> None:
    """No document is made of them, and what the reader has selected stays selected."""
    words = [f" word{number}" for number in range(8)]
    frames, gates = chat_answer("It *really* begins here", *words), [Gate() for _ in words]
    steps = [step for gate, frame in zip(gates, frames[2:], strict=False) for step in (gate, frame)]
    upstream.reply([*frames[:2], *steps, *frames[2 + len(words) :]])
    chat.open("fake-openai")
    chat.send("Go on")
    expect(chat.answers.last).to_contain_text("begins here")
    chat.js("""() => {
        window.text = document.querySelector(".answer:last-child .tail p").lastChild;
        window.parsed = 0;
        const parse = Document.parseHTMLUnsafe;
        Document.parseHTMLUnsafe = (html, ...rest) => {
            if (/word\\d/.test(html)) parsed += 1;  // the list at the side comes anew now and then
            return parse.call(Document, html, ...rest);
        };
    }""")
    for gate, word in zip(gates[:-1], words, strict=False):
        gate.open()
        expect(chat.answers.last).to_contain_text(word)
    assert chat.js("[text.isConnected, text.data, parsed]") == [True, " begins here" + "".join(words[:-1]), 0]
    gates[-1].open()
    expect(chat.page.get_by_role("button", name="Send")).to_be_visible()


def test_opening_lays_out_a_few_times_however_many_blocks_there_are(chat: Chat) -> None:
    session = chat.page.context.new_cdp_session(chat.page)
    session.send("Performance.enable")
    chat.open(block=conversation(chat, LONG))
    chat.page.wait_for_load_state("networkidle")
    expect(chat.answers.last.get_by_role("button", name="Copy the code")).to_be_visible()
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    assert metrics["LayoutCount"] < 15


def test_a_long_conversation_opens_at_its_end_and_renders_only_what_is_near_the_screen(chat: Chat) -> None:
    chat.open(block=conversation(chat, LONG))
    chat.page.wait_for_load_state("networkidle")
    expect(chat.questions.last).to_be_in_viewport()
    chat.until(f"{FROM_THE_END} < 2")
    above = chat.page.get_by_text(f"Question {LONG - 20}?")
    expect_rendered(above, False)
    above.evaluate("element => element.scrollIntoView()")
    expect(above).to_be_in_viewport()
    expect_rendered(above)


def test_nothing_moves_while_an_answer_is_written_and_who_follows_it_sees_its_end(
    chat: Chat, upstream: Upstream
) -> None:
    upstream.reply(chat_answer(*PIECES, reasoning=THOUGHTS))
    chat.open("fake-openai", conversation(chat, 10))
    chat.page.get_by_label("Preset: who answers").select_option("fake-openai")
    chat.js(SHIFTS)
    chat.ask("Write", answers=6)
    chat.until(f"{FROM_THE_END} < 2")
    assert chat.js("moved()") < 0.02, chat.js("shifts")


def test_who_has_scrolled_up_stays_where_they_are_while_an_answer_is_written(chat: Chat, upstream: Upstream) -> None:
    frames, gate = chat_answer(*PIECES, reasoning=THOUGHTS), Gate()
    upstream.reply([*frames[:12], gate, *frames[12:]])
    chat.open("fake-openai", conversation(chat, 10))
    chat.page.get_by_label("Preset: who answers").select_option("fake-openai")
    chat.send("Write")
    expect(chat.answers.last.locator(".thinking")).to_be_visible()
    chat.page.mouse.move(640, 300)
    chat.page.mouse.wheel(0, -900)
    expect(chat.page.get_by_role("button", name="Jump to the end")).to_be_visible()
    chat.js(SHIFTS)
    message = chat.questions.nth(3)
    before = message.bounding_box()
    gate.open()
    chat.wait(6)
    assert message.bounding_box() == before
    assert chat.js("moved()") == 0, chat.js("shifts")


def test_code_that_is_longer_than_its_window_does_not_move_the_page(chat: Chat, upstream: Upstream) -> None:
    """The lines in the window move up; the browser would keep one of them where it is by scrolling the page."""
    lines = [f"value_{number} = {number}\n" for number in range(200)]
    frames, end = chat_answer("```python\n", *lines, "```\n"), Gate()
    upstream.reply([*frames[:180], end, *frames[180:]])
    chat.open("fake-openai", conversation(chat, LONG))
    chat.page.get_by_label("Preset: who answers").select_option("fake-openai")
    chat.send("Write")
    expect(chat.page.locator(".growing")).to_contain_text("value_170 = 170")
    chat.until(f"{FROM_THE_END} < 2")
    end.open()
    expect(chat.page.get_by_role("button", name="Send")).to_be_visible()
    chat.until(f"{FROM_THE_END} < 2")


def test_of_a_long_table_the_first_rows_are_shown_and_the_others_counted(chat: Chat, upstream: Upstream) -> None:
    rows = [f"| {number} | some words {number * number} | **more** |\n" for number in range(400)]
    frames, gate, end = chat_answer("| a | b | c |\n|---|---|---|\n", *rows), Gate(), Gate()
    upstream.reply([*frames[:60], gate, *frames[60:360], end, *frames[360:]])
    chat.open("fake-openai")
    chat.send("Write")
    first, late = (chat.page.get_by_role("cell", name=name, exact=True) for name in ("49", "352"))
    expect(first).to_be_visible()
    gate.open()
    expect(chat.page.get_by_text("Show all 358 rows")).to_be_in_viewport()
    expect(late).to_have_count(0)
    end.open()
    chat.wait()
    before = chat.js("document.querySelector('.prose tbody').offsetHeight")
    chat.page.get_by_text("Show all 400 rows").click()
    expect(late).to_be_visible()
    place = "element => element.nextElementSibling.getBoundingClientRect().x"  # where the second column begins
    assert late.evaluate(place) == first.evaluate(place)
    assert chat.js("document.querySelector('.prose tbody').offsetHeight") == before
    chat.page.get_by_text("Show less").click()
    expect(late).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 390])
def test_sources_and_pictures_move_nothing(chat: Chat, upstream: Upstream, width: int) -> None:
    deltas = [{"content": text} for text in WORDS]
    for number in range(6):
        cited = {
            "type": "url_citation",
            "url_citation": {"url": f"https://www.example.org/{number}", "title": "A page"},
        }
        deltas.insert(3 * number, {"annotations": [cited]})
    deltas.insert(9, {"images": [{"image_url": {"url": PICTURE}}]})
    chunks = [chat_chunk(delta) for delta in deltas]
    first, *frames = chat_frames([*chunks, chat_chunk({}, "stop")])
    gate = Gate()
    upstream.reply([first, gate, *frames])
    chat.page.set_viewport_size({"width": width, "height": 800})
    chat.open("fake-openai", conversation(chat, 10))
    chat.page.get_by_label("Preset: who answers").select_option("fake-openai")
    chat.send("Write")
    expect(chat.answers).to_have_count(6)
    chat.js(SHIFTS)
    gate.open()
    chat.wait(6)
    expect(chat.answers.last.locator(".sources li")).to_have_count(6)
    expect(chat.answers.last.locator(".sources")).to_be_visible()
    assert chat.js("moved()") == 0, chat.js("shifts")


def test_a_picture_takes_no_more_room_once_it_has_come(chat: Chat) -> None:
    block = f"speed-{token_hex(4)}"
    parts = [{"type": "file", "mediaType": "image/png", "url": PICTURE}, {"type": "text", "text": "Look"}]
    saved = chat.page.request.post(
        f"{chat.server.url}/api/ai/conversations/{block}",
        data={"messages": [{"id": block, "role": "user", "parts": parts}]},
    )
    assert saved.ok, saved.text()
    asked: list[Route] = []
    chat.page.route("**/files/*", lambda route: asked.append(route))
    with chat.page.expect_request("**/files/*"):
        chat.page.goto(f"{chat.server.url}/c/{block}", wait_until="domcontentloaded")
    picture = chat.page.locator(".picture")
    expect(picture).to_be_visible()
    assert picture.evaluate("picture => picture.naturalWidth") == 0
    before = chat.page.locator(".bubble").bounding_box()
    asked[0].continue_()
    assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") == 640
    assert chat.page.locator(".bubble").bounding_box() == before


def test_what_is_around_the_messages_looks_for_nothing_deep_down() -> None:
    """Such a `:has()` would search all messages with every piece of an answer."""
    around = re.compile(r"(?:html|body|:root|main|\.chat|\.transcript|\.message|\.parts|\.prose)[^\s,{]*:has\((?!> )")
    sheets = {path.name: path.read_text() for path in (ROOT / "static").glob("*.css")}
    assert {name: around.findall(text) for name, text in sheets.items()} == {name: [] for name in sheets}


def test_an_answer_takes_one_connection(chat: Chat, upstream: Upstream) -> None:
    frames, gate = chat_answer("It begins", " and ends"), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.open("fake-openai")
    asked: list[str] = []
    of_the_chat = re.compile(r"/c/|/api/ai/chat/")  # not the list at the side, which is looked up now and then
    chat.page.on("request", lambda request: of_the_chat.search(request.url) and asked.append(request.method))
    chat.send("Begin")
    expect(chat.answers).to_contain_text("It begins")
    gate.open()
    chat.wait()
    assert asked == ["POST"]


def test_a_long_conversation_opens_with_its_end_in_little_html(chat: Chat) -> None:
    block = conversation(chat, LONG)
    html = chat.page.request.get(f"{chat.server.url}/c/{block}").text()
    assert f"Question {LONG - 2}?" in html
    assert len(html.encode()) < 200 * KB
    assert len(compress(html.encode())) < 30 * KB


def test_a_first_visit_takes_few_requests_and_the_next_one_none_for_files(chat: Chat) -> None:
    requests: list[Request] = []
    chat.page.on("request", lambda request: requests.append(request))
    chat.open()
    chat.page.wait_for_load_state("networkidle")
    files = [request for request in requests if "/static/" in request.url]
    assert len(files) <= 7, [request.url for request in files]
    size = 0
    for request in files:
        answer = chat.page.request.get(request.url, headers={"accept-encoding": "gzip"})
        assert "immutable" in answer.headers["cache-control"]
        if request.resource_type in ("script", "stylesheet"):
            assert answer.headers["content-encoding"] == "gzip"
            size += int(answer.headers["content-length"])
    assert 0 < size < 90 * KB
    chat.page.get_by_role("link", name="New chat").first.click()
    chat.page.wait_for_url(f"{chat.server.url}/")
    entries = "performance.getEntriesByType('resource').filter((file) => file.name.includes('/static/'))"
    assert chat.js(f"{entries}.length") >= len(files) - 1
    assert chat.js(f"{entries}.reduce((sum, file) => sum + file.transferSize, 0)") == 0
