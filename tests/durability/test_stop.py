"""Stop stops: the model at once, for every reader, whoever says it; what was said is kept."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.durability.answers import steps_of
from tests.durability.client import Chat, Stream, rows, user, wait_until
from tests.upstream import Gate, Upstream

QUESTION = user("question", "Tell me a story")


def is_stopped(stream: Stream, text: str) -> None:
    assert stream.text == text
    assert stream.kinds[-2:] == ["text-end", "abort"]
    assert stream.done


def has_a_next_turn(chat: Chat) -> None:
    chat.ask(*chat.messages(), user("next", "And now?")).read()
    assert chat.said()[-2:] == [("user", "And now?"), ("assistant", "Hello from upstream.")]


def test_stop_from_another_connection_closes_the_model_and_tells_every_reader(
    chat: Chat, upstream: Upstream, measured: Callable[[str], None]
) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    streams = [chat.ask(QUESTION).read_text(9), *(chat.resume().read_text(9) for _ in range(3))]
    asked = upstream.requests[-1]
    with ThreadPoolExecutor() as threads:
        begun = time.monotonic()
        stopping = threads.submit(chat.stop)
        asked.gone.wait()
        closed = time.monotonic() - begun
        assert stopping.result()
        answered = time.monotonic() - begun
    measured(
        f"stop: the model's connection closed after {closed * 1000:.0f} ms, answered after {answered * 1000:.0f} ms"
    )
    for stream in streams:
        is_stopped(stream.read(), "Once upon")
    assert chat.said() == [("user", "Tell me a story"), ("assistant", "Once upon")]
    assert chat.messages()[-1]["metadata"]["status"] == "stopped"
    assert not chat.running()
    has_a_next_turn(chat)


def test_stop_when_only_a_resumed_stream_is_left(chat: Chat, upstream: Upstream) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    chat.ask(QUESTION).read_text(9).close()
    resumed = chat.resume().read_text(9)
    assert chat.stop()
    upstream.requests[-1].gone.wait()
    is_stopped(resumed.read(), "Once upon")
    assert chat.messages()[-1]["metadata"]["status"] == "stopped"
    has_a_next_turn(chat)


def test_stop_when_nobody_reads(chat: Chat, upstream: Upstream) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    chat.ask(QUESTION).read_text(9).close()
    assert chat.stop()
    upstream.requests[-1].gone.wait()
    assert chat.said()[-1] == ("assistant", "Once upon")


def test_stop_before_the_first_word(chat: Chat, upstream: Upstream) -> None:
    upstream.reply(["hold"])
    already = len(upstream.requests)
    stream = chat.ask(QUESTION)
    asked = upstream.wait_for_requests(already + 1)[-1]
    resumed = chat.resume()
    assert chat.stop()
    asked.gone.wait()
    for each in (stream, resumed):
        each.read()
        assert (each.status, each.kinds, each.done) == (200, ["abort"], True)
    assert chat.said() == [("user", "Tell me a story")]
    has_a_next_turn(chat)


def test_stop_that_is_said_by_everybody_at_once(chat: Chat, folder: Path, upstream: Upstream) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    stream = chat.ask(QUESTION).read_text(9)
    with ThreadPoolExecutor() as threads:
        answers = [stopping.result() for stopping in [threads.submit(chat.stop) for _ in range(5)]]
    assert any(answers)
    assert not chat.stop()
    is_stopped(stream.read(), "Once upon")
    assert stream.kinds.count("abort") == 1
    assert [(role, status) for _, role, status, _ in rows(folder, chat.block)] == [
        ("user", "complete"),
        ("assistant", "stopped"),
    ]
    has_a_next_turn(chat)


def test_stop_while_the_answer_is_being_saved_comes_too_late_and_harms_nothing(
    chat: Chat, folder: Path, upstream: Upstream
) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"]))
    stream = chat.ask(QUESTION).read_text(9)
    wait_until(lambda: len(rows(folder, chat.block)) == 2)
    with closing(sqlite3.connect(folder / "data/palaver.db")) as other, ThreadPoolExecutor() as threads:
        other.execute("BEGIN IMMEDIATE")
        gate.open()
        while "text-end" not in stream.kinds:  # from here on nothing is left but the saving
            stream.read_chunk()
        stopping = threads.submit(chat.stop)
        resumed = chat.resume()
        resumed.read_text(16)
        other.execute("ROLLBACK")
        assert stopping.result()
    for each in (stream.read(), resumed.read()):
        assert each.text == "Once upon a time"
        assert (each.kinds[-1], each.done) == ("finish", True)
    assert "status" not in chat.messages()[-1]["metadata"]
    assert chat.said()[-1] == ("assistant", "Once upon a time")
    has_a_next_turn(chat)


def test_stop_reaches_a_turn_that_is_about_to_begin(chat: Chat, folder: Path, upstream: Upstream) -> None:
    chat.save(user("first", "Hello")).json()
    upstream.reply(["hold"])
    with closing(sqlite3.connect(folder / "data/palaver.db")) as other, ThreadPoolExecutor() as threads:
        other.execute("BEGIN IMMEDIATE")
        stream = chat.ask(QUESTION)  # which waits until it can be stored
        stopping = threads.submit(wait_until, chat.stop)  # there is nothing to stop before the question has arrived
        time.sleep(0.3)  # without it the stop may come later than it means to, with the same end
        other.execute("ROLLBACK")
        stopping.result()
    upstream.forget()
    assert stream.read().kinds == ["abort"]
    assert chat.said() == [("user", "Hello"), ("user", "Tell me a story")]
    has_a_next_turn(chat)
