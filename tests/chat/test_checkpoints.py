"""What a crash leaves: the disk follows what running answers say, by one writer, and nothing follows their end."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.chat.answer import Answer
from app.chat.checkpoints import Checkpoints
from app.core.errors import StorageUnavailable
from app.core.events import (
    MessageFinish,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceUrl,
    Status,
    StepFinish,
    StepStart,
    StreamError,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputStart,
    ToolOutputAvailable,
    Usage,
)
from app.core.fold import fold
from app.core.messages import UIMessage
from app.core.said import grown
from app.storage.sqlite import open_store

pytestmark = pytest.mark.anyio

PATIENCE = 20.0
START = [MessageStart("a", {}), StepStart()]
SOURCE = SourceUrl("s", "https://example.com/")
FINISH = MessageFinish("stop", Usage(), {})
QUESTION = UIMessage.model_validate({"id": "u", "role": "user", "parts": [{"type": "text", "text": "?"}]})


class Store:
    """A real store that notes its writes; it can be held up, and made to fail."""

    def __init__(self, real):
        self._real = real
        self.writes = []
        self.failures = []
        """The next writes fail with these."""
        self.held = None
        """Until then a write waits before it is done."""
        self.changed = asyncio.Event()

    async def put_answer(self, block_id, parent_id, message, status):
        await self._note("whole")
        await self._real.put_answer(block_id, parent_id, message, status)
        self._done()

    async def put_growth(self, growths):
        await self._note([growth.block_id for growth in growths])
        await self._real.put_growth(growths)
        self._done()

    async def written(self, number):
        """Wait until so many writes were done, or have failed."""
        async with asyncio.timeout(PATIENCE):
            while len(self.writes) < number or self.under_way:
                self.changed.clear()
                await self.changed.wait()

    under_way = False

    async def _note(self, kind):
        self.writes.append(kind)
        self.under_way = True
        self.changed.set()
        if self.held is not None:
            await self.held.wait()
        if self.failures:
            self._done()
            raise self.failures.pop(0)

    def _done(self):
        self.under_way = False
        self.changed.set()


class Desk:
    """Running answers, one per block, and the checkpoints that write them down."""

    def __init__(self, store, path, checkpoints):
        self.store = store
        self.path = path
        self.checkpoints = checkpoints

    async def answer(self, block="b", base=None):
        await self.store._real.save(block, [QUESTION], placement="merge")
        answer = Answer(self.store, block, "a", "u", base, self.checkpoints.hurry)
        self.checkpoints.join(answer)
        return answer

    async def said(self, answer, *events):
        """Say it, and have it written down."""
        answer.add(events)
        await self.written(answer)

    async def written(self, *answers):
        """Wait for a checkpoint after which nothing of them is left to write."""
        async with asyncio.timeout(PATIENCE):
            while not all(answer.is_written for answer in answers) or self.store.under_way:
                self.checkpoints.hurry()
                await asyncio.sleep(0)

    async def after_a_crash(self, block="b"):
        """The answer that another process finds, which knows nothing but the file."""
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(self._copy)) as copy:
            source.backup(copy)
        other = await open_store(self._copy, now=lambda: datetime(2026, 11, 21, tzinfo=UTC))
        try:
            await other.mark_interrupted(lambda _: True)
            conversation = await other.load(block)
            assert conversation is not None
            _, found = conversation.messages
        finally:
            await other.close()
        with closing(sqlite3.connect(self._copy)) as copy:
            assert copy.execute("SELECT count(*) FROM growth").fetchone() == (0,)
        self._copy.unlink()
        assert found.metadata == {"status": "interrupted"}
        return found.to_wire()["parts"]

    @property
    def _copy(self):
        return self.path.with_name("crashed.db")

    def growth(self):
        """How many pieces are on the disk beside their answers."""
        with closing(sqlite3.connect(self.path)) as file:
            return file.execute("SELECT count(*) FROM growth").fetchone()[0]


@pytest.fixture
async def desk(tmp_path):
    path = tmp_path / "palaver.db"
    real = await open_store(path, now=lambda: datetime(2026, 11, 21, tzinfo=UTC))
    try:
        async with asyncio.TaskGroup() as tasks:
            store = Store(real)
            desk = Desk(store, path, Checkpoints(store, tasks))
            yield desk
            if store.held is not None:
                store.held.set()
            for answer in list(desk.checkpoints._answers):
                await desk.checkpoints.leave(answer)
    finally:
        await real.close()


def parts(*events):
    """What a message has when that has happened to it."""
    message = fold(None, [*START, *events])
    assert message is not None
    return message.to_wire()["parts"]


TOOL = [ToolInputStart("c", "clock"), ToolInputAvailable("c", "clock", {}), ToolOutputAvailable("c", "noon")]

STORIES = {
    "a text": [[TextStart("t"), TextDelta("t", "On")], [TextDelta("t", "ce ")], [TextDelta("t", "upon")]],
    "a thought, then a text": [
        [ReasoningStart("r"), ReasoningDelta("r", "Hm")],
        [ReasoningDelta("r", "m."), ReasoningEnd("r"), TextStart("t"), TextDelta("t", "A")],
        [TextDelta("t", "h.")],
        [TextEnd("t"), StepFinish()],
    ],
    "many parts": [[TextStart(f"t{n}"), TextDelta(f"t{n}", str(n)), TextEnd(f"t{n}")] for n in range(5)],
    "text after tools": [
        [TextStart("t"), TextDelta("t", "Let me see."), TextEnd("t")],
        TOOL,
        [StepFinish(), StepStart(), TextStart("u")],
        [TextDelta("u", "It is ")],
        [TextDelta("u", "noon."), TextEnd("u")],
    ],
    "a signature at the end of a thought": [
        [ReasoningStart("r"), ReasoningDelta("r", "Hm")],
        [ReasoningDelta("r", "m.")],
        [ReasoningEnd("r", {"anthropic": {"signature": "c2ln"}})],
        [TextStart("t"), TextDelta("t", "Ah.")],
        [TextDelta("t", " So.")],
    ],
    "a source in the middle of a text": [
        [TextStart("t"), TextDelta("t", "As they ")],
        [TextDelta("t", "say")],
        [SOURCE],
        [TextDelta("t", ", it is")],
        [TextDelta("t", " so."), TextEnd("t")],
        [TextStart("u"), TextDelta("u", "Yes.")],
        [TextDelta("u", " Yes.")],
    ],
    "parts between one another": [
        [TextStart("t"), TextDelta("t", "a"), ReasoningStart("r"), ReasoningDelta("r", "b")],
        [ReasoningDelta("r", "c")],
        [TextDelta("t", "d"), ReasoningDelta("r", "e")],
        [TextEnd("t")],
        [ReasoningDelta("r", "f")],
        [ReasoningEnd("r"), TextStart("u"), TextDelta("u", "g")],
        [TextDelta("u", "h")],
    ],
    "what was waited for first": [
        [Status("retrying", "Wait.")],
        [StepStart(), TextStart("t"), TextDelta("t", "a")],
        [TextDelta("t", "b")],
    ],
    "a word of every kind": [[TextStart("t"), TextDelta("t", "🦜 \\ \" ' \n")], [TextDelta("t", "\u2028\0単語")]],
}


@pytest.mark.parametrize("story", STORIES)
async def test_a_crash_leaves_what_was_said_until_the_checkpoint_before_it(desk, story):
    answer = await desk.answer()
    said = []
    begun = [START[0]] if story == "what was waited for first" else START
    for events in STORIES[story]:
        await desk.said(answer, *begun, *events)
        said += [*begun, *events]
        begun = []
        if any(not isinstance(event, MessageStart | Status) for event in said):
            message = fold(None, said)
            assert message is not None
            assert await desk.after_a_crash() == message.to_wire()["parts"]


async def test_text_is_written_alone_and_the_rest_whole(desk):
    answer = await desk.answer()
    await desk.said(answer, *START, TextStart("t"), TextDelta("t", "a"))
    await desk.said(answer, TextDelta("t", "b"))
    await desk.said(answer, TextDelta("t", "c"))
    assert desk.store.writes == ["whole", ["b"], ["b"]]
    assert desk.growth() == 2
    await desk.said(answer, SOURCE)
    assert desk.store.writes == ["whole", ["b"], ["b"], "whole"]
    assert desk.growth() == 0


async def test_a_half_of_a_character_may_come_alone(desk):
    answer = await desk.answer()
    await desk.said(answer, *START, TextStart("t"), TextDelta("t", "a"))
    await desk.said(answer, TextDelta("t", "\ud83e"), TextDelta("t", "\udd9c"))
    assert (await desk.after_a_crash())[-1]["text"] == "a🦜"


async def test_an_answer_that_goes_on_grows_from_what_is_stored(desk):
    text = {"type": "text", "text": "before", "state": "done"}
    base = UIMessage.model_validate({"id": "a", "role": "assistant", "parts": [text]})
    answer = await desk.answer(base=base)
    await desk.said(answer, *START, TextStart("t"), TextDelta("t", "a"))
    await desk.said(answer, TextDelta("t", "b"))
    message = fold(base, [*START, TextStart("t"), TextDelta("t", "ab")])
    assert message is not None
    assert await desk.after_a_crash() == message.to_wire()["parts"]


async def test_many_answers_are_one_transaction(desk):
    answers = [await desk.answer(f"b{n}") for n in range(20)]
    for answer in answers:
        answer.add([*START, TextStart("t"), TextDelta("t", "a")])
    await desk.written(*answers)
    desk.store.writes.clear()
    for number, answer in enumerate(answers):
        answer.add([TextDelta("t", f"b{number}")])
    await desk.written(*answers)
    assert desk.store.writes == [[f"b{n}" for n in range(20)]]
    assert (await desk.after_a_crash("b7"))[-1]["text"] == "ab7"


async def test_an_answer_with_nothing_new_is_not_written(desk):
    quiet, loud = await desk.answer("quiet"), await desk.answer("loud")
    for answer in (quiet, loud):
        answer.add([*START, TextStart("t"), TextDelta("t", "a")])
    await desk.written(quiet, loud)
    await desk.said(loud, TextDelta("t", "b"))
    assert desk.store.writes[-1] == ["loud"]
    number = len(desk.store.writes)
    await desk.said(loud, TextDelta("t", "c"))
    assert desk.store.writes[number:] == [["loud"]]


@pytest.mark.parametrize("after", [[TextDelta("t", "c")], [SOURCE], []], ids=["text", "a source", "nothing"])
async def test_what_could_not_be_saved_is_saved_with_the_next_checkpoint(desk, after):
    answer = await desk.answer()
    await desk.said(answer, *START, TextStart("t"), TextDelta("t", "a"))
    desk.store.failures = [StorageUnavailable("The disk is full."), StorageUnavailable("The disk is full.")]
    await desk.said(answer, TextDelta("t", "b"), *after)
    assert desk.store.failures == []
    assert desk.store.writes[-1] == "whole"
    assert await desk.after_a_crash() == parts(TextStart("t"), TextDelta("t", "ab"), *after)


async def test_one_answer_that_cannot_be_saved_takes_nothing_from_the_others(desk):
    failing, other = await desk.answer("failing"), await desk.answer("other")
    desk.store.failures = [StorageUnavailable("The disk is full.")]
    for answer in (failing, other):
        answer.add([*START, TextStart("t"), TextDelta("t", "a")])
    await desk.written(failing, other)
    for block in ("failing", "other"):
        assert await desk.after_a_crash(block) == parts(TextStart("t"), TextDelta("t", "a"))


async def test_one_answer_that_cannot_be_made_takes_nothing_from_the_others(desk, caplog):
    broken, other = await desk.answer("broken"), await desk.answer("other")
    broken.add([*START, TextDelta("nobody", "a")])
    await desk.said(other, *START, TextStart("t"), TextDelta("t", "a"))
    await desk.said(other, TextDelta("t", "b"))
    assert await desk.after_a_crash("other") == parts(TextStart("t"), TextDelta("t", "ab"))
    assert "checkpoint not made" in caplog.messages


async def test_leaving_waits_for_a_checkpoint_that_is_being_written(desk):
    answer = await desk.answer()
    await desk.said(answer, *START, TextStart("t"), TextDelta("t", "a"))
    desk.store.held = asyncio.Event()
    answer.add([TextDelta("t", "b")])
    desk.checkpoints.hurry()
    async with asyncio.timeout(PATIENCE):
        while not desk.store.under_way:
            await asyncio.sleep(0)
    leaving = asyncio.ensure_future(desk.checkpoints.leave(answer))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not leaving.done()
    desk.store.held.set()
    async with asyncio.timeout(PATIENCE):
        await leaving
    assert not desk.store.under_way


async def test_nothing_is_written_after_the_end(desk):
    answer, other = await desk.answer(), await desk.answer("other")
    await desk.said(answer, *START, TextStart("t"), TextDelta("t", "a"))
    answer.add([TextDelta("t", "b"), TextEnd("t"), StepFinish(), FINISH])
    await desk.checkpoints.leave(answer)
    await answer.finish("complete")
    assert desk.growth() == 0
    desk.store.writes.clear()
    await desk.said(other, *START, TextStart("t"), TextDelta("t", "a"))
    await desk.said(other, TextDelta("t", "b"))
    assert desk.store.writes == ["whole", ["other"]]
    conversation = await desk.store._real.load("b")
    assert conversation is not None
    assert conversation.messages[-1].text == "ab"
    assert "status" not in (conversation.messages[-1].metadata or {})


async def test_the_whole_answer_takes_the_place_of_what_was_written_piece_by_piece(desk):
    answer = await desk.answer()
    await desk.said(answer, *START, TextStart("t"), TextDelta("t", "a"))
    await desk.said(answer, TextDelta("t", "b"))
    assert desk.growth() == 1
    answer.add([StreamError("It broke off.", "provider_broken", 502)])
    await desk.checkpoints.leave(answer)
    await answer.finish("stopped")
    assert desk.growth() == 0
    conversation = await desk.store._real.load("b")
    assert conversation is not None
    assert conversation.messages[-1].text == "ab"


async def test_the_writer_rests_when_there_is_nothing_to_write_and_begins_again(desk):
    for block in ("first", "second"):
        answer = await desk.answer(block)
        keeper = desk.checkpoints._keeper
        assert keeper is not None
        await desk.said(answer, *START, TextStart("t"), TextDelta("t", "a"))
        await desk.checkpoints.leave(answer)
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([keeper])
        assert desk.checkpoints._keeper is None
        assert await desk.after_a_crash(block) == parts(TextStart("t"), TextDelta("t", "a"))


async def test_a_deleted_conversation_gets_nothing_back(desk):
    answer = await desk.answer()
    await desk.said(answer, *START, TextStart("t"), TextDelta("t", "a"))
    await desk.said(answer, TextDelta("t", "b"))
    await desk.store._real.delete("b")
    assert desk.growth() == 0
    await desk.said(answer, TextDelta("t", "c"))
    assert desk.growth() == 0
    assert await desk.store._real.load("b") is None


# Whatever is said, wherever it is cut


class Paper:
    """A store of one answer that keeps what it is told, as `storage.growth` says."""

    def __init__(self):
        self.message = None

    async def put_answer(self, block_id, parent_id, message, status):
        self.message = message

    def put_growth(self, growth):
        if self.message is not None:
            self.message = grown(self.message, growth.said)


@st.composite
def answers(draw):
    """Events of one answer in any order that a model may make them, in batches."""
    events = [MessageStart("a", {})]
    if draw(st.booleans()):
        events.append(StepStart())
    opened = {}
    for number in range(draw(st.integers(0, 14))):
        match draw(st.sampled_from(["open", "delta", "delta", "delta", "end", "source", "step", "status", "tool"])):
            case "open":
                kind = draw(st.sampled_from(["text", "reasoning"]))
                opened[f"p{number}"] = kind
                events.append(TextStart(f"p{number}") if kind == "text" else ReasoningStart(f"p{number}"))
            case "delta" if opened:
                part = draw(st.sampled_from(sorted(opened)))
                word = draw(st.sampled_from(["a", "Wörter ", "🦜", "", "\n"]))
                events.append(TextDelta(part, word) if opened[part] == "text" else ReasoningDelta(part, word))
            case "end" if opened:
                part = draw(st.sampled_from(sorted(opened)))
                signature = draw(st.sampled_from([None, {"anthropic": {"signature": "c2ln"}}]))
                ended = TextEnd if opened.pop(part) == "text" else ReasoningEnd
                events.append(ended(part, signature))
            case "source":
                events.append(SourceUrl(f"s{number}", "https://example.com/"))
            case "step":
                events += [StepFinish(), StepStart()]
            case "status":
                events.append(Status("retrying", "Wait."))
            case "tool":
                events += [ToolInputStart(f"c{number}", "clock"), ToolInputAvailable(f"c{number}", "clock", {})]
    cuts = draw(st.sets(st.integers(0, len(events))))
    places = [0, *sorted(cuts), len(events)]
    return [events[start:end] for start, end in pairwise(places)]


def comparable(message):
    return [] if message is None else message.to_wire()["parts"]


@given(answers())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_adds_up_to_what_was_said(batches):
    async def follow():
        paper = Paper()
        answer = Answer(paper, "b", "a", "u", None, lambda: None)
        said = []
        for events in batches:
            answer.add(events)
            said += events
            growth = answer.growth()
            if growth is None:
                await answer.checkpoint()
            else:
                paper.put_growth(growth)
            assert comparable(paper.message) == comparable(fold(None, said))

    asyncio.run(follow())
