"""Tools while a server is stopped, told to end and killed: nothing runs twice, and nothing that waits is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from app.chat.approvals import UNFINISHED
from app.core.tools import CANCELLED
from tests.durability.client import Chat, rows, user, wait_until
from tests.server_process import ServerProcess, server_process
from tests.upstream import Upstream, chat_answer, chat_chunk, chat_frames

TOOLS = '''
"""Tools of the tests. What they did stands in ran.txt."""

import asyncio
import time
from pathlib import Path

TOOL_POLICY = {"launch": "ask"}


def _note(what):
    with Path(__file__).with_name("ran.txt").open("a") as file:
        file.write(what + "\\n")


async def wait() -> str:
    """Wait for ever."""
    _note("wait")
    try:
        await asyncio.Event().wait()
    finally:
        _note("told to stop")


def sleep() -> str:
    """Wait for ever, deaf to everybody."""
    _note("sleep")
    time.sleep(3600)


def launch() -> str:
    """Launch a weather balloon."""
    _note("launch")
    return "It flies."
'''

CONFIG = """
[settings]
"ai:preset" = "fake"

[tools]
modules = ["./balloons.py"]

[presets.fake]
provider = "openai-chat"
base_url = "{upstream}"
api_key_env = "FAKE_KEY"
model = "tiny"
tools = ["wait", "sleep", "launch"]
"""

QUESTION = user("question", "How is it up there?")

Start = Callable[[], AbstractContextManager[ServerProcess]]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def start(tmp_path: Path, upstream: Upstream) -> Start:
    (tmp_path / "balloons.py").write_text(TOOLS)
    config = CONFIG.format(upstream=upstream.base_url)
    return lambda: server_process(tmp_path, config=config, environment={"FAKE_KEY": "not-a-key"})


@pytest.fixture
def ran(tmp_path: Path) -> Callable[[], list[str]]:
    file = tmp_path / "ran.txt"
    return lambda: file.read_text().splitlines() if file.exists() else []


def calling(name: str) -> list[bytes]:
    function = {"name": name, "arguments": "{}"}
    call = {"index": 0, "id": "call_00000001", "type": "function", "function": function}
    return chat_frames([chat_chunk({"tool_calls": [call]}), chat_chunk({}, "tool_calls")])


def call_of(chat: Chat) -> dict[str, Any]:
    """The one tool call of the last answer, as it is stored."""
    (call,) = [part for part in chat.messages()[-1]["parts"] if "toolCallId" in part]
    return call


def outcome(chat: Chat) -> tuple[str, str | None]:
    call = call_of(chat)
    return call["state"], call.get("errorText")


@pytest.mark.parametrize(("tool", "left"), [("wait", ["wait", "told to stop"]), ("sleep", ["sleep"])])
def test_stop_ends_a_tool_and_the_conversation_goes_on(tool, left, start, upstream, ran):
    with start() as server:
        chat = Chat(server, "b1")
        upstream.reply(calling(tool))
        stream = chat.ask(QUESTION)
        wait_until(lambda: bool(ran()))
        assert chat.stop()
        assert stream.read().kinds[-1] == "abort"
        assert outcome(chat) == ("output-error", CANCELLED)
        assert ran() == left
        upstream.reply(chat_answer("Fine."))
        chat.ask(*chat.messages(), user("next", "And now?")).read()
        assert CANCELLED in str(upstream.requests[-1].json["messages"])


@pytest.mark.parametrize("tool", ["wait", "sleep"])
def test_a_server_that_is_told_to_end_waits_for_no_tool_for_ever(tool, start, upstream, ran):
    with start() as server, ThreadPoolExecutor() as threads:
        upstream.reply(calling(tool))
        stream = Chat(server, "b1").ask(QUESTION)
        wait_until(lambda: bool(ran()))
        ending = threads.submit(server.end)
        assert stream.read().kinds[-1] == "abort"
        assert ending.result() == 0
    with start() as server:
        chat = Chat(server, "b1")
        assert outcome(chat) == ("output-error", CANCELLED)
        assert chat.messages()[-1]["metadata"]["status"] == "interrupted"
    assert ran()[0] == tool
    assert tool not in ran()[1:]


def test_a_call_that_a_power_cut_ended_is_not_made_again(tmp_path, start, upstream, ran):
    with start() as server:
        upstream.reply(calling("wait"))
        stream = Chat(server, "b1").ask(QUESTION)
        wait_until(lambda: bool(ran()) and len(rows(tmp_path, "b1")) == 2)
        server.kill()
        stream.read_what_comes()
    with start() as server:
        chat = Chat(server, "b1")
        upstream.reply(chat_answer("Nobody knows."))
        chat.ask(*chat.messages(), messageId=chat.messages()[-1]["id"]).read()
        assert outcome(chat) == ("output-error", UNFINISHED)
        assert UNFINISHED in str(upstream.requests[-1].json["messages"])
        assert [role for role, _ in chat.said()] == ["user", "assistant"], "the same answer goes on"
    assert ran() == ["wait"]


def test_a_yes_that_is_given_after_a_power_cut_runs_the_call_once(start, upstream, ran):
    with start() as server:
        chat = Chat(server, "b1")
        upstream.reply(calling("launch"))
        chat.request("POST", chat.chat + "?sdk=6", {"message": QUESTION}).read()
        asked = chat.messages()
        server.kill()
    call = next(part for part in asked[-1]["parts"] if part.get("state") == "approval-requested")
    call |= {"state": "approval-responded", "approval": {**call["approval"], "approved": True}}
    with start() as server:
        chat = Chat(server, "b1")
        upstream.reply(chat_answer("It flies."))
        assert chat.request("POST", chat.chat + "?sdk=6", {"messages": asked}).read().status == 200
        assert call_of(chat)["output"] == "It flies."
        assert chat.request("POST", chat.chat + "?sdk=6", {"messages": asked}).status == 409
    with start() as server:
        chat = Chat(server, "b1")
        assert chat.request("POST", chat.chat + "?sdk=6", {"messages": asked}).status == 409
    assert ran() == ["launch"]


def test_many_conversations_run_their_tools_at_the_same_time(start, upstream, ran):
    with start() as server, ThreadPoolExecutor(30) as threads:
        chats = [Chat(server, f"b{number}") for number in range(30)]
        upstream.reply(*[calling("wait")] * len(chats))
        streams = [chat.ask(QUESTION) for chat in chats]
        wait_until(lambda: ran() == ["wait"] * len(chats))
        assert all(threads.map(Chat.stop, chats))
        assert {stream.read().kinds[-1] for stream in streams} == {"abort"}
        assert sorted(ran()) == ["told to stop"] * len(chats) + ["wait"] * len(chats)
