"""The box that messages are written in: attachments, drafts, suggestions, the queue, keys, and without JavaScript."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, expect

from e2e.chat_page import Chat, until
from tests.server_process import ServerProcess
from tests.upstream import Gate, Upstream, chat_answer, json_reply

FAILURE = json_reply(400, {"error": {"message": "no such model", "type": "invalid_request_error"}})
PDF = b"%PDF-1.7\n" + bytes(range(256))

PICTURE = """async ([width, height, type]) => {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const colours = context.createLinearGradient(0, 0, width, height);
  colours.addColorStop(0, "#0a8");
  colours.addColorStop(1, "#fa0");
  context.fillStyle = colours;
  context.fillRect(0, 0, width, height);
  const content = new Uint8Array(await (await canvas.convertToBlob({ type })).arrayBuffer());
  return content.toBase64();
}"""

PASTE = """([text, files]) => {
  const data = new DataTransfer();
  if (text) data.setData("text/plain", text);
  for (const [name, type, content] of files) data.items.add(new File([content], name, { type }));
  const box = document.querySelector("#text");
  box.focus();
  const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  if (box.dispatchEvent(event)) document.execCommand("insertText", false, text);
}"""

DROP = """(files) => {
  const dataTransfer = new DataTransfer();
  for (const [name, type, content] of files) dataTransfer.items.add(new File([content], name, { type }));
  const send = (name) => document.querySelector("#transcript").dispatchEvent(
    new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true }));
  send("dragover");
  const said = document.querySelector(".drop").checkVisibility();
  send("drop");
  return said;
}"""


def picture(chat: Chat, width: int = 64, height: int = 48, media_type: str = "image/png") -> bytes:
    return base64.b64decode(chat.page.evaluate(PICTURE, [width, height, media_type]))


def file(name: str, media_type: str, content: bytes) -> Any:
    return {"name": name, "mimeType": media_type, "buffer": content}


def attach(chat: Chat, *files: Any) -> None:
    with chat.page.expect_file_chooser() as chooser:
        chat.page.get_by_role("button", name="Attach files").click()
    chooser.value.set_files(list(files))


def attached(chat: Chat) -> Locator:
    return chat.page.get_by_role("list", name="Attached files").get_by_role("listitem")


def options(chat: Chat) -> Locator:
    return chat.page.get_by_role("listbox", name=re.compile("Commands|Presets")).get_by_role("option")


def parts(chat: Chat) -> list[Mapping[str, Any]]:
    return next(message["parts"] for message in reversed(chat.stored()) if message["role"] == "user")


def wait_for_the_draft(chat: Chat, text: str) -> None:
    until(
        chat.page,
        "text => Object.entries(localStorage).some(([k, v]) => k.startsWith('draft:') && JSON.parse(v).text === text)",
        text,
    )


# --- Attachments


def test_several_files_are_attached_shown_and_sent(chat: Chat) -> None:
    chat.open()
    attach(
        chat,
        file("view.png", "image/png", picture(chat)),
        file("notes.md", "text/markdown", b"# Notes"),
        file("page.html", "text/html", b"<p>hi</p>"),
    )
    expect(attached(chat)).to_have_count(3)
    expect(attached(chat).nth(1)).to_contain_text("notes.md")
    expect(attached(chat).nth(1)).to_contain_text("1 KB")
    expect(attached(chat).first.locator("img")).to_be_visible()
    chat.page.get_by_role("button", name="Remove page.html").click()
    expect(attached(chat)).to_have_count(2)
    answer = chat.ask("image")
    expect(answer).to_contain_text("I got an image")
    expect(attached(chat)).to_have_count(0)
    assert [(part["type"], part.get("filename")) for part in parts(chat)] == [
        ("file", "view.png"),
        ("file", "notes.md"),
        ("text", None),
    ]
    chat.page.reload()
    expect(chat.page.locator(".question img")).to_be_visible()


def test_a_message_may_be_a_picture_alone(chat: Chat) -> None:
    chat.open()
    attach(chat, file("view.png", "image/png", picture(chat)))
    expect(attached(chat).locator("img")).to_be_visible()
    chat.box.press("Enter")
    chat.wait()
    assert [part["type"] for part in parts(chat)] == ["file"]


def test_a_message_of_files_alone_can_be_edited(chat: Chat) -> None:
    chat.open()
    attach(chat, file("view.png", "image/png", picture(chat)))
    expect(attached(chat).locator("img")).to_be_visible()
    chat.box.press("Enter")
    chat.wait()
    chat.page.locator(".question").hover()
    chat.page.get_by_role("link", name="Edit the message").click()
    expect(attached(chat)).to_have_count(1)
    expect(chat.box).to_have_value("")
    chat.ask("image")
    assert [part["type"] for part in parts(chat)] == ["file", "text"]
    expect(chat.page.get_by_role("group", name="Versions of the question")).to_contain_text("2/2")


def test_files_are_pasted_and_dropped(chat: Chat) -> None:
    chat.open()
    chat.page.evaluate(PASTE, ["", [["shot.txt", "text/plain", "a shot"]]])
    expect(attached(chat)).to_have_count(1)
    assert chat.page.evaluate(DROP, [["a.txt", "text/plain", "a"], ["b.txt", "text/plain", "b"]])
    expect(attached(chat)).to_have_count(3)
    expect(attached(chat).last).to_contain_text("b.txt")
    chat.page.evaluate(PASTE, ["cells", [["cells.png", "image/png", "no picture"]]])
    expect(chat.box).to_have_value("cells")
    expect(attached(chat)).to_have_count(3)


def test_a_big_picture_is_made_smaller_before_it_is_sent(chat: Chat) -> None:
    chat.open()
    attach(chat, file("huge.png", "image/png", picture(chat, 4000, 3000)))
    expect(attached(chat).locator("img")).to_be_visible()
    width, height = chat.js(
        "(async () => { const i = document.querySelector('#attachments img'); await i.decode();"
        " return [i.naturalWidth, i.naturalHeight]; })()"
    )
    assert 3_900_000 < width * height <= 4_010_000
    assert abs(width / height - 4 / 3) < 0.01


def test_a_picture_that_lies_on_its_side_is_turned_upright(chat: Chat) -> None:
    chat.open()
    exif = b"\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01"
    exif += b"\x00\x06\x00\x00\x00\x00\x00\x00"
    jpeg = picture(chat, 4000, 1500, "image/jpeg")
    attach(chat, file("photo.jpg", "image/jpeg", jpeg[:2] + exif + jpeg[2:]))
    expect(attached(chat).locator("img")).to_be_visible()
    is_upright = "(async () => { const i = document.querySelector('#attachments img'); await i.decode();"
    assert chat.js(is_upright + " return i.naturalHeight > i.naturalWidth; })()")


def test_a_refused_file_says_why_and_holds_the_message_back(chat: Chat) -> None:
    chat.open()
    attach(chat, file("a.txt", "text/plain", b"x" * 1_000_001), file("b.txt", "text/plain", b"fine"))
    expect(attached(chat).first).to_contain_text("a text file may have at most 1 MB")
    chat.box.fill("say hi")
    chat.box.press("Enter")
    expect(chat.page.get_by_text("Remove it to send the message without it.")).to_be_visible()
    expect(chat.questions).to_have_count(0)
    chat.page.get_by_role("button", name="Remove a.txt").click()
    chat.box.press("Enter")
    chat.wait()
    assert [part.get("filename") for part in parts(chat)] == ["b.txt", None]


def test_a_file_that_did_not_get_through_is_tried_again(chat: Chat, context: BrowserContext) -> None:
    chat.open()
    context.route("**/api/ai/files*", lambda route: route.abort())
    attach(chat, file("a.txt", "text/plain", b"fine"))
    expect(attached(chat)).to_contain_text("The server does not answer.")
    context.unroute("**/api/ai/files*")
    chat.page.get_by_role("button", name="Attach again").click()
    expect(attached(chat)).to_contain_text("1 KB")
    chat.complaints.clear()  # of the request that was cut


def test_a_message_waits_for_its_files(chat: Chat, context: BrowserContext) -> None:
    chat.open()
    held: list[Any] = []
    context.route("**/api/ai/files*", lambda route: held.append(route))
    with chat.page.expect_request("**/api/ai/files*"):
        attach(chat, file("a.txt", "text/plain", b"fine"))
    chat.until("document.querySelector('#attachments [aria-busy]')")
    chat.box.fill("say hi")
    chat.box.press("Enter")
    expect(chat.page.get_by_text("sent as soon as its files have arrived")).to_be_visible()
    expect(chat.questions).to_have_count(0)
    held.pop().continue_()
    chat.wait()
    assert [part.get("filename") for part in parts(chat)] == ["a.txt", None]


def test_what_the_model_does_not_take_is_said_before_and_kept_when_it_is_refused(chat: Chat) -> None:
    chat.open()
    attach(chat, file("paper.pdf", "application/pdf", PDF))
    expect(chat.page.get_by_text("Echo takes no PDFs. Remove the file or choose another preset.")).to_be_visible()
    chat.box.fill("Sum it up")
    chat.box.press("Enter")
    expect(chat.page.get_by_text("PDF files cannot be sent to this model.")).to_be_visible()
    expect(chat.box).to_have_value("Sum it up")
    expect(attached(chat)).to_contain_text("paper.pdf")
    chat.page.get_by_role("combobox", name=re.compile("Preset")).select_option("fake-openai")
    expect(chat.page.get_by_text("takes no PDFs")).to_have_count(0)
    chat.complaints.clear()  # the browser's of the refusal


def test_a_long_paste_becomes_a_file_that_can_be_unfolded(chat: Chat) -> None:
    chat.open()
    lines = "\n".join(f"line {number}" for number in range(20_000))
    chat.page.evaluate(PASTE, [lines, []])
    expect(attached(chat)).to_contain_text("pasted-text.txt")
    expect(chat.box).to_have_value("")
    chat.page.get_by_role("button", name="Show as text").click()
    expect(attached(chat)).to_have_count(0)
    assert chat.js("document.querySelector('#text').value") == lines
    assert chat.js("document.querySelector('#text').clientHeight") <= 320


# --- Drafts


def test_a_draft_survives_a_reload_with_its_files_and_goes_when_it_is_sent(chat: Chat) -> None:
    chat.open()
    chat.ask("say one")
    chat.box.fill("half a thought")
    attach(chat, file("a.txt", "text/plain", b"fine"))
    expect(attached(chat)).to_contain_text("1 KB")
    chat.page.reload()
    expect(chat.box).to_have_value("half a thought")
    expect(attached(chat)).to_contain_text("a.txt")
    chat.box.fill("say two")
    chat.box.press("Enter")
    chat.wait(2)
    chat.page.reload()
    expect(chat.box).to_have_value("")
    expect(attached(chat)).to_have_count(0)


def test_each_conversation_has_its_own_draft_and_so_has_the_new_chat(chat: Chat) -> None:
    chat.open()
    chat.ask("say one")
    address = chat.page.url
    chat.box.fill("of the first")
    wait_for_the_draft(chat, "of the first")
    chat.open()
    expect(chat.box).to_have_value("")
    chat.box.fill("of a new one")
    wait_for_the_draft(chat, "of a new one")
    chat.page.goto(address)
    expect(chat.box).to_have_value("of the first")
    chat.open()
    expect(chat.box).to_have_value("of a new one")


def test_a_temporary_chat_leaves_no_draft(chat: Chat) -> None:
    chat.page.goto(f"{chat.server.url}/temporary")
    chat.box.fill("a secret")
    chat.page.goto(f"{chat.server.url}/")
    assert "a secret" not in chat.js("JSON.stringify(localStorage)")


def test_no_text_is_lost_when_the_server_does_not_answer(chat: Chat, context: BrowserContext) -> None:
    chat.open()
    chat.box.fill("say hi")
    context.route("**/c/*", lambda route: route.abort())
    chat.box.press("Enter")
    expect(chat.page.get_by_text("Your message is still in the box.")).to_be_visible()
    expect(chat.box).to_have_value("say hi")
    context.unroute("**/c/*")
    chat.box.press("Enter")
    chat.wait()
    chat.complaints.clear()  # of the request that was cut


# --- Suggestions


def test_a_slash_offers_commands_and_narrows_them_down(chat: Chat) -> None:
    chat.open()
    chat.box.press_sequentially("/")
    expect(options(chat).filter(has_text="/new")).to_be_visible()
    chat.box.press_sequentially("att")
    expect(options(chat)).to_have_count(1)
    expect(options(chat)).to_have_attribute("aria-selected", "true")
    assert chat.box.get_attribute("aria-activedescendant") == options(chat).get_attribute("id")
    with chat.page.expect_file_chooser():
        chat.box.press("Enter")
    expect(chat.box).to_have_value("")
    expect(chat.box).to_be_focused()


def test_arrows_move_and_escape_leaves_the_text_as_it_was_typed(chat: Chat) -> None:
    chat.open()
    chat.box.press_sequentially("/")
    first = options(chat).first.get_attribute("id")
    chat.box.press("ArrowDown")
    expect(chat.box).not_to_have_attribute("aria-activedescendant", first or "")
    chat.box.press("ArrowUp")
    expect(chat.box).to_have_attribute("aria-activedescendant", first or "")
    chat.box.press("Escape")
    expect(options(chat)).to_have_count(0)
    expect(chat.box).to_have_value("/")
    chat.box.press_sequentially("n")
    expect(options(chat)).to_have_count(0)
    chat.box.fill("/etc/hosts is a file")
    expect(options(chat)).to_have_count(0)


def test_an_at_sign_chooses_who_answers(chat: Chat) -> None:
    chat.open()
    chat.box.press_sequentially("mail me@")
    expect(options(chat)).to_have_count(0)
    chat.box.fill("")
    chat.box.press_sequentially("say hi @parr")
    expect(options(chat)).to_have_count(1)
    options(chat).click()
    expect(chat.box).to_have_value("say hi ")
    expect(chat.page.locator("#preset")).to_have_value("parrot")
    chat.box.press("Enter")
    chat.wait()
    chat.page.reload()
    expect(chat.page.locator("#preset")).to_have_value("parrot")


def test_a_template_asks_for_its_variables_and_fills_the_box(chat: Chat) -> None:
    template = {"title": "Translate", "text": "Translate into {{language}}: {{words}}"}
    put = chat.page.request.put(f"{chat.server.url}/api/ai/templates/to-translate", data=template)
    assert put.ok
    chat.open()
    chat.box.press_sequentially("/to-tr")
    expect(options(chat)).to_have_count(1)
    chat.box.press("Enter")
    panel = chat.page.get_by_role("group", name="Translate")
    expect(panel.get_by_label("language")).to_be_focused()
    chat.page.keyboard.type("German")
    panel.get_by_label("words").fill("good morning")
    chat.page.keyboard.press("Enter")
    expect(panel).to_be_hidden()
    expect(chat.box).to_have_value("Translate into German: good morning")
    expect(chat.box).to_be_focused()
    expect(chat.questions).to_have_count(0)


def test_a_template_can_be_given_up(chat: Chat) -> None:
    put = chat.page.request.put(f"{chat.server.url}/api/ai/templates/to-greet", data={"text": "Greet {{who}}"})
    assert put.ok
    chat.open()
    chat.box.press_sequentially("/to-greet")
    expect(options(chat)).to_have_count(1)
    chat.box.press("Enter")
    expect(chat.page.get_by_label("who", exact=True)).to_be_focused()
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_label("who", exact=True)).to_be_hidden()
    expect(chat.box).to_be_focused()


# --- Keys


def test_the_enter_of_an_input_method_sends_nothing(chat: Chat) -> None:
    chat.open()
    chat.box.fill("say 你好")
    for how in ("{isComposing: true}", "{keyCode: 229}"):
        chat.js(
            "document.querySelector('#text').dispatchEvent(new KeyboardEvent('keydown',"
            f" {{key: 'Enter', bubbles: true, cancelable: true, ...{how}}}))"
        )
    expect(chat.questions).to_have_count(0)
    chat.box.press("Shift+Enter")
    expect(chat.box).to_have_value("say 你好\n")
    chat.box.press("Enter")
    chat.wait()


def test_up_in_an_empty_box_edits_the_last_message(chat: Chat) -> None:
    chat.open()
    attach(chat, file("a.txt", "text/plain", b"fine"))
    chat.ask("say one")
    chat.box.press("ArrowUp")
    expect(chat.box).to_have_value("say one")
    expect(attached(chat)).to_contain_text("a.txt")
    chat.page.get_by_role("button", name="Remove a.txt").click()
    chat.box.fill("say two")
    chat.box.press("Enter")
    expect(chat.questions).to_have_text("say two")
    chat.wait()
    assert [part["type"] for part in parts(chat)] == ["text"]
    chat.box.press("ArrowUp")
    expect(chat.box).to_have_value("say two")
    chat.box.press("Escape")
    expect(chat.box).to_have_value("")


def test_each_paragraph_runs_in_the_direction_of_its_own_script(chat: Chat) -> None:
    chat.open()
    chat.box.fill("مرحبا")
    look = "getComputedStyle(document.querySelector('#text'))"
    assert chat.js(f"[{look}.unicodeBidi, {look}.textAlign]") == ["plaintext", "start"]


def test_presets_that_look_the_same_are_offered_once(chat: Chat) -> None:
    for preset, standing in (("parrot", "echo"), ("echo", "echo"), ("default", "default")):
        chat.open(preset)
        offered = chat.page.locator("select#preset option")
        assert [each for each in offered.all_inner_texts() if each.startswith("Echo")] == ["Echo echo"]
        expect(chat.page.locator(f"select#preset option[value={standing}]")).to_be_attached()
        chat.page.keyboard.press("Control+k")
        expect(chat.page.get_by_role("option", name="Echo", exact=True)).to_have_count(1)


# --- The queue


def running(chat: Chat, upstream: Upstream) -> Gate:
    frames, gate = chat_answer("Once upon\n\n", "a time"), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.open("fake-openai")
    chat.send("Tell me a story")
    expect(chat.answers).to_contain_text("Once upon")
    return gate


def queued(chat: Chat) -> Locator:
    return chat.page.get_by_role("list", name="Messages that wait").get_by_role("listitem")


def test_what_is_sent_while_an_answer_runs_follows_when_it_has_ended(chat: Chat, upstream: Upstream) -> None:
    gate = running(chat, upstream)
    chat.box.fill("And then?")
    attach(chat, file("a.txt", "text/plain", b"fine"))
    expect(attached(chat)).to_contain_text("1 KB")
    chat.box.press("Enter")
    expect(queued(chat)).to_contain_text("And then?")
    expect(chat.box).to_have_value("")
    chat.box.fill("a draft of mine")
    upstream.reply(chat_answer("The end."))
    gate.open()
    expect(chat.questions).to_have_text(["Tell me a story", "And then?"])
    expect(chat.answers.last).to_contain_text("The end.")
    expect(queued(chat)).to_have_count(0)
    expect(chat.box).to_have_value("a draft of mine")
    chat.wait(2)
    assert [part.get("filename") for part in parts(chat)] == ["a.txt", None]


def test_several_messages_wait_in_order(chat: Chat, upstream: Upstream) -> None:
    gate = running(chat, upstream)
    for text in ("second", "third"):
        chat.box.fill(text)
        chat.box.press("Enter")
    expect(queued(chat)).to_have_count(2)
    upstream.reply(chat_answer("Two."))
    upstream.reply(chat_answer("Three."))
    gate.open()
    expect(chat.questions).to_have_text(["Tell me a story", "second", "third"])
    expect(chat.answers.last).to_contain_text("Three.")


def test_a_waiting_message_can_be_changed_and_removed(chat: Chat, upstream: Upstream) -> None:
    gate = running(chat, upstream)
    chat.box.fill("And then?")
    chat.page.get_by_role("button", name="Send after this answer").click()
    queued(chat).get_by_role("button", name="Edit").click()
    expect(chat.box).to_have_value("And then?")
    expect(queued(chat)).to_have_count(0)
    chat.box.fill("Never mind")
    chat.box.press("Enter")
    queued(chat).get_by_role("button", name="Remove").click()
    expect(queued(chat)).to_have_count(0)
    gate.open()
    chat.wait()
    expect(chat.questions).to_have_count(1)


def test_after_a_stop_the_waiting_message_waits_for_a_click(chat: Chat, upstream: Upstream) -> None:
    running(chat, upstream)
    chat.box.fill("And then?")
    chat.box.press("Enter")
    chat.box.press("Escape")
    expect(chat.page.get_by_text("Stopped.")).to_be_visible()
    expect(queued(chat)).to_contain_text("And then?")
    upstream.reply(chat_answer("The end."))
    expect(chat.page.get_by_role("button", name="Send", exact=True)).to_have_count(1)
    queued(chat).get_by_role("button", name="Send the waiting message").click()
    expect(chat.answers.last).to_contain_text("The end.")
    expect(queued(chat)).to_have_count(0)


def test_after_an_error_the_waiting_message_waits(chat: Chat, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply([*chat_answer("Once")[:2], gate, b'data: {"error": {"message": "broken"}}\n\n'])
    chat.open("fake-openai")
    chat.send("Tell me a story")
    expect(chat.answers).to_contain_text("Once")
    chat.box.fill("And then?")
    chat.box.press("Enter")
    expect(queued(chat)).to_have_count(1)
    gate.open()
    expect(chat.answers.locator(".failure")).to_be_visible()
    expect(queued(chat).get_by_role("button", name="Send the waiting message")).to_be_visible()
    expect(chat.questions).to_have_count(1)


def test_the_queue_survives_a_reload(chat: Chat, upstream: Upstream) -> None:
    gate = running(chat, upstream)
    chat.box.fill("And then?")
    chat.box.press("Enter")
    expect(queued(chat)).to_have_count(1)
    chat.page.reload()
    expect(queued(chat)).to_contain_text("And then?")
    upstream.reply(chat_answer("The end."))
    gate.open()
    expect(chat.questions).to_have_text(["Tell me a story", "And then?"])
    expect(chat.answers.last).to_contain_text("The end.")


# --- Without JavaScript, and in every size


def test_without_javascript_files_go_with_the_form(browser: Browser, server: ServerProcess) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        chat = Chat(context.new_page(), server)
        chat.open()
        choose = chat.page.locator("input[type=file]")
        choose.set_input_files(
            [file("notes.md", "text/markdown", b"# Notes"), file("paper.pdf", "application/pdf", PDF)]
        )
        chat.send("What do they say?")
        expect(chat.page.get_by_text("PDF files cannot be sent to this model.")).to_be_visible()
        expect(chat.box).to_have_value("What do they say?")
        expect(attached(chat)).to_have_count(2)
        attached(chat).last.get_by_role("checkbox").uncheck()
        chat.send("say thanks")
        expect(chat.answers).to_contain_text("thanks")
        expect(chat.page.get_by_role("link", name="notes.md")).to_be_visible()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_in_the_composer_is_wider_than_the_page(chat: Chat, width: int) -> None:
    chat.page.set_viewport_size({"width": width, "height": 800})
    chat.open()
    chat.box.fill("slow 400")
    chat.box.press("Enter")
    expect(chat.page.get_by_role("button", name="Stop")).to_be_visible()
    chat.box.fill("x" * 300)
    chat.box.press("Enter")
    expect(queued(chat)).to_be_visible()
    attach(chat, file("a-very-long-name-" * 6 + ".txt", "text/plain", b"x"), file("b" * 80, "x/y", b"\0\1\2"))
    expect(attached(chat).last).to_contain_text("cannot be sent")
    chat.box.press_sequentially("/")
    expect(options(chat).first).to_be_visible()
    assert chat.js("document.scrollingElement.scrollWidth") <= width
    for row in (attached(chat).first, attached(chat).last, options(chat).first, queued(chat)):
        box = row.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    chat.page.get_by_role("button", name="Stop").click()
    expect(chat.page.get_by_text("Stopped.")).to_be_visible()
    chat.complaints.clear()  # the browser's of the refusal
