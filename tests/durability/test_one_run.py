"""One answer at a time in one conversation, any number of conversations at a time, and nothing twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.durability.answers import steps_of
from tests.durability.client import Chat, Stream, rows, user, wait_until
from tests.server_process import ServerProcess
from tests.upstream import Gate, Upstream

QUESTION = user("question", "Tell me a story")
OTHER = user("other", "Tell me another one")


def test_another_question_waits_while_somebody_reads(chat: Chat, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"]))
    stream = chat.ask(QUESTION).read_text(9)
    refused = chat.ask(OTHER)
    assert refused.status == 409
    assert b"Stop it or wait" in refused.body()
    gate.open()
    assert stream.read().text == "Once upon a time"
    assert chat.said() == [("user", "Tell me a story"), ("assistant", "Once upon a time")]


def test_another_question_replaces_an_answer_that_nobody_reads(chat: Chat, folder: Path, upstream: Upstream) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    chat.ask(QUESTION).read_text(9).close()
    asked = upstream.requests[-1]
    wait_until(lambda: chat.ask(OTHER).read().status == 200)
    asked.gone.wait()
    answers = [(text, status) for _, role, status, text in rows(folder, chat.block) if role == "assistant"]
    assert answers == [("Once upon", "stopped"), ("Hello from upstream.", "complete")]
    assert [role for role, _ in chat.said()] == ["user", "assistant"] * 2


def test_the_same_post_while_it_is_answered_is_the_same_answer(chat: Chat, folder: Path, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"]))
    already = len(upstream.requests)
    streams = [chat.ask(QUESTION) for _ in range(5)]
    for stream in streams:
        stream.read_text(9)
    gate.open()
    assert {stream.read().text for stream in streams} == {"Once upon a time"}
    assert len({stream.message_id for stream in streams}) == 1
    assert len(upstream.requests) == already + 1
    assert len(rows(folder, chat.block)) == 2


def test_the_same_post_after_its_answer_gets_that_answer(chat: Chat, folder: Path, upstream: Upstream) -> None:
    already = len(upstream.requests)
    streams = [chat.ask(QUESTION).read() for _ in range(3)]
    assert {stream.text for stream in streams} == {"Hello from upstream."}
    assert len({stream.message_id for stream in streams}) == 1
    assert len(upstream.requests) == already + 1
    assert len(rows(folder, chat.block)) == 2


def test_the_same_post_after_its_conversation_was_deleted_is_asked_anew(chat: Chat, upstream: Upstream) -> None:
    chat.ask(QUESTION).read()
    assert chat.request("DELETE", chat.conversation).body() == b""
    chat.ask(QUESTION).read()
    assert chat.said() == [("user", "Tell me a story"), ("assistant", "Hello from upstream.")]


def test_a_conversation_that_is_deleted_in_mid_answer_does_not_come_back(
    chat: Chat, folder: Path, upstream: Upstream
) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    stream = chat.ask(QUESTION).read_text(9)
    wait_until(lambda: len(rows(folder, chat.block)) == 2)
    chat.request("DELETE", chat.conversation).body()
    assert stream.read().kinds[-1] == "abort"
    assert rows(folder, chat.block) == []
    assert chat.request("GET", chat.conversation).body()
    assert not chat.running()


def test_two_tabs_that_ask_at_once_leave_both_questions(chat: Chat, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"]))
    first = chat.ask(QUESTION)
    first.read_text(9)
    with ThreadPoolExecutor() as threads:
        statuses = list(threads.map(lambda _: chat.ask(OTHER).read().status, range(4)))
    assert statuses == [409] * 4
    chat.save(QUESTION, OTHER).json()  # what the second tab does with what it may not ask yet
    gate.open()
    first.read()
    assert chat.said() == [
        ("user", "Tell me a story"),
        ("assistant", "Once upon a time"),
        ("user", "Tell me another one"),
    ]


def test_a_copy_of_the_answer_in_flight_that_a_tab_saves_is_not_stored_beside_it(
    chat: Chat, folder: Path, upstream: Upstream
) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"]))
    stream = chat.ask(QUESTION).read_text(9)
    copy = {"id": stream.message_id, "role": "assistant", "parts": [{"type": "text", "text": "Once"}]}
    for _ in range(2):
        chat.save(QUESTION, copy, OTHER).json()
        assert chat.said() == [("user", "Tell me a story"), ("user", "Tell me another one")]
    gate.open()
    stream.read()
    chat.save(QUESTION, copy, OTHER).json()
    assert chat.said() == [
        ("user", "Tell me a story"),
        ("assistant", "Once upon a time"),
        ("user", "Tell me another one"),
    ]
    assert len(rows(folder, chat.block)) == 3


def test_two_hundred_conversations_at_once_are_all_exact(
    server: ServerProcess, folder: Path, measured: Callable[[str], None]
) -> None:
    texts = [" ".join(f"{word}-{number}" for word in range(20)) for number in range(200)]
    chats = [Chat(server, f"one-of-many-{number}", preset="echo") for number in range(200)]
    begun = time.monotonic()
    streams = [chat.ask(user("question", f"say {text}")) for chat, text in zip(chats, texts, strict=True)]
    with ThreadPoolExecutor() as threads:
        answers = [stream.text for stream in threads.map(Stream.read, streams)]
    measured(f"200 conversations at once: {time.monotonic() - begun:.1f} s for answers of 0.3 s")
    assert answers == texts
    for chat, text in zip(chats, texts, strict=True):
        stored = [(role, status, said) for _, role, status, said in rows(folder, chat.block)]
        assert stored == [("user", "complete", f"say {text}"), ("assistant", "complete", text)]
