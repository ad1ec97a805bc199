"""A reload at any moment, as often as one likes, in as many tabs: what is read in the end is what was said."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from tests.durability.answers import pieces_of, steps_of
from tests.durability.client import Chat, Stream, rows, user, wait_until
from tests.server_process import ServerProcess
from tests.upstream import Gate, Upstream

QUESTION = user("question", "Tell me everything")


def resident(server: ServerProcess) -> int:
    """The server's memory in bytes."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * 4096


def is_whole(stream: Stream, text: str) -> None:
    assert stream.text == text
    assert stream.done
    assert stream.kinds[0] == "start"
    assert stream.kinds[-1] == "finish"
    assert stream.kinds.count("start") == 1


def is_stored_once(chat: Chat, folder: Path, text: str) -> None:
    assert chat.said() == [("user", "Tell me everything"), ("assistant", text)]
    assert [(role, status) for _, role, status, _ in rows(folder, chat.block)] == [
        ("user", "complete"),
        ("assistant", "complete"),
    ]


def paced(pieces: Sequence[str], gates: Sequence[Gate]) -> list[str | Gate]:
    """Each piece behind a gate of its own."""
    return [item for pair in zip(gates, pieces, strict=True) for item in pair]


@pytest.mark.parametrize("seed", range(6))
def test_reloads_at_any_moment_lose_nothing(
    chat: Chat, folder: Path, upstream: Upstream, measured: Callable[[str], None], seed: int
) -> None:
    random = Random(seed)
    pieces = pieces_of(random, 4_000, most=120)
    gates = [Gate() for _ in pieces]
    upstream.reply(steps_of(paced(pieces, gates)))
    stream = chat.ask(QUESTION)
    cuts = set(random.sample(range(len(pieces)), 5))
    waits: list[float] = []
    said = 0
    for number, (piece, gate) in enumerate(zip(pieces, gates, strict=True)):
        gate.open()
        said += len(piece)
        if number in cuts:
            # The first of these comes before or after the piece does, whoever is faster.
            stream.close()
            stream = chat.resume()
            stream.read_chunk()
            waits.append(time.monotonic() - stream.sent_at)
        elif random.random() < 0.5:
            missing = said - len(stream.text)
            stream.read_text(said) if missing else None
    is_whole(stream.read(), "".join(pieces))
    is_stored_once(chat, folder, "".join(pieces))
    assert not chat.running()
    if seed == 5:
        measured(f"reattached after {max(waits) * 1000:.0f} ms at most, {min(waits) * 1000:.0f} ms at least")


def test_a_page_that_loads_in_mid_answer_has_nothing_twice(chat: Chat, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"]))
    with chat.ask(QUESTION) as stream:
        stream.read_text(9)
        assert chat.said() == [("user", "Tell me everything")], "the answer in flight is the stream's to tell"
        with chat.resume() as second:
            second.read_text(9)
            gate.open()
            is_whole(second.read(), "Once upon a time")
        assert chat.said()[1:] == [("assistant", "Once upon a time")]
        assert chat.messages()[1]["id"] == second.message_id == stream.message_id


def test_an_answer_that_is_continued_is_in_flight_at_once(chat: Chat, upstream: Upstream) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    chat.ask(QUESTION).read_text(9)
    chat.stop()
    question, answer = chat.messages()
    gate = Gate()
    upstream.reply(steps_of([gate, " a time"]))
    already = len(upstream.requests)
    stream = chat.ask(question, answer)
    upstream.wait_for_requests(already + 1)
    assert chat.messages() == [question], "its stream tells it from the start"
    resumed = chat.resume()
    gate.open()
    is_whole(resumed.read(), "Once upon a time")
    assert stream.read().text == " a time", "who has the beginning gets the rest"
    assert chat.said()[1:] == [("assistant", "Once upon a time")]


@pytest.mark.parametrize("end", ["finish", "abort"])
def test_an_answer_that_ends_between_loading_and_resuming_is_not_missed(
    chat: Chat, upstream: Upstream, end: str
) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once upon a time", gate]))
    first = chat.ask(QUESTION).read_text(16)
    assert chat.said() == [("user", "Tell me everything")]
    gate.open() if end == "finish" else chat.stop()
    first.read()
    for _ in range(2):  # React in its strict mode asks twice
        stream = chat.resume().read()
        assert stream.status == 200
        assert (stream.text, stream.kinds[0], stream.kinds[-1]) == ("Once upon a time", "start", end)
    assert chat.said()[1:] == [("assistant", "Once upon a time")]
    assert not chat.running(), "who has it from loading gets it from there only"


def test_a_page_that_loads_before_the_first_word_waits_for_it(chat: Chat, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(steps_of([gate, "Once upon a time"]))
    already = len(upstream.requests)
    with chat.ask(QUESTION):
        upstream.wait_for_requests(already + 1)
        second = chat.resume()
        gate.open()
        is_whole(second.read(), "Once upon a time")


def test_many_readers_get_the_same_and_a_slow_one_holds_up_nobody(chat: Chat, folder: Path, upstream: Upstream) -> None:
    pieces = pieces_of(Random(1), 30_000)
    gates = [Gate() for _ in range(3)]
    parts = [pieces[start::4] for start in range(4)]
    held = [*parts[0], gates[0], *parts[1], gates[1], *parts[2], gates[2], *parts[3]]
    text = "".join("".join(part) for part in parts)
    upstream.reply(steps_of(held))
    slow = chat.ask(QUESTION)
    slow.read_chunk()
    streams = []
    for gate in gates:
        streams.append(chat.resume())
        streams[-1].read_text(2_000)
        gate.open()
    with ThreadPoolExecutor() as threads:
        for stream in threads.map(Stream.read, streams):
            is_whole(stream, text)
    assert chat.said()[-1] == ("assistant", text), "saved, though the first reader is not done"
    is_whole(slow.read(), text)
    is_stored_once(chat, folder, text)


def test_readers_that_take_nothing_cost_little_and_may_go_on_later(
    chat: Chat, folder: Path, server: ServerProcess, upstream: Upstream, measured: Callable[[str], None]
) -> None:
    pieces, gate = ["単語 слово! " * 25] * 12_000, Gate()  # 3 million characters: more bytes than any buffer holds
    text = "".join(pieces)
    upstream.reply(steps_of([*pieces, gate]))
    first = chat.ask(QUESTION, receive_buffer=4_096)
    first.read_chunk()
    with chat.resume() as other:
        other.read_text(len(text))
        wait_until(lambda: rows(folder, chat.block)[-1][3] == text)  # writing needs memory too, for a moment
        before = resident(server)
        stuck = [chat.resume(receive_buffer=4_096) for _ in range(40)]
        for stream in stuck:
            stream.read_chunk()
        grown = resident(server) - before
        measured(f"40 readers that take nothing of 5 MB of text: {grown / 40e3:.0f} kB each")
        assert grown < 40 * 1_000_000
        gate.open()
        is_whole(other.read(), text)
    is_stored_once(chat, folder, text)
    is_whole(first.read(), text)
    is_whole(stuck.pop().read(), text)
    for stream in stuck:
        stream.close()
