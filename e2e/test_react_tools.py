"""Tools with the published `useChat` of AI SDK 4 to 7: those of the server, those of the app, and those that ask first.

The page goes on by itself when all calls of a step have their results, as apps do, so every test counts its requests.
SDK 6 and 7 say their version here, and get requests for approval; 4 and 5 get calls of a tool named `confirm`.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from e2e.react_chat import ReactChat, every_sdk, with_sdk
from tests.server_process import ServerProcess
from tests.upstream import Gate, Reply, Upstream, anthropic_answer, fixture

KNOW_APPROVALS = (6, 7)


@pytest.fixture
def chat(page: Page, react_app: str, server: ServerProcess, sdk: int) -> ReactChat:
    chat = ReactChat(page, react_app, server, sdk)
    page.on("request", lambda request: chat.note(request))
    return chat


def open_with_tools(chat: ReactChat, preset: str = "tools", **more: str) -> None:
    version = {"version": str(chat.sdk)} if chat.sdk in KNOW_APPROVALS else {}
    chat.open(preset, tools="", **version, **more)


def expect_call(chat: ReactChat, name: str, state: str) -> None:
    """The one call of that tool."""
    expect(chat.calls(name)).to_have_attribute("data-state", state)


def expect_question(chat: ReactChat) -> None:
    """The call of `delete_file` waits for a yes."""
    if chat.sdk in KNOW_APPROVALS:
        expect_call(chat, "delete_file", "approval-requested")
    else:
        expect_call(chat, "confirm", "input-available")
        expect(chat.calls("delete_file")).to_have_count(0)


def expect_end(chat: ReactChat, posts: int) -> None:
    """The answer is there, it took so many requests, none follows, and the conversation can go on."""
    expect(chat.main).to_have_attribute("data-status", "ready")
    expect(chat.answers).to_have_count(1)
    expect(chat.alert).to_have_count(0)
    expect(chat.ask("say goodbye", answers=2).locator("p")).to_have_text("goodbye")
    assert len(chat.posts) == posts + 1
    assert [message["role"] for message in chat.stored()] == ["user", "assistant"] * 2


@every_sdk
def test_a_tool_of_the_server_runs_and_the_answer_follows(chat: ReactChat) -> None:
    open_with_tools(chat)
    answer = chat.ask("calculate 2+3*4")
    expect_call(chat, "calculate", "output-available")
    expect(chat.calls("calculate").locator("code")).to_have_text('{"expression":"2+3*4"}')
    expect(answer.locator("p")).to_contain_text('"result": "14"')
    expect_end(chat, posts=1)


@every_sdk
def test_two_tools_run_at_once(chat: ReactChat) -> None:
    open_with_tools(chat)
    answer = chat.ask("both")
    for name in ("current_time", "calculate"):
        expect_call(chat, name, "output-available")
        expect(answer.locator("p")).to_contain_text(name)
    expect_end(chat, posts=1)


@every_sdk
def test_a_tool_that_fails_is_told_and_the_answer_follows(chat: ReactChat) -> None:
    open_with_tools(chat)
    answer = chat.ask("tool fail")
    expect_call(chat, "calculate", "output-available" if chat.sdk == 4 else "output-error")
    expect(chat.calls("calculate").locator("output")).to_contain_text("zero")
    expect(answer.locator("p")).to_contain_text("could not do it")
    expect_end(chat, posts=1)


@every_sdk
def test_a_model_that_calls_for_ever_is_ended_once(chat: ReactChat) -> None:
    open_with_tools(chat)
    answer = chat.ask("loop")
    expect(chat.calls("current_time")).to_have_count(4)
    assert [warning["setting"] for warning in chat.metadata(answer)["warnings"]] == ["max_steps"]
    expect_end(chat, posts=1)


@every_sdk
def test_a_tool_of_the_app_runs_there_and_the_same_answer_goes_on(chat: ReactChat) -> None:
    open_with_tools(chat)
    answer = chat.ask("tool locate")
    expect(answer.locator("p")).to_contain_text("Lisbon")
    expect_call(chat, "locate", "output-available")
    expect_end(chat, posts=2)


@every_sdk
def test_tools_of_the_app_and_of_the_server_share_a_step(chat: ReactChat) -> None:
    open_with_tools(chat)
    answer = chat.ask("tool locate current_time")
    expect(answer.locator("p")).to_contain_text("Lisbon")
    expect(answer.locator("p")).to_contain_text("timeZone")
    for name in ("locate", "current_time"):
        expect_call(chat, name, "output-available")
    expect_end(chat, posts=2)


@every_sdk
def test_a_tool_whose_name_no_app_knows_is_dynamic(chat: ReactChat) -> None:
    open_with_tools(chat, "mcp")
    answer = chat.ask('tool demo__add {"a": 2, "b": 3}')
    expect_call(chat, "demo__add", "output-available")
    expect(chat.calls("demo__add")).to_have_attribute("data-dynamic", "false" if chat.sdk == 4 else "true")
    expect(answer.locator("p")).to_contain_text("5")
    expect_end(chat, posts=1)


@every_sdk
def test_a_tool_that_the_service_runs_itself_is_no_reason_to_go_on(chat: ReactChat, upstream: Upstream) -> None:
    upstream.reply(Reply(fixture("anthropic/web_search.jsonl")))
    upstream.reply(Reply(anthropic_answer("goodbye")))
    open_with_tools(chat, "fake-anthropic")
    chat.ask("Search the web")
    expect_call(chat, "web_search", "output-available")
    expect_end(chat, posts=1)


@every_sdk
def test_a_tool_that_asks_runs_when_the_user_allows_it(chat: ReactChat) -> None:
    open_with_tools(chat)
    chat.ask('tool delete_file {"path": "old.txt"}')
    expect_question(chat)
    chat.press("Approve")
    expect(chat.answers.locator("p")).to_contain_text('"deleted": "old.txt"')
    expect_call(chat, "delete_file", "output-available")
    expect_end(chat, posts=2)


@every_sdk
def test_a_tool_that_asks_does_not_run_when_the_user_denies_it(chat: ReactChat) -> None:
    open_with_tools(chat)
    chat.ask("tool delete_file")
    expect_question(chat)
    chat.press("Deny")
    expect(chat.answers.locator("p")).to_contain_text("could not do it")
    ends = {4: "output-available", 5: "output-error"}
    expect_call(chat, "delete_file", ends.get(chat.sdk, "output-denied"))
    expect_end(chat, posts=2)


@every_sdk
def test_beside_a_tool_that_asks_the_others_run(chat: ReactChat) -> None:
    open_with_tools(chat)
    chat.ask("tool delete_file current_time")
    expect_question(chat)
    expect_call(chat, "current_time", "output-available")
    chat.press("Approve")
    expect(chat.answers.locator("p")).to_contain_text("deleted")
    expect_end(chat, posts=2)


@every_sdk
def test_a_question_that_is_not_answered_is_given_up_by_the_next_message(chat: ReactChat) -> None:
    open_with_tools(chat)
    chat.ask("tool delete_file")
    expect_question(chat)
    expect_end(chat, posts=1)


@every_sdk
def test_a_question_is_answered_after_a_reload(chat: ReactChat) -> None:
    open_with_tools(chat)
    chat.ask("tool delete_file")
    expect_question(chat)
    chat.page.reload()
    expect_question(chat)
    chat.press("Approve")
    expect(chat.answers.locator("p")).to_contain_text("deleted")
    expect_end(chat, posts=2)


@every_sdk
def test_a_reload_shows_the_calls_as_they_were(chat: ReactChat) -> None:
    open_with_tools(chat)
    chat.ask("both")
    before = chat.shown()
    chat.page.reload()
    expect(chat.answers).to_have_count(1)
    assert chat.shown() == before
    expect_end(chat, posts=1)


@with_sdk(*KNOW_APPROVALS)
def test_a_tool_shows_how_far_it_is(chat: ReactChat, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(Reply([gate, b"the answer"]))
    open_with_tools(chat)
    chat.send("tool ask_service")
    expect(chat.calls("ask_service").locator("output")).to_have_text('"asking"')
    gate.open()
    expect(chat.calls("ask_service").locator("output")).to_have_text('"the answer"')
    expect_end(chat, posts=1)


@every_sdk
def test_stop_ends_a_tool(chat: ReactChat, upstream: Upstream) -> None:
    asked = len(upstream.requests)
    upstream.reply(Reply(["hold"]))
    open_with_tools(chat)
    chat.send("tool ask_service")
    request = upstream.wait_for_requests(asked + 1)[-1]
    chat.press("Stop")
    request.gone.wait()
    expect(chat.main).to_have_attribute("data-status", "ready")
    assert chat.stored()[-1]["metadata"]["status"] == "stopped"
    expect_end(chat, posts=1)


@every_sdk
def test_a_tool_that_is_stopped_elsewhere_does_not_make_the_app_go_on(chat: ReactChat, upstream: Upstream) -> None:
    asked = len(upstream.requests)
    upstream.reply(Reply(["hold"]))
    open_with_tools(chat)
    chat.send("tool ask_service")
    upstream.wait_for_requests(asked + 1)
    stop = f"{chat.server.url}/api/ai/chat/{chat.block}/stop"
    assert chat.page.request.post(stop).json() == {"stopped": True}
    expect_call(chat, "ask_service", "output-available" if chat.sdk == 4 else "output-error")
    expect_end(chat, posts=1)


@every_sdk
def test_a_reload_while_a_tool_runs_finds_it_again(chat: ReactChat, upstream: Upstream) -> None:
    gate, asked = Gate(), len(upstream.requests)
    upstream.reply(Reply([gate, b"the answer"]))
    open_with_tools(chat, resume="")
    chat.send("tool ask_service")
    upstream.wait_for_requests(asked + 1)
    expect(chat.calls("ask_service")).to_have_count(1)
    chat.page.reload()
    expect(chat.calls("ask_service")).to_have_count(1)
    gate.open()
    expect(chat.answers.locator("p")).to_contain_text("the answer")
    expect_call(chat, "ask_service", "output-available")
    expect_end(chat, posts=1)
