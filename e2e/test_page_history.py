"""What was said on the htmx page: it survives reloads, cuts and crashes, goes on, and has other versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from e2e.chat_page import Cable, Chat
from tests.server_process import ServerProcess, server_process
from tests.upstream import Gate, Reply, Step, Upstream, chat_answer

CONFIG = """
[settings]
"ai:preset" = "fake"

[presets.fake]
provider = "openai-chat"
base_url = "{upstream}/v1"
api_key_env = "FAKE_KEY"
model = "tiny"
"""


def gated(frames: list[bytes]) -> tuple[list[Step], list[Gate]]:
    """The frames, each behind a gate."""
    gates = [Gate() for _ in frames]
    return [step for pair in zip(gates, frames, strict=True) for step in pair], gates


def text_of(answer: dict[str, object]) -> str:
    parts = answer["parts"]
    assert isinstance(parts, list)
    return "".join(part["text"] for part in parts if part["type"] == "text")


def other_tab(chat: Chat) -> Chat:
    other = Chat(chat.page.context.new_page(), chat.server, chat.complaints)
    other.watch()
    other.page.goto(chat.page.url)
    return other


def versions(message: Locator) -> Locator:
    return message.get_by_role("group", name="Versions")


def stop_in_mid_answer(chat: Chat, upstream: Upstream, text: str) -> None:
    """Ask, and stop when `text` is there."""
    upstream.reply([*chat_answer(text)[:2], "hold"])
    chat.open("fake-openai")
    chat.send("Tell me a story")
    expect(chat.answers).to_contain_text(text)
    chat.page.get_by_role("button", name="Stop").click()
    chat.wait()


def test_a_reload_at_any_moment_changes_nothing(chat: Chat, upstream: Upstream) -> None:
    texts = ["# A ti", "tle\n\nOnce *up", "on* a time\n\n```py", "thon\nprint('x')\n", "```\n\n- on", "e\n- two\n"]
    steps, gates = gated(chat_answer(*texts, reasoning=["I th", "ink"]))
    upstream.reply(steps)
    chat.open("fake-openai")
    chat.send("Tell me a story")
    expect(chat.questions).to_have_count(1)
    shown = ["", "I th", "I think", "A ti", "Once", "on a time", "print", "on", "two"]
    for gate, text in zip(gates, shown, strict=False):
        chat.page.reload()
        gate.open()
        expect(chat.answers.locator(".parts")).to_contain_text(text)
    chat.page.reload()
    for gate in gates:
        gate.open()
    chat.wait()
    before = chat.shown()
    assert text_of(chat.stored()[-1]) == "".join(texts)
    chat.page.reload()
    assert chat.shown() == before
    expect(chat.answers.locator("h1")).to_have_text("A title")
    expect(chat.answers.locator("li")).to_have_text(["one", "two"])
    expect(chat.questions).to_have_count(1)


def test_a_stopped_answer_goes_on_in_its_place(chat: Chat, upstream: Upstream) -> None:
    stop_in_mid_answer(chat, upstream, "Well.\n\nOnce upon a ti")
    frames, gate = chat_answer("me", " there was an end."), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.box.fill("a draft")
    chat.page.get_by_role("button", name="Continue").click()
    expect(chat.answers.locator(".prose p").last).to_have_text("Once upon a time")
    expect(chat.page.get_by_text("Stopped.")).to_have_count(0)
    gate.open()
    chat.wait()
    expect(chat.answers.locator(".prose")).to_have_count(1)
    expect(chat.answers.locator(".prose p")).to_have_text(["Well.", "Once upon a time there was an end."])
    expect(chat.page.get_by_role("button", name="Continue")).to_have_count(0)
    expect(chat.box).to_have_value("a draft")
    before = chat.shown()
    chat.page.reload()
    assert chat.shown() == before
    question, answer = chat.stored()
    assert question["role"] == "user"
    assert text_of(answer) == "Well.\n\nOnce upon a time there was an end."
    assert answer["metadata"]["status"] == "complete"


def test_a_reload_while_an_answer_goes_on_changes_nothing(chat: Chat, upstream: Upstream) -> None:
    stop_in_mid_answer(chat, upstream, "Once upon a ti")
    steps, gates = gated(chat_answer("me there", " was an", " end."))
    upstream.reply(steps)
    chat.page.get_by_role("button", name="Continue").click()
    expect(chat.page.get_by_role("button", name="Stop")).to_be_visible()
    for gate, text in zip(gates, ["a ti", "a time there", "was an", "end."], strict=False):
        chat.page.reload()
        gate.open()
        expect(chat.answers.locator(".prose p")).to_contain_text(text)
        expect(chat.answers).to_have_count(1)
    for gate in gates:
        gate.open()
    chat.wait()
    expect(chat.answers.locator(".prose")).to_have_text("Once upon a time there was an end.")
    expect(chat.page.get_by_text("Stopped.")).to_have_count(0)


def test_an_answer_that_goes_on_can_be_stopped_and_go_on_again(chat: Chat, upstream: Upstream) -> None:
    stop_in_mid_answer(chat, upstream, "Once upon a ti")
    upstream.reply([*chat_answer("me there")[:2], "hold"], chat_answer(" was an end."))
    chat.page.get_by_role("button", name="Continue").click()
    expect(chat.answers).to_contain_text("time there")
    chat.page.get_by_role("button", name="Stop").click()
    expect(chat.page.get_by_text("Stopped.")).to_be_visible()
    chat.page.get_by_role("button", name="Continue").click()
    expect(chat.answers.locator(".prose")).to_have_text("Once upon a time there was an end.")
    chat.wait()
    assert text_of(chat.stored()[-1]) == "Once upon a time there was an end."


def test_an_answer_that_broke_can_go_on(chat: Chat, upstream: Upstream) -> None:
    upstream.reply(chat_answer("Once upon a ti", finish=None), chat_answer("me."))
    chat.open("fake-openai")
    chat.ask("Tell me a story")
    expect(chat.answers.locator(".failure")).to_be_visible()
    chat.page.get_by_role("button", name="Continue").click()
    expect(chat.answers.locator(".prose")).to_have_text("Once upon a time.")
    chat.wait()
    expect(chat.answers.locator(".failure")).to_have_count(0)


def test_two_tabs_that_both_go_on_see_the_same(chat: Chat, upstream: Upstream) -> None:
    stop_in_mid_answer(chat, upstream, "Once upon a ti")
    other = other_tab(chat)
    other.put_behind()
    frames, gate = chat_answer("me", " there was an end."), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:]])
    for tab in (chat, other):
        tab.page.bring_to_front()
        tab.page.get_by_role("button", name="Continue").click()
        expect(tab.answers.locator(".prose")).to_have_text("Once upon a time")
    gate.open()
    for tab in (chat, other):
        tab.page.bring_to_front()
        tab.wait()
        expect(tab.answers.locator(".prose")).to_have_text("Once upon a time there was an end.")


def test_two_windows_show_the_same_while_it_happens(chat: Chat, upstream: Upstream) -> None:
    chat.open("fake-openai")
    chat.ask("Hello?")
    other = other_tab(chat)
    other.box.fill("A draft")
    gate = Gate()
    upstream.reply([*chat_answer("Once")[:2], gate, *chat_answer(" upon a time")[1:]])
    chat.send("Tell me a story")
    expect(other.answers.last).to_contain_text("Once")
    gate.open()
    expect(other.answers.last.locator(".prose")).to_have_text("Once upon a time")
    expect(other.page.get_by_role("button", name="Stop")).to_have_count(0)
    expect(other.box).to_have_value("A draft")


def test_a_message_is_sent_although_the_page_is_asking_for_news(chat: Chat) -> None:
    chat.open()
    chat.ask("say one")
    asked = list[Route]()

    def hold(route: Route) -> None:
        asked.append(route)

    chat.page.route("**/stream?after=*", hold)
    chat.look_at()
    expect(chat.page.locator("#news")).to_have_class("htmx-request")
    assert chat.ask("say two", answers=2).inner_text() == "two"
    expect(chat.page.locator(".offline")).to_have_count(0)
    chat.page.unroute("**/stream?after=*")


def test_a_tab_that_is_looked_at_again_shows_what_another_one_asked(chat: Chat, upstream: Upstream) -> None:
    chat.open("fake-openai")
    chat.ask("Hello?")
    other = other_tab(chat)
    other.put_behind()
    frames, gate = chat_answer("Once upon", " a time"), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.page.bring_to_front()
    chat.send("Tell me a story")
    expect(chat.answers.last).to_contain_text("Once upon")
    other.page.bring_to_front()
    other.look_at()
    expect(other.questions).to_have_text(["Hello?", "Tell me a story"])
    expect(other.answers.last).to_contain_text("Once upon")
    expect(other.page.get_by_role("button", name="Stop")).to_be_visible()
    gate.open()
    other.wait(answers=2)
    assert other.shown()[-1] == "Once upon a time"
    chat.page.bring_to_front()
    chat.wait(answers=2)
    assert chat.shown() == other.shown()
    with chat.page.expect_response(lambda response: "/stream?after=" in response.url) as nothing_new:
        chat.look_at()
    assert nothing_new.value.status == 204


def test_a_tab_that_fell_behind_shows_everything_when_it_asks(chat: Chat) -> None:
    chat.open()
    chat.ask("say one")
    other = other_tab(chat)
    other.put_behind()
    chat.page.bring_to_front()
    chat.ask("say two", answers=2)
    other.page.bring_to_front()
    other.ask("say three", answers=3)
    assert other.shown() == ["say one", "one", "say two", "two", "say three", "three"]
    other.page.reload()
    assert other.shown() == ["say one", "one", "say two", "two", "say three", "three"]


@contextmanager
def behind_a_cable(page: Page, cable: Cable, folder: Path, upstream: Upstream) -> Iterator[Chat]:
    """A server with the data of `folder`, at an address that stays the same when it is started again."""
    environment = {"PALAVER_ALLOWED_HOSTS": cable.host, "FAKE_KEY": "not-a-key"}
    with server_process(folder, config=CONFIG.format(upstream=upstream.url), environment=environment) as server:
        cable.plug(server.url)
        yield Chat(page, replace(server, url=f"http://{cable.host}"))
        cable.cut()


def wait_until_written(page: Page, folder: Path, text: str) -> None:
    """Until the checkpoint with `text` is on the disk."""
    with closing(sqlite3.connect(folder / "data" / "palaver.db")) as database:
        while not database.execute("SELECT 1 FROM messages WHERE instr(body, ?)", (text,)).fetchall():
            page.wait_for_timeout(20)


def test_an_answer_that_a_crash_cut_off_can_go_on(page: Page, tmp_path: Path, upstream: Upstream) -> None:
    upstream.reply([*chat_answer("Well.\n\nOnce upon a ti")[:2], "hold"], chat_answer("me there was an end."))
    with Cable() as cable:
        with behind_a_cable(page, cable, tmp_path, upstream) as chat:
            chat.open("fake")
            chat.send("Tell me a story")
            wait_until_written(page, tmp_path, "Once upon a ti")
            chat.server.kill()
            expect(page.get_by_text("The connection was lost.")).to_be_visible()
        with behind_a_cable(page, cable, tmp_path, upstream) as chat:
            expect(page.get_by_text("Interrupted: the server went away before the end.")).to_be_visible()
            expect(page.get_by_text("The connection was lost.")).to_have_count(0)
            expect(chat.answers.locator(".prose p")).to_have_text(["Well.", "Once upon a ti"])
            page.reload()
            expect(page.get_by_text("Interrupted")).to_be_visible()
            page.get_by_role("button", name="Continue").click()
            expect(chat.answers.locator(".prose p")).to_have_text(["Well.", "Once upon a time there was an end."])
            chat.wait()
            expect(page.get_by_text("Interrupted")).to_have_count(0)
            expect(chat.questions).to_have_count(1)
            assert text_of(chat.stored()[-1]) == "Well.\n\nOnce upon a time there was an end."


def test_a_connection_that_is_cut_again_and_again_loses_nothing(page: Page, tmp_path: Path, upstream: Upstream) -> None:
    frames = chat_answer(*[f"word{number} " for number in range(6)])
    steps, gates = gated(frames)
    upstream.reply(steps)
    gates[0].open()
    with Cable() as cable, behind_a_cable(page, cable, tmp_path, upstream) as chat:
        server = cable.target
        chat.open("fake")
        chat.send("Count")
        for number in range(5):
            gates[number + 1].open()
            expect(chat.answers).to_contain_text(f"word{number}")
            cable.cut()
            expect(page.get_by_text("The connection was lost.")).to_be_visible()
            cable.target = server
            expect(page.get_by_text("The connection was lost.")).to_have_count(0)
        for gate in gates:
            gate.open()
        chat.wait()
        expect(chat.answers.locator(".prose")).to_have_text("word0 word1 word2 word3 word4 word5")
        expect(chat.questions).to_have_count(1)
        assert [message["role"] for message in chat.stored()] == ["user", "assistant"]


def test_an_edited_question_is_another_version_and_both_can_be_shown(chat: Chat) -> None:
    chat.open()
    chat.ask("say first")
    chat.ask("say second", answers=2)
    chat.box.fill("a draft")
    chat.page.locator(".question").first.hover()
    chat.page.get_by_role("link", name="Edit the message").first.click()
    expect(chat.page.get_by_text("Editing")).to_be_visible()
    expect(chat.box).to_be_focused()
    expect(chat.box).to_have_value("say first")
    assert chat.ask("say *other*").inner_text() == "other"
    expect(chat.box).to_have_value("a draft")
    expect(chat.page.get_by_text("Editing")).to_have_count(0)
    expect(chat.questions).to_have_text(["say *other*"])
    question = chat.page.locator(".question").first
    expect(versions(question)).to_contain_text("2/2")
    earlier = chat.page.get_by_role("button", name="Previous version")
    earlier.focus()
    chat.page.keyboard.press("Enter")
    expect(chat.questions).to_have_text(["say first", "say second"])
    expect(versions(question)).to_contain_text("1/2")
    expect(earlier).to_be_focused()
    chat.page.reload()
    expect(chat.questions).to_have_text(["say first", "say second"])
    chat.page.get_by_role("button", name="Next version").click()
    expect(chat.questions).to_have_text(["say *other*"])
    expect(chat.answers.locator(".prose")).to_have_text("other")
    assert text_of(chat.stored()[0]) == "say *other*"


def test_a_question_far_up_stays_in_sight_while_it_is_edited(chat: Chat) -> None:
    chat.open()
    chat.ask("say first")
    chat.ask("markdown", answers=2)
    chat.js("scrollTo(0, 0)")
    question = chat.page.locator(".question").first
    question.hover()
    question.get_by_role("link", name="Edit the message").click()
    expect(chat.box).to_have_value("say first")
    expect(chat.box).to_be_focused()
    expect(question.locator(".bubble")).to_be_in_viewport(ratio=1)
    expect(chat.box).to_be_in_viewport(ratio=1)
    chat.page.get_by_role("link", name="Cancel").click()
    expect(question.locator(".bubble")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("way", ["button", "key"])
def test_editing_can_be_given_up(chat: Chat, way: str) -> None:
    chat.open()
    chat.ask("say first")
    chat.box.fill("say second")
    chat.page.get_by_role("link", name="Edit the message").click()
    expect(chat.box).to_have_value("say first")
    if way == "button":
        chat.page.get_by_role("link", name="Cancel").click()
    else:
        chat.page.keyboard.press("Escape")
    expect(chat.box).to_have_value("say second")
    expect(chat.page.get_by_text("Editing")).to_have_count(0)
    chat.page.get_by_role("button", name="Send").click()
    chat.wait(answers=2)
    expect(chat.questions).to_have_text(["say first", "say second"])


def test_every_answer_to_a_question_can_be_shown_again(chat: Chat, upstream: Upstream) -> None:
    upstream.reply(chat_answer("First"), chat_answer("Second"), chat_answer("Third"))
    chat.open("fake-openai")
    chat.ask("Hello?")
    for text in ("Second", "Third"):
        chat.page.get_by_role("button", name="Answer again").click()
        expect(chat.answers.locator(".prose")).to_have_text(text)
        chat.wait()
    expect(versions(chat.answers)).to_contain_text("3/3")
    for text, number in (("Second", "2/3"), ("First", "1/3")):
        chat.page.get_by_role("button", name="Previous version").click()
        expect(chat.answers.locator(".prose")).to_have_text(text)
        expect(versions(chat.answers)).to_contain_text(number)
    expect(chat.page.get_by_role("button", name="Previous version")).to_be_disabled()
    assert chat.ask("And?", answers=2).inner_text() == "Hello from upstream."
    assert text_of(chat.stored()[1]) == "First"


@pytest.mark.parametrize("frames", [0, 2])
def test_a_stopped_regeneration_leaves_the_way_back(chat: Chat, upstream: Upstream, frames: int) -> None:
    held = Gate()
    upstream.reply(
        chat_answer("First"), chat_answer("Second"), [held, *chat_answer("Third")[:frames], "hold"], chat_answer("And?")
    )
    chat.open("fake-openai")
    chat.ask("Hello?")
    again, stop = (chat.page.get_by_role("button", name=name) for name in ("Answer again", "Stop"))
    again.click()
    expect(chat.answers.locator(".prose")).to_have_text("Second")
    chat.wait()
    again.click()
    expect(stop).to_be_visible()
    if frames:
        held.open()
        expect(chat.answers.locator(".prose")).to_have_text("Third")
    chat.send_behind("And?")
    stop.click()
    chat.wait()
    expect(versions(chat.answers)).to_contain_text("3/3" if frames else "2/2")
    expect(chat.answers.locator(".prose")).to_have_text("Third" if frames else "Second")
    expect(chat.page.get_by_role("button", name="Send the waiting message")).to_be_visible()
    chat.page.get_by_role("button", name="Previous version").click()
    expect(chat.answers.locator(".prose")).to_have_text("Second" if frames else "First")


def test_a_regeneration_that_fails_leaves_the_answer_and_says_why(chat: Chat, upstream: Upstream) -> None:
    upstream.reply(chat_answer("First"), Reply([b"{}"], status=400))
    chat.open("fake-openai")
    chat.ask("Hello?")
    chat.page.get_by_role("button", name="Answer again").click()
    expect(chat.page.get_by_role("alert")).to_contain_text("refuses the request")
    chat.wait()
    expect(chat.answers.locator(".prose")).to_have_text("First")


def test_without_javascript_everything_is_a_form(browser: Browser, server: ServerProcess, upstream: Upstream) -> None:
    upstream.reply(chat_answer("Once upon a ti", finish=None), chat_answer("me."))
    with browser.new_context(java_script_enabled=False) as context:
        chat = Chat(context.new_page(), server)
        chat.open("fake-openai")
        chat.ask("Tell me a story")
        chat.page.get_by_role("button", name="Continue").click()
        expect(chat.answers.locator(".prose")).to_have_text("Once upon a time.")
        chat.page.get_by_role("link", name="Edit the message").click()
        expect(chat.box).to_have_value("Tell me a story")
        chat.ask("Tell me another")
        expect(chat.questions).to_have_text(["Tell me another"])
        chat.page.get_by_role("button", name="Previous version").click()
        expect(chat.questions).to_have_text(["Tell me a story"])
        expect(chat.answers.locator(".prose")).to_have_text("Once upon a time.")
        chat.page.get_by_role("link", name="Edit the message").click()
        chat.page.get_by_role("link", name="Cancel").click()
        expect(chat.box).to_have_value("")
