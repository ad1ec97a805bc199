"""A disk that cannot be written for a while: nothing that was said is lost when it can again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.durability.answers import steps_of
from tests.durability.client import Chat, rows, user, wait_until
from tests.upstream import Gate, Upstream

QUESTION = user("question", "Tell me a story")
LOCKED_SECONDS = 6.0
"""Longer than a write waits before it fails."""


def test_an_answer_that_ends_while_the_file_is_locked_is_saved_afterwards(
    chat: Chat, folder: Path, upstream: Upstream
) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"]))
    stream = chat.ask(QUESTION).read_text(9)
    with closing(sqlite3.connect(folder / "data/palaver.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        gate.open()
        stream.read_text(7)
        time.sleep(LOCKED_SECONDS)
        other.execute("ROLLBACK")
    wait_until(lambda: [status for _, _, status, _ in rows(folder, chat.block)] == ["complete", "complete"])
    stream.read()
    assert chat.said()[-1] == ("assistant", "Once upon a time")
    assert not chat.running()


def test_an_answer_is_written_again_soon_after_the_file_was_locked(
    chat: Chat, folder: Path, upstream: Upstream, measured: Callable[[str], None]
) -> None:
    gates = [Gate(), Gate(), Gate()]
    upstream.reply(steps_of(["Once upon", gates[0], " a time", gates[1], " there was an end.", gates[2]]))
    with chat.ask(QUESTION).read_text(9) as stream:
        wait_until(lambda: len(rows(folder, chat.block)) == 2)
        with closing(sqlite3.connect(folder / "data/palaver.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            gates[0].open()
            stream.read_text(7)
            time.sleep(3)
            other.execute("ROLLBACK")
        wait_until(lambda: rows(folder, chat.block)[1][3] == "Once upon a time")
        begun = time.monotonic()
        gates[1].open()
        wait_until(lambda: rows(folder, chat.block)[1][3] == "Once upon a time there was an end.")
        measured(f"written again {time.monotonic() - begun:.1f} s after a lock of 3 s")
        assert time.monotonic() - begun < 10
        gates[2].open()
        stream.read()
