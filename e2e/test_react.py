"""A React app with the published `useChat` of AI SDK 4 to 7, in a browser, against the server on another origin."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from playwright.sync_api import Page, Route, expect

from e2e.react_chat import ReactChat, every_sdk, with_sdk
from tests.server_process import README_ADDRESS, ROOT, ServerProcess
from tests.upstream import Gate, Upstream, anthropic_answer, chat_answer

ONE_SENTENCE = re.compile(r"^[A-Z][^{}<>\n]+\.$")


@pytest.fixture
def chat(page: Page, react_app: str, server: ServerProcess, sdk: int) -> ReactChat:
    return ReactChat(page, react_app, server, sdk)


@every_sdk
def test_an_answer_grows_while_it_is_made_and_says_what_it_cost(chat: ReactChat, upstream: Upstream) -> None:
    frames, gate = chat_answer("Once upon", " a time"), Gate()
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.open(preset="fake-openai")
    chat.send("Tell me a story")
    expect(chat.answers.locator("p")).to_have_text("Once upon")
    gate.open()
    expect(chat.answers.locator("p")).to_have_text("Once upon a time")
    expect(chat.main).to_have_attribute("data-status", "ready")
    metadata = chat.metadata(chat.answers.last)
    assert metadata["preset"] == "fake-openai"
    assert metadata["finishReason"] == "stop"
    assert metadata["usage"]["totalTokens"] > 0


@every_sdk
def test_thinking_is_apart_from_the_answer(chat: ReactChat, upstream: Upstream) -> None:
    upstream.reply(anthropic_answer("Because.", reasoning=["Why", " indeed?"]))
    chat.open(preset="fake-anthropic")
    answer = chat.ask("Why?")
    expect(answer.locator("blockquote")).to_have_text("Why indeed?")
    expect(answer.locator("p")).to_have_text("Because.")


@every_sdk
def test_a_failure_before_the_answer_is_one_plain_sentence(chat: ReactChat) -> None:
    chat.open()
    chat.send("error")
    expect(chat.alert).to_have_text(ONE_SENTENCE)
    expect(chat.main).to_have_attribute("data-status", "error")
    expect(chat.answers).to_have_count(0)


@every_sdk
def test_an_unknown_preset_is_refused_with_the_names_of_those_that_exist(chat: ReactChat) -> None:
    chat.open(preset="nobody")
    chat.send("hello")
    expect(chat.alert).to_contain_text("parrot")


@every_sdk
def test_a_failure_in_mid_answer_keeps_what_was_said(chat: ReactChat) -> None:
    chat.open()
    chat.send("error midway")
    expect(chat.alert).to_have_text(ONE_SENTENCE)
    expect(chat.main).to_have_attribute("data-status", "error")
    expect(chat.answers.locator("p")).to_contain_text("it has a middle")
    expect(chat.answers.locator("p")).not_to_contain_text("never arrive")
    assert chat.stored()[-1]["metadata"]["status"] == "error"


@every_sdk
def test_stop_ends_the_answer_and_keeps_what_was_said(chat: ReactChat, upstream: Upstream) -> None:
    upstream.reply([*chat_answer("Once upon", " a time")[:3], "hold"])
    chat.open(preset="fake-openai")
    chat.send("Tell me a story")
    expect(chat.answers.locator("p")).to_have_text("Once upon a time")
    chat.press("Stop")
    expect(chat.main).to_have_attribute("data-status", "ready")
    expect(chat.answers.locator("p")).to_have_text("Once upon a time")
    assert chat.stored()[-1]["metadata"]["status"] == "stopped"
    upstream.requests[-1].gone.wait()
    expect(chat.ask("And then?", answers=2)).to_contain_text("Hello from upstream.")


@every_sdk
def test_three_turns_are_one_conversation(chat: ReactChat) -> None:
    chat.open()
    for turn, text in enumerate(("First question", "Second question", "Third question"), start=1):
        expect(chat.ask(text, answers=turn)).to_contain_text(text)
    assert [role for role, _ in chat.shown()] == ["user", "assistant"] * 3
    assert [message["role"] for message in chat.stored()] == ["user", "assistant"] * 3


@every_sdk
def test_a_reload_shows_the_same_conversation(chat: ReactChat) -> None:
    chat.open()
    chat.ask("think")
    chat.ask("Second question", answers=2)
    before = chat.shown()
    chat.page.reload()
    expect(chat.answers).to_have_count(2)
    assert chat.shown() == before
    chat.ask("Third question", answers=3)
    assert len(chat.stored()) == 6


@every_sdk
def test_a_reload_in_mid_answer_finds_it_again(chat: ReactChat, upstream: Upstream) -> None:
    frames, gate = chat_answer("Once upon", " a time", " there was an end."), Gate()
    upstream.reply([*frames[:3], gate, *frames[3:]])
    chat.open(preset="fake-openai", resume="")
    chat.send("Tell me a story")
    expect(chat.answers.locator("p")).to_have_text("Once upon a time")
    chat.page.reload()
    expect(chat.answers.locator("p")).to_have_text("Once upon a time")
    gate.open()
    expect(chat.answers.locator("p")).to_have_text("Once upon a time there was an end.")
    expect(chat.main).to_have_attribute("data-status", "ready")
    assert [role for role, _ in chat.shown()] == ["user", "assistant"]


@every_sdk
def test_reloads_in_mid_answer_lose_nothing_and_double_nothing(chat: ReactChat, upstream: Upstream) -> None:
    pieces = ["Once upon a time ", "a 🦜 said: ", "<b>`data: [DONE]`</b>, ", "and that was the end."]
    first, *texts = chat_answer(*pieces)
    gates = [Gate() for _ in pieces]
    chat.open(preset="fake-openai", resume="")
    chat.ask("Hello")
    before = chat.shown()
    upstream.reply([first, *(step for pair in zip(gates, texts, strict=False) for step in pair), *texts[len(gates) :]])
    chat.send("Tell me a story")
    for number, gate in enumerate(gates):
        gate.open()
        expect(chat.answers.last.locator("p")).to_have_text("".join(pieces[: number + 1]).strip())
        chat.page.reload()
    whole = "".join(pieces)
    expect(chat.answers.last.locator("p")).to_have_text(whole)
    expect(chat.main).to_have_attribute("data-status", "ready")
    assert chat.shown() == [*before, ("user", "Tell me a story"), ("assistant", whole)]
    assert [part["text"] for part in chat.stored()[-1]["parts"] if part["type"] == "text"] == [whole]
    chat.ask("And then?", answers=3)
    assert [message["role"] for message in chat.stored()] == ["user", "assistant"] * 3


@every_sdk
def test_stop_after_a_reload_ends_the_answer_and_keeps_what_was_said(chat: ReactChat, upstream: Upstream) -> None:
    upstream.reply([*chat_answer("Once upon", " a time")[:3], "hold"])
    chat.open(preset="fake-openai", resume="")
    chat.send("Tell me a story")
    expect(chat.answers.locator("p")).to_have_text("Once upon a time")
    chat.page.reload()
    expect(chat.answers.locator("p")).to_have_text("Once upon a time")
    chat.press("Stop")
    upstream.requests[-1].gone.wait()
    expect(chat.main).to_have_attribute("data-status", "ready")
    chat.page.reload()
    expect(chat.answers.locator("p")).to_have_text("Once upon a time")
    assert chat.stored()[-1]["metadata"]["status"] == "stopped"
    expect(chat.ask("And then?", answers=2)).to_contain_text("Hello from upstream.")


@every_sdk
def test_a_resume_without_a_running_answer_changes_nothing(chat: ReactChat) -> None:
    chat.open(resume="")
    chat.ask("Hello")
    before = chat.shown()
    with chat.page.expect_response(lambda response: response.request.method == "GET"):
        chat.press("Resume")
    expect(chat.main).to_have_attribute("data-status", "ready")
    expect(chat.alert).to_have_count(0)
    assert chat.shown() == before


@every_sdk
def test_two_tabs_see_the_same_answer_grow(chat: ReactChat, upstream: Upstream) -> None:
    frames, gate = chat_answer("Once upon", " a time", " there was an end."), Gate()
    upstream.reply([*frames[:3], gate, *frames[3:]])
    chat.open(preset="fake-openai", resume="")
    chat.send("Tell me a story")
    expect(chat.answers.locator("p")).to_have_text("Once upon a time")
    other = replace(chat, page=chat.page.context.new_page())
    other.open(preset="fake-openai", resume="")
    expect(other.answers.locator("p")).to_have_text("Once upon a time")
    gate.open()
    for tab in (chat, other):
        expect(tab.answers.locator("p")).to_have_text("Once upon a time there was an end.")
        expect(tab.main).to_have_attribute("data-status", "ready")
    assert chat.shown() == other.shown()
    assert [message["id"] for message in chat.stored()] == [
        each.get_attribute("id") for each in other.page.locator("li").all()
    ]


@every_sdk
def test_an_answer_can_be_had_anew(chat: ReactChat) -> None:
    chat.open()
    first = chat.ask("Once more, please").get_attribute("id")
    chat.press("Regenerate")
    expect(chat.page.locator(f"li[id='{first}']")).to_have_count(0)
    expect(chat.answers).to_have_count(1)
    expect(chat.main).to_have_attribute("data-status", "ready")
    assert [message["role"] for message in chat.stored()] == ["user", "assistant"]


@with_sdk(7)
def test_tokens_of_a_real_model_are_streamed_saved_and_loaded(chat: ReactChat) -> None:
    chat.open(preset="llama")
    answer = chat.ask("Tell me something")
    assert chat.metadata(answer)["usage"]["outputTokens"] > 1  # a thousand a second: the page shows them in few pieces
    shown = chat.shown()
    chat.page.reload()
    expect(chat.answers).to_have_count(1)
    assert chat.shown() == shown


def test_the_component_of_the_readme_chats(page: Page, react_app: str, server: ServerProcess) -> None:
    def point_to_this_server(route: Route) -> None:
        script = (ROOT / "e2e/react/dist/readme.js").read_text()
        route.fulfill(content_type="text/javascript", body=script.replace(README_ADDRESS, server.url))

    page.route("**/dist/readme.js", point_to_this_server)
    page.goto(f"{react_app}/?client=readme")
    page.get_by_role("textbox").fill("Is anybody there?")
    page.get_by_role("textbox").press("Enter")
    expect(page.locator("p").last).to_contain_text("assistant")
    expect(page.locator("p").last).to_contain_text("Is anybody there?")
    expect(page.get_by_role("textbox")).to_be_enabled()
