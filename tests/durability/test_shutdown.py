"""A server that is told to end: quick answers finish, long ones are cut and say so, all are kept."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.durability.answers import steps_of
from tests.durability.client import Chat, rows, user, wait_until
from tests.upstream import Gate, Upstream

QUESTION = user("question", "Tell me a story")


def test_what_runs_when_the_server_is_told_to_end(
    tmp_path: Path, start: Callable[[Path], Any], upstream: Upstream
) -> None:
    gate = Gate()
    with start(tmp_path) as server, ThreadPoolExecutor() as threads:
        upstream.reply(steps_of(["Once upon", gate, " a time"]))
        quick = Chat(server, "quick").ask(QUESTION).read_text(9)
        upstream.reply(steps_of(["Once upon"], ends=False))
        long = Chat(server, "long")
        watched, resumed = long.ask(QUESTION).read_text(9), long.resume().read_text(9)
        upstream.reply(["hold"])
        already = len(upstream.requests)
        silent = Chat(server, "silent").ask(QUESTION)
        upstream.wait_for_requests(already + 1)
        ending = threads.submit(server.end)
        wait_until(lambda: refuses(long))
        gate.open()
        assert quick.read().text == "Once upon a time"
        assert not ending.done()
        for stream in (watched, resumed):
            assert stream.read().kinds[-2:] == ["text-end", "abort"]
            assert stream.done
        assert silent.read().kinds == ["abort"]
        assert ending.result() == 0
    assert [(status, text) for _, _, status, text in rows(tmp_path, "quick")][1:] == [("complete", "Once upon a time")]
    assert [(status, text) for _, _, status, text in rows(tmp_path, "long")][1:] == [("interrupted", "Once upon")]
    assert [role for _, role, _, _ in rows(tmp_path, "silent")] == ["user"]
    with start(tmp_path) as server:
        chat = Chat(server, "long")
        assert not chat.running()
        assert chat.messages()[-1]["metadata"]["status"] == "interrupted"
        chat.ask(*chat.messages(), user("next", "And now?")).read()
        assert chat.said()[-1] == ("assistant", "Hello from upstream.")


def refuses(chat: Chat) -> bool:
    try:
        chat.request("GET", "/health").body()
    except OSError:
        return True
    return False


def test_a_server_without_work_ends_at_once(tmp_path: Path, start: Callable[[Path], Any]) -> None:
    with start(tmp_path) as server:
        assert server.end() == 0
