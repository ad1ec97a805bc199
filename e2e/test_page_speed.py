"""What the page costs browser and wire, in numbers that do not depend on the machine: bytes, requests, elements."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from gzip import compress
from secrets import token_hex
from typing import Any

import pytest
from playwright.sync_api import Request, expect

from e2e.chat_page import Chat
from tests.server_process import ROOT
from tests.upstream import Gate, Upstream, chat_answer

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

WATCH = """() => {
    window.seen = { added: 0, elsewhere: 0 };
    new MutationObserver((records) => {
        const last = document.querySelector(".message:last-child");
        for (const { target, addedNodes } of records) {
            seen.added += addedNodes.length;
            if (document.querySelector("#transcript").contains(target) && !last.contains(target)) seen.elsewhere += 1;
        }
    }).observe(document.body, { childList: true, subtree: true, characterData: true, attributes: true });
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
    assert around <= {"HTML"}, "a rule with :has() is looked into again with every piece of an answer"


def test_what_is_around_the_messages_looks_for_nothing_deep_down() -> None:
    """Such a `:has()` would search all messages with every piece of an answer."""
    around = re.compile(r"(?:html|body|:root|main|\.chat|\.transcript|\.message|\.parts|\.prose)[^\s,{]*:has\((?!> )")
    sheets = {path.name: path.read_text() for path in (ROOT / "static").glob("*.css")}
    assert {name: around.findall(text) for name, text in sheets.items()} == {name: [] for name in sheets}


def test_an_answer_takes_one_connection(chat: Chat, upstream: Upstream) -> None:
    frames, gate = chat_answer("It begins", " and ends"), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.open("fake-openai")
    chat.page.wait_for_load_state("networkidle")
    running: set[Request] = set()
    chat.page.on("request", lambda request: running.add(request))
    chat.page.on("requestfinished", lambda request: running.discard(request))
    chat.page.on("requestfailed", lambda request: running.discard(request))
    chat.send("Begin")
    expect(chat.answers).to_contain_text("It begins")
    expect(chat.listed.filter(has_text="Begin").first).to_be_visible()  # others may be pinned above it
    assert [request.method for request in running] == ["POST"]
    gate.open()
    chat.wait()


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
    chat.page.wait_for_load_state()
    entries = "performance.getEntriesByType('resource').filter((file) => file.name.includes('/static/'))"
    assert chat.js(f"{entries}.length") >= len(files) - 1
    assert chat.js(f"{entries}.reduce((sum, file) => sum + file.transferSize, 0)") == 0
