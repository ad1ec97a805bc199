"""A power cut at any moment: what was acknowledged is there, what was said is there but for a moment of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import count
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

from tests.durability.answers import pieces_of, steps_of
from tests.durability.client import Chat, rows, text_of, user, wait_until
from tests.server_process import ServerProcess
from tests.upstream import Gate, Upstream

KILLS = 8
ON_DISK = 20_000
"""Characters that have had the time to be written when the cut comes."""

Start = Callable[[Path], Any]


def shows_no_trace_of_a_crash(folder: Path, block: str) -> bool:
    stored = rows(folder, block)
    ids = [message_id for message_id, *_ in stored]
    return len(ids) == len(set(ids)) and all(status != "streaming" for _, _, status, _ in stored)


def written(folder: Path, block: str) -> int:
    """How many characters of the answer are on the disk."""
    return max((len(text) for _, role, _, text in rows(folder, block) if role == "assistant"), default=0)


@dataclass
class Cut:
    """An answer that a power cut ended."""

    block: str
    whole: str
    shown: str
    """What the client had got by then."""
    told: list[tuple[int, float]]
    """How many characters the model had said, and how many seconds before the cut."""

    def lost_seconds(self, kept: int) -> float:
        return max((seconds for said, seconds in self.told if said > kept), default=0.0)


def cut_in_mid_answer(start: Start, folder: Path, upstream: Upstream, number: int, check: Callable[..., None]) -> Cut:
    random = Random(number)
    before = pieces_of(random, ON_DISK)
    after = pieces_of(random, 30_000)
    gates = [Gate() for _ in after]
    paced = [item for pair in zip(gates, after, strict=True) for item in pair]
    with start(folder) as server:
        check(server)
        chat = Chat(server, f"cut-{number}")
        upstream.reply(steps_of([*before, *paced], ends=False))
        stream = chat.ask(user("question", "Tell me everything"))
        stream.read_text(ON_DISK)
        wait_until(lambda: written(folder, chat.block) >= ON_DISK)
        said, told = sum(map(len, before)), []
        for gate, piece in list(zip(gates, after, strict=True))[: random.randint(1, len(gates))]:
            gate.open()
            said += len(piece)
            told.append((said, time.monotonic()))
            time.sleep(0.005)  # the pace of a fast model
        server.kill()  # while the last piece is anywhere between the model and the disk
        killed = time.monotonic()
        shown = stream.read_what_comes().text
        ago = [(said, killed - moment) for said, moment in told if said <= len(shown)]
        return Cut(chat.block, "".join([*before, *after]), shown, ago)


def test_a_cut_in_mid_answer_keeps_the_question_and_what_was_said(
    tmp_path: Path, start: Start, upstream: Upstream, measured: Callable[[str], None]
) -> None:
    cuts: list[Cut] = []
    lost: list[tuple[int, float]] = []

    def check(server: ServerProcess) -> None:
        if not cuts:
            return
        cut = cuts[-1]
        chat = Chat(server, cut.block)
        assert not chat.running()
        question, answer = chat.messages()
        kept = text_of(answer)
        assert text_of(question) == "Tell me everything"
        assert answer["metadata"]["status"] == "interrupted"
        assert cut.whole.startswith(kept)
        assert cut.whole.startswith(cut.shown)
        assert len(kept) >= ON_DISK
        lost.append((max(0, len(cut.shown) - len(kept)), cut.lost_seconds(len(kept))))
        chat.ask(question, answer, user("next", "And now?")).read()
        assert [role for role, _ in chat.said()] == ["user", "assistant"] * 2
        assert chat.said()[-1] == ("assistant", "Hello from upstream.")
        assert shows_no_trace_of_a_crash(tmp_path, cut.block)

    for number in range(KILLS):
        cuts.append(cut_in_mid_answer(start, tmp_path, upstream, number, check))
    with start(tmp_path) as server:
        check(server)
    (characters, seconds), (most, most_seconds) = sorted(lost)[KILLS // 2], max(lost)
    measured(
        f"kill -9 in mid-answer, {KILLS} times: {characters} characters ({seconds:.2f} s) lost (median), "
        f"{most} ({most_seconds:.2f} s) (most)"
    )


def test_what_a_cut_left_is_continued_under_the_same_id(tmp_path: Path, start: Start, upstream: Upstream) -> None:
    with start(tmp_path) as server:
        upstream.reply(steps_of(["Once upon a time"], ends=False))
        stream = Chat(server, "story").ask(user("question", "Tell me a story")).read_text(16)
        wait_until(lambda: written(tmp_path, "story") == 16)
        server.kill()
        stream.read_what_comes()
    with start(tmp_path) as server:
        chat = Chat(server, "story")
        answer = chat.messages()[-1]
        upstream.reply(steps_of([" there was an end."]))
        assert chat.ask(answer).read().message_id == answer["id"] == stream.message_id
        assert chat.said() == [("user", "Tell me a story"), ("assistant", "Once upon a time there was an end.")]
        assert chat.messages()[-1]["metadata"]["status"] == "complete"
        assert shows_no_trace_of_a_crash(tmp_path, "story")


def test_the_post_that_a_cut_ended_is_sent_again_and_doubles_nothing(
    tmp_path: Path, start: Start, upstream: Upstream
) -> None:
    question = user("question", "Tell me a story")
    with start(tmp_path) as server:
        upstream.reply(steps_of([], ends=False))
        already = len(upstream.requests)
        stream = Chat(server, "story").ask(question)
        upstream.wait_for_requests(already + 1)
        server.kill()
        stream.read_what_comes()
    with start(tmp_path) as server:
        chat = Chat(server, "story")
        assert chat.said() == [("user", "Tell me a story")]
        chat.ask(question).read()
        assert chat.said() == [("user", "Tell me a story"), ("assistant", "Hello from upstream.")]
        assert shows_no_trace_of_a_crash(tmp_path, "story")


@dataclass
class Writer:
    """Somebody who asks and saves in one conversation as fast as it goes, and notes what was acknowledged."""

    chat: Chat
    sent: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    """Ids of messages whose save was answered, or whose turn has said something."""
    answers: list[tuple[str, str]] = field(default_factory=list)
    """Id and text of the answers that came to their end."""

    def work(self) -> None:
        for number in count():
            message_id = f"message-{number}"
            self.sent.append(message_id)
            try:
                (self.turn if number % 2 else self.save)(user(message_id, f"say {'word ' * 20}{number}"))
            except (OSError, HTTPException, StopIteration):
                return  # this is how a power cut looks from outside

    def save(self, message: dict[str, Any]) -> None:
        request = self.chat.save(message)
        assert request.json()["messageCount"] > 0
        self.acknowledged.append(message["id"])

    def turn(self, message: dict[str, Any]) -> None:
        with self.chat.ask(message) as stream:
            stream.read_chunk()
            self.acknowledged.append(message["id"])
            stream.read()
        if stream.done:
            self.answers.append((stream.message_id, stream.text))


def work_until_the_cut(writers: Sequence[Writer], server: ServerProcess, random: Random) -> None:
    threads = [Thread(target=writer.work) for writer in writers]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(writer.answers for writer in writers))
    enough = sum(len(writer.acknowledged) for writer in writers) + random.randint(0, 40)
    wait_until(lambda: sum(len(writer.acknowledged) for writer in writers) >= enough)
    server.kill()
    for thread in threads:
        thread.join()


def check(writer: Writer, folder: Path, server: ServerProcess) -> None:
    chat = Chat(server, writer.chat.block)
    messages = chat.messages()
    ids = [message["id"] for message in messages]
    by_id = {message["id"]: text_of(message) for message in messages}
    asked = [message["id"] for message in messages if message["role"] == "user"]
    assert asked == writer.sent[: len(asked)], "every one once, and in order"
    assert set(writer.acknowledged) <= set(asked)
    assert all(by_id.get(answer_id) == text for answer_id, text in writer.answers)
    cut = [message for message in messages if (message.get("metadata") or {}).get("status")]
    assert all(message["metadata"]["status"] == "interrupted" and message["id"] == ids[-1] for message in cut)
    assert not chat.running()
    assert shows_no_trace_of_a_crash(folder, chat.block)


def test_a_cut_among_turns_and_saves_loses_nothing_that_was_acknowledged(
    tmp_path: Path, start: Start, measured: Callable[[str], None]
) -> None:
    random = Random(3)
    everybody: list[Writer] = []
    for cut in range(4):
        with start(tmp_path) as server:
            writers = [Writer(Chat(server, f"writer-{cut}-{number}", preset="echo")) for number in range(4)]
            work_until_the_cut(writers, server, random)
        everybody += writers
    with start(tmp_path) as server:
        for writer in everybody:
            check(writer, tmp_path, server)
    acknowledged = sum(len(writer.acknowledged) + len(writer.answers) for writer in everybody)
    measured(f"kill -9 among turns and saves, 4 times: {acknowledged} acknowledged, 0 lost")
