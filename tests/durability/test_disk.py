"""A disk that cannot be written for a while: nothing that was said is lost when it can again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

from tests.durability.answers import steps_of
from tests.durability.client import Chat, rows, user, wait_until
from tests.server_process import ServerProcess
from tests.upstream import Gate, Upstream

QUESTION = user("question", "Tell me a story")
Start = Callable[[Path], AbstractContextManager[ServerProcess]]


def wait_for_log(server: ServerProcess, words: str) -> None:
    wait_until(lambda: any(words in line for line in server.log))


def test_an_answer_that_ends_while_the_file_is_locked_is_saved_afterwards(
    chat: Chat, folder: Path, server: ServerProcess, upstream: Upstream
) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"]))
    stream = chat.ask(QUESTION).read_text(9)
    with closing(sqlite3.connect(folder / "data/palaver.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        gate.open()
        stream.read_text(16)
        wait_for_log(server, f"answer not saved yet block_id={chat.block} ")
        other.execute("ROLLBACK")
    wait_until(lambda: [status for _, _, status, _ in rows(folder, chat.block)] == ["complete", "complete"])
    stream.read()
    assert chat.said()[-1] == ("assistant", "Once upon a time")
    assert not chat.running()


def test_an_answer_is_written_again_soon_after_the_file_was_locked(
    tmp_path: Path, start: Start, upstream: Upstream, measured: Callable[[str], None]
) -> None:
    """It rests longer after a write that took long, but not ten times as long as the file was locked."""
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"], ends=False))
    with start(tmp_path) as server, Chat(server, "story").ask(QUESTION).read_text(9) as stream:
        wait_until(lambda: len(rows(tmp_path, "story")) == 2)
        with closing(sqlite3.connect(tmp_path / "data/palaver.db")) as other:
            locked = time.monotonic()
            other.execute("BEGIN IMMEDIATE")
            gate.open()
            stream.read_text(16)
            wait_for_log(server, "checkpoint not saved")
            other.execute("ROLLBACK")
        freed = time.monotonic()
        wait_until(lambda: rows(tmp_path, "story")[1][3] == "Once upon a time")
        waited = time.monotonic() - freed
        measured(f"written again {waited:.1f} s after a lock of {freed - locked:.1f} s")
        assert waited < 5 * (freed - locked)
