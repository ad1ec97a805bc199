"""A conversation as a file: what is in it, what it cannot do, how it is called."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from app.core.conversations import Conversation
from app.core.messages import parse_messages
from app.web.templates import create_templates
from app.wire.exports import disposition, file_ids, to_html, to_json, to_markdown, with_contents

ROOT = Path(__file__).parents[2]
TEMPLATES = create_templates(ROOT / "templates", ROOT / "static")
PIXEL = b"\x89PNG\r\n\x1a\nrest"
FILE_ID = "ab" * 32


def text(text):
    return {"type": "text", "text": text}


def conversation(*messages, title="A title", block_id="b1"):
    """Of (role, parts) or (role, parts, metadata)."""
    values = [
        {"id": f"m{i}", "role": role, "parts": parts, **({"metadata": metadata[0]} if metadata else {})}
        for i, (role, parts, *metadata) in enumerate(messages)
    ]
    created, updated = "2026-11-21T12:00:00.000001Z", "2026-11-21T13:00:00.000000Z"
    return Conversation(block_id, title, parse_messages(values), created, updated, 7)


EVERYTHING = conversation(
    ("system", [text("Be kind.")]),
    (
        "user",
        [{"type": "file", "mediaType": "image/png", "url": f"/files/{FILE_ID}", "filename": "a.png"}, text("Why?")],
    ),
    (
        "assistant",
        [
            {"type": "step-start"},
            {"type": "reasoning", "text": "First\n\nthen", "state": "done"},
            {"type": "tool-search", "toolCallId": "c", "state": "output-available", "input": {"q": "`"}, "output": [1]},
            {
                "type": "dynamic-tool",
                "toolName": "x",
                "toolCallId": "d",
                "state": "output-error",
                "errorText": "Broken",
            },
            text("**Because.**\n\n| a | b |\n|---|--:|\n| 1 | 2 |"),
            {"type": "source-url", "sourceId": "1", "url": "https://example.org/a b>", "title": "A [title]"},
            {"type": "source-url", "sourceId": "2", "url": "javascript:alert(1)", "title": "Not a link"},
            {"type": "source-document", "sourceId": "3", "mediaType": "application/pdf", "title": "The book"},
            {"type": "data-app", "data": {"hidden": "app data"}},
        ],
        {"model": "a-model", "status": "stopped"},
    ),
    ("assistant", [text("Half")], {"status": "error", "error": {"code": "x", "text": "It broke."}}),
)


def test_the_json_says_everything_word_for_word():
    value = json.loads(to_json(EVERYTHING, {"title": "A title", "pinned": True, "ai:preset": "p"}, {}))
    assert value == {
        "palaver": 1,
        "conversation": {
            "id": "b1",
            "title": "A title",
            "createdAt": "2026-11-21T12:00:00.000001Z",
            "updatedAt": "2026-11-21T13:00:00.000000Z",
            "metadata": {"ai:preset": "p", "pinned": True},
            "messages": [message.to_wire() for message in EVERYTHING.messages],
        },
    }


def test_the_markdown_is_what_people_read():
    assert to_markdown(EVERYTHING) == (
        """\
# A title

*2026-11-21, 4 messages*

## System

Be kind.

## You

*Attached: a.png*

Why?

## Assistant · a-model

> **Thinking**
>
> First
>
> then

**Tool: search**

```json
{
  "input": {
    "q": "`"
  },
  "output": [
    1
  ]
}
```

**Tool: x**

```json
{
  "error": "Broken"
}
```

**Because.**

| a | b |
|---|--:|
| 1 | 2 |

Sources:

1. [A \\[title\\]](<https://example.org/a%20b%3E>)
2. Not a link
3. The book

*Stopped.*

## Assistant

Half

*It broke.*
"""
    )


def test_an_answer_cut_off_in_code_does_not_swallow_what_follows():
    written = to_markdown(conversation(("assistant", [text("```py\nprint(")]), ("user", [text("go on")])))
    headings = [t.map[0] for t in MarkdownIt().parse(written) if t.type == "heading_open"]
    assert [written.splitlines()[line] for line in headings] == ["# A title", "## Assistant", "## You"]


@pytest.mark.parametrize("title", ["# <b>*x*</b> [y](z)", "a\nb", "", "`"])
def test_a_title_is_one_line_of_plain_text_in_markdown(title):
    (heading, *_) = MarkdownIt().parse(to_markdown(conversation(title=title)))[1:]
    shown = "".join(child.content for child in heading.children)
    assert {child.type for child in heading.children} <= {"text", "text_special"}
    assert shown == (" ".join(title.split()) or "Conversation")


class Page(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]


HOSTILE = [
    "<script>alert(1)</script>",
    "![x](https://evil.example/p.png)",
    "[x](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "</style><script>alert(1)</script>",
    "```html\n</pre><script>alert(1)</script>\n```",
    "<https://evil.example/> https://evil.example",
]


@pytest.mark.parametrize("said", HOSTILE)
@pytest.mark.parametrize("place", ["title", "question", "answer", "thinking", "tool", "file", "source", "error"])
def test_nothing_in_the_html_runs_or_loads_anything(said, place):
    parts = {
        "question": text(said),
        "answer": text(said),
        "thinking": {"type": "reasoning", "text": said},
        "tool": {
            "type": "dynamic-tool", "toolName": said, "toolCallId": "c", "state": "output-error",
            "input": {said: said}, "errorText": said,
        },
        "file": {"type": "file", "mediaType": said, "url": "https://evil.example/a.png", "filename": said},
        "source": {"type": "source-url", "sourceId": "s", "url": said, "title": said},
    }  # fmt: skip
    role = "user" if place == "question" else "assistant"
    metadata = {"status": "error", "error": {"text": said}} if place == "error" else {}
    title = said if place == "title" else "A title"
    html = to_html(TEMPLATES, conversation((role, [parts.get(place, text("hi"))], metadata), title=title))
    page = Page(html)
    assert html.startswith("<!doctype html>")
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "svg"} & set(page.tags)
    assert [v for _, name, v in page.attributes if name in ("src", "srcset", "style", "background", "poster")] == []
    assert not [name for _, name, _ in page.attributes if name.startswith(("on", "hx-"))]
    assert all(value.startswith(("https://", "mailto:")) for _, name, value in page.attributes if name == "href")
    assert page.tags.count("style") == 1
    assert "url(" not in html.split("</style>")[0]
    assert "@import" not in html.split("</style>")[0]


def test_the_html_shows_everything_that_the_page_shows():
    html = to_html(TEMPLATES, with_contents(EVERYTHING, {FILE_ID: PIXEL}))
    for piece in (
        "<h1>A title</h1>", '<h2 class="role">You</h2>', '<img src="data:image/png;base64,', 'alt="a.png"', "Why?",
        "<summary>Thinking</summary>", "Tool: search", "Broken", "<strong>Because.</strong>", "<table",
        '<a href="https://example.org/a b&gt;"', "<li>Not a link</li>", "<li>The book</li>", "Stopped.", "It broke.",
    ):  # fmt: skip
        assert piece in html, piece
    assert "app data" not in html
    assert re.search(r"""<meta http-equiv="Content-Security-Policy" content="default-src 'none';""", html)
    assert "prefers-color-scheme" in html or "light-dark(" in html
    assert "@media print" in html


def test_a_question_in_the_html_is_plain_text():
    html = to_html(TEMPLATES, conversation(("user", [text("**not bold**\n<b>")])))
    assert "**not bold**\n&lt;b&gt;" in html


def test_files_come_along_as_far_as_they_are_there():
    assert list(file_ids(EVERYTHING)) == [FILE_ID]
    (part, _) = with_contents(EVERYTHING, {FILE_ID: PIXEL}).messages[1].parts
    assert part.to_wire() == {
        "type": "file",
        "mediaType": "image/png",
        "url": "data:image/png;base64,iVBORw0KGgpyZXN0",
        "filename": "a.png",
    }
    assert with_contents(EVERYTHING, {}) == EVERYTHING


@pytest.mark.parametrize(
    ("title", "header"),
    [
        ("A title", 'attachment; filename="palaver-A-title.json"'),
        ("../../etc/passwd", 'attachment; filename="palaver-etc-passwd.json"'),
        ('"; x="y\r\nset-cookie: a=b', 'attachment; filename="palaver-x-y-set-cookie-a-b.json"'),
        ("", 'attachment; filename="palaver-b1-2.json"'),
        ("...", 'attachment; filename="palaver-b1-2.json"'),
        ("Über Öl", "attachment; filename=\"palaver-Uber-Ol.json\"; filename*=UTF-8''palaver-%C3%9Cber-%C3%96l.json"),
        ("雨", "attachment; filename=\"palaver-b1-2.json\"; filename*=UTF-8''palaver-%E9%9B%A8.json"),
        ("\u202egpj.exe", 'attachment; filename="palaver-gpj-exe.json"'),
    ],
)
def test_a_file_is_named_after_the_title_whatever_that_is(title, header):
    found = disposition(conversation(title=title, block_id="b1:2"), "json")
    assert found == header
    found.encode("latin-1")


def test_a_file_name_is_short():
    assert len(disposition(conversation(title="word " * 100), "markdown")) < 110
