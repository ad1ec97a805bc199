"""Every page and every state that it can be in, each reached as a person reaches it.

A story is a generator: it drives the page and yields the name of each state once that is on the screen. What is looked
at there (violations, colours, widths) is the business of whoever runs it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from secrets import token_hex
from typing import Any, TypeAlias
from urllib.request import Request, urlopen

from playwright.sync_api import expect

from app.providers.echo.texts import MARKDOWN
from e2e.chat_page import Chat
from tests.server_process import ServerProcess
from tests.upstream import Gate, Upstream, chat_answer, json_reply

Story: TypeAlias = Callable[[Chat, Upstream], Iterator[str]]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwADBwIAMCbHYQAAAABJRU5ErkJggg=="
)
CODE = "".join(f"def line_{number}(value: int) -> str:\n    return f'{{value}}'\n\n" for number in range(20))
FAILURE = json_reply(400, {"error": {"message": "no such model", "type": "invalid_request_error"}})


def keep(server: ServerProcess, messages: Sequence[dict[str, Any]]) -> str:
    """Store a conversation; its block id."""
    block = f"state-{token_hex(6)}"
    body = json.dumps({"messages": messages}).encode()
    address = f"{server.url}/api/ai/conversations/{block}"
    with urlopen(Request(address, body, {"content-type": "application/json"}, method="POST")):
        return block


def said(role: str, number: int, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"{role}-{number}", "role": role, "parts": list(parts)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


EVERYTHING = [
    said("user", 1, text("Show me everything.\n\nIn one answer, please.")),
    said(
        "assistant",
        1,
        {"type": "reasoning", "text": "They want **everything**. So be it.\n\n1. Headings\n2. Tables"},
        text(MARKDOWN),
        {"type": "source-url", "sourceId": "s1", "url": "https://www.example.org/a", "title": "A source with a name"},
        {"type": "source-url", "sourceId": "s2", "url": "https://www.example.org/b"},
    ),
    said("user", 2, text("مرحبا، كيف حالك؟")),
    said("assistant", 2, text(f"بخير.\n\n- أولا\n- ثانيا\n\n    indented code\n\n```python\n{CODE}```")),
    said("user", 3, text("A very long word: " + "x" * 200)),
    said("assistant", 3, text("Short.")),
]


def is_narrow(chat: Chat) -> bool:
    size = chat.page.viewport_size
    return size is not None and size["width"] < 832


def open_list(chat: Chat) -> None:
    if is_narrow(chat):
        chat.page.get_by_role("button", name="Conversations", exact=True).click()
        expect(chat.page.locator("#sidebar")).to_be_visible()


def close_list(chat: Chat) -> None:
    if is_narrow(chat):
        chat.page.keyboard.press("Escape")
        expect(chat.page.locator("#sidebar")).to_be_hidden()


def new_chat(chat: Chat, _: Upstream) -> Iterator[str]:
    page = chat.page
    chat.open("fake-openai")
    yield "welcome"
    chat.box.fill("/")
    expect(page.locator("#suggestions")).to_be_visible()
    yield "suggestions"
    chat.box.fill("")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette [role=option]").first).to_be_visible()
    yield "palette"
    page.keyboard.insert_text("nothing is called this")
    expect(page.locator("#palette [role=listbox]")).to_have_class("empty")
    yield "palette without a result"
    page.keyboard.press("Escape")
    page.keyboard.press("Control+/")
    expect(page.locator("#shortcuts")).to_be_visible()
    yield "shortcuts"
    page.keyboard.press("Escape")
    page.goto(f"{chat.server.url}/?preset=echo")
    yield "demo"
    page.locator(".adding summary").click()
    yield "demo with the ways to a model"
    page.goto(f"{chat.server.url}/temporary")
    chat.ask("say hi")
    yield "temporary"


def conversation(chat: Chat, _: Upstream) -> Iterator[str]:
    page = chat.page
    chat.open(block=keep(chat.server, EVERYTHING))
    page.locator(".thinking summary").first.click()
    yield "conversation"
    page.get_by_role("button", name="Edit the message").or_(page.locator("a.edit")).first.click()
    expect(chat.box).to_have_value("Show me everything.\n\nIn one answer, please.")
    yield "editing"
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name="Share, export and more").click()
    expect(page.get_by_role("menu", name="Conversation")).to_be_visible()
    yield "menu of the open conversation"
    page.get_by_role("menuitem", name="Share").click()
    page.get_by_role("button", name="Create a link").click()
    link = page.get_by_label("Link 1")
    expect(link).to_be_visible()
    yield "sharing"
    address = link.input_value()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Settings of the conversation").click()
    page.get_by_text("Why: each value").click()
    page.get_by_text("More", exact=True).click()
    yield "block settings"
    page.goto(f"{page.url}/settings")
    page.get_by_label("Temperature").fill("hot")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".problem")).to_be_visible()
    yield "block settings with a problem"
    page.goto(page.url.replace("/settings", "/options"))
    yield "options"
    page.goto(page.url.replace("/options", "/share"))
    yield "links of a conversation"
    page.goto(address)
    yield "shared"


def tools(chat: Chat, _: Upstream) -> Iterator[str]:
    page = chat.page
    chat.open("tools")
    chat.ask("both")
    page.locator(".tool summary").first.click()
    chat.ask("tool fail", answers=2)
    page.locator(".answer").last.locator(".tool summary").last.click()
    yield "tools"
    chat.send("approve")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    chat.wait(3)
    yield "approval"


def streaming(chat: Chat, upstream: Upstream) -> Iterator[str]:
    page = chat.page
    first, second, third = Gate(), Gate(), Gate()
    frames = chat_answer("A *list*:\n\n- one\n- tw", "o\n\n```python\nprint(1", ")\n```\n\nEnd.")
    upstream.reply([first, *frames[:2], second, frames[2], third, *frames[3:]])
    chat.open("fake-openai")
    chat.send("Write")
    expect(page.locator(".waiting")).to_be_visible()
    yield "waiting"
    first.open()
    expect(chat.answers.locator("li")).to_have_count(2)
    chat.box.fill("And then?")
    page.keyboard.press("Enter")
    expect(page.locator(".queued")).to_be_visible()
    yield "streaming"
    second.open()
    expect(chat.answers.locator("pre")).to_be_visible()
    yield "streaming code"
    page.get_by_role("button", name="Remove the waiting message").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    third.open()
    yield "stopped"


def failing(chat: Chat, upstream: Upstream) -> Iterator[str]:
    page = chat.page
    upstream.reply(FAILURE)
    chat.open("fake-openai")
    chat.send("Fail")
    expect(page.locator(".failure")).to_be_visible()
    yield "error before the answer"
    chat.open()
    chat.ask("error midway")
    yield "error in mid answer"
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("group", name="Versions of the answer")).to_be_visible()
    chat.wait()
    yield "versions"


def attaching(chat: Chat, _: Upstream) -> Iterator[str]:
    page = chat.page
    chat.open()
    page.locator("#upload").set_input_files(
        [
            {"name": "picture.png", "mimeType": "image/png", "buffer": PIXEL},
            {"name": "a-file-with-a-very-long-name-indeed.txt", "mimeType": "text/plain", "buffer": b"fine"},
            {"name": "program.exe", "mimeType": "application/octet-stream", "buffer": b"MZ\0\1"},
        ]
    )
    expect(page.locator(".attachment")).to_have_count(3)
    expect(page.locator(".attachment[aria-busy]")).to_have_count(0)
    expect(page.locator(".attachment[data-failed]")).to_be_visible()
    yield "attachments"
    page.get_by_role("button", name="Remove program.exe").click()
    chat.ask("image")
    yield "attached"
    chat.box.fill("/")
    expect(page.locator("#suggestions")).to_be_visible()
    assert page.locator("#suggestions").evaluate("list => list.scrollHeight > list.clientHeight")
    yield "a long list of suggestions"


def listing(chat: Chat, _: Upstream) -> Iterator[str]:
    page = chat.page
    for title in ("A plan for the garden", "Retries with backoff", "What TLS keeps private"):
        keep(chat.server, [said("user", 1, text(title)), said("assistant", 1, text(f"About {title}."))])
    chat.open()
    open_list(chat)
    yield "list"
    row = page.locator(".conversation").first
    row.hover()
    row.get_by_title("Options").click()
    expect(page.get_by_role("menu")).to_be_visible()
    yield "menu"
    page.get_by_role("menuitem", name="Rename").click()
    expect(row.get_by_role("textbox")).to_be_focused()
    yield "renaming"
    page.keyboard.press("Escape")
    search = page.get_by_role("searchbox", name="Search conversations")
    search.fill("garden")
    expect(page.locator(".conversation mark").first).to_be_visible()
    yield "search"
    search.fill("nothing is called this")
    expect(page.get_by_text("Nothing found for")).to_be_visible()
    yield "search without a result"
    search.fill("")
    expect(page.locator(".conversation").nth(2)).to_be_visible()
    row.hover()
    row.get_by_title("Options").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_text("Conversation deleted.")).to_be_visible()
    yield "deleted"
    close_list(chat)
    page.goto(f"{chat.server.url}/?archived=true")
    open_list(chat)
    yield "archive"


def templates(chat: Chat, _: Upstream) -> Iterator[str]:
    page, url = chat.page, chat.server.url
    page.goto(f"{url}/templates")
    yield "templates"
    if page.get_by_role("button", name="Add the examples").count():
        details = page.get_by_text("Import and export", exact=True)
        if not page.get_by_role("button", name="Add the examples").first.is_visible():
            details.click()
        page.get_by_role("button", name="Add the examples").first.click()
        expect(page.get_by_role("button", name="Add the examples")).to_have_count(0)
        expect(page.locator(".prompt-list li").first).to_be_visible()
    page.locator("summary").last.click()
    yield "list of templates"
    page.goto(f"{url}/templates/new")
    yield "new template"
    page.locator("#text-1").fill("About {{ topic }} in {{ tone | nonsense }}")
    expect(page.locator("#preview .problem")).to_be_visible()
    yield "template with a mistake"
    page.goto(f"{url}/templates")
    page.locator(".prompt-list a:not(.button)").first.click()
    expect(page.locator("#text-1")).to_be_visible()
    for summary in page.locator(".sheet-foot summary").all():
        summary.click()
    yield "template"


def other_pages(chat: Chat, _: Upstream) -> Iterator[str]:
    page, url = chat.page, chat.server.url
    chat.open()
    chat.ask("say something that counts")
    page.goto(f"{url}/usage")
    page.locator(".data summary").click()
    yield "usage"
    page.goto(f"{url}/usage?by=model")
    page.locator(".data summary").click()
    yield "usage by model"
    page.goto(f"{url}/usage?month=2020-01")
    yield "usage of nothing"
    page.goto(f"{url}/settings")
    expect(page.get_by_text("Asking…")).to_have_count(0)
    page.locator(".settings summary", has_text="Add a model").click()
    yield "settings"
    page.goto(f"{url}/settings/keys")
    page.get_by_label("Name of the program").fill("Editor")
    page.get_by_role("button", name="Create the key").click()
    expect(page.get_by_label("The new key")).to_be_visible()
    yield "a new key"
    page.get_by_role("button", name="Remove the key of Editor").click()
    expect(page.get_by_text("There are no keys yet")).to_be_visible()
    yield "no keys"
    page.goto(f"{url}/transfer")
    yield "transfer"
    page.locator("#import [type=file]").set_input_files(
        {"name": "x.json", "mimeType": "application/json", "buffer": b"[]"}
    )
    page.get_by_role("button", name="Import").click()
    expect(page.locator("#import [role=status]")).not_to_be_empty()
    yield "transfer with a mistake"


def one_message(chat: Chat, _: Upstream) -> Iterator[str]:
    page = chat.page
    chat.open(block=keep(chat.server, EVERYTHING))
    answer = chat.answers.last
    answer.get_by_role("button", name="More").click()
    expect(page.get_by_role("menu", name="More with this message")).to_be_visible()
    yield "menu of a message"
    page.get_by_role("menuitem", name="Details").click()
    expect(page.get_by_role("dialog", name="Details")).to_be_visible()
    yield "details of an answer"
    page.keyboard.press("Escape")
    answer.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_role("dialog", name="Delete this message?")).to_be_visible()
    yield "before a message is deleted"
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    yield "a deleted message"
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    chat.wait(3)
    answer.get_by_role("button", name="Bad answer").click()
    expect(page.get_by_role("dialog", name="What was wrong")).to_be_visible()
    yield "a word about an answer"
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+ArrowUp")
    yield "a message with the focus"
    page.goto(f"{page.url}/message?id=assistant-3")
    yield "page of a message"


def plain(chat: Chat, _: Upstream) -> Iterator[str]:
    chat.page.goto(f"{chat.server.url}/nowhere")
    yield "not found"


STORIES: Sequence[Story] = (
    new_chat,
    conversation,
    one_message,
    tools,
    streaming,
    failing,
    attaching,
    listing,
    templates,
    other_pages,
    plain,
)
