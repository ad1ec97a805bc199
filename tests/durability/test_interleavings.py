"""Whatever two tabs do to one conversation, in whatever order or at once: nothing twice, nothing lost.

Hypothesis plays the people and the model: it asks, asks again, reloads, saves, stops, leaves, and lets the model say
the next word, end or fail, alone or several of these at the same time.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.chat.channel import Receiver
from app.chat.live import LiveRuns, Run
from app.core.errors import InvalidRequest, ProviderUnavailable, RunInProgress, VersionConflict
from app.core.events import (
    Abort,
    MessageFinish,
    ModelEvent,
    ModelFinish,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
    Usage,
)
from app.core.fold import fold
from app.core.messages import UIMessage, parse_messages
from app.core.model import ModelRequest, Preset, TurnRequest
from tests.chat.conftest import House, Recorder, open_house

BLOCK = "b"
END = None
TABS = st.sampled_from([0, 1])


@dataclass
class Call:
    """One call of the model."""

    orders: asyncio.Queue[str | Exception | None] = field(default_factory=asyncio.Queue)
    words: list[str] = field(default_factory=list)
    over: bool = False


class Model:
    """A provider that says a word when it is told to. It is its own `Providers`."""

    takes = frozenset[str]()

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def open(self, preset: Preset) -> Model:
        return self

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        call = Call()
        self.calls.append(call)
        try:
            yield [TextStart("t")]
            while (order := await call.orders.get()) is not END:
                if isinstance(order, Exception):
                    raise order
                call.words.append(order)
                yield [TextDelta("t", order)]
            yield [TextEnd("t"), ModelFinish("stop", Usage(1, 1))]
        finally:
            call.over = True


@dataclass
class Tab:
    """What one tab knows."""

    messages: tuple[UIMessage, ...] = ()
    """As it was loaded or sent, without what its stream tells."""
    version: int = 0
    posted: TurnRequest | None = None
    run: Run | None = None
    """The one that it reads or has read."""
    base: UIMessage | None = None
    events: list[StreamEvent] = field(default_factory=list)
    reader: asyncio.Task[None] | None = None

    def attach(self, runs: LiveRuns, run: Run, *, whole: bool) -> None:
        self.run = run
        self.base = None if whole else run.base
        recorder = Recorder()
        self.events = recorder.events
        self.reader = asyncio.create_task(self._read(runs.follow(run, recorder, whole=whole)))

    async def _read(self, receiver: Receiver) -> None:
        try:
            async for _ in receiver.pieces(None):
                pass
        finally:
            receiver.close()

    async def leave(self) -> None:
        """Close the connection; what it has told is kept on the page."""
        self.messages = self.shown
        self.events = []
        if self.reader is not None:
            self.reader.cancel()
            with suppress(asyncio.CancelledError):
                await self.reader
            self.reader = None

    @property
    def shown(self) -> tuple[UIMessage, ...]:
        """The page as a person sees it."""
        answer = fold(self.base, [event for event in self.events if not isinstance(event, Abort)])
        kept = [message for message in self.messages if answer is None or message.id != answer.id]
        return (*kept, answer) if answer is not None and self.events else self.messages


class Conversation(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.model = Model()
        self.tabs = [Tab(), Tab()]
        self.asked = 0
        self.said = 0
        self.acknowledged: dict[str, str] = {}
        """Id and text of the user's messages whose POST or save was accepted."""
        self.runs: list[tuple[Run, Call]] = []
        self.complete: dict[str, str] = {}
        """Id and text of the answers whose end was told."""

    @initialize()
    def open(self) -> None:
        async def open_it() -> None:
            opened: asyncio.Future[House] = asyncio.get_running_loop().create_future()
            self.close = asyncio.Event()
            self.life = asyncio.create_task(self._live(opened))
            self.house = await opened
            self.turns = self.house.turns(self.model)

        self.runner.run(open_it())

    async def _live(self, opened: asyncio.Future[House]) -> None:
        async with open_house(self.folder) as house:
            opened.set_result(house)
            await self.close.wait()

    def teardown(self) -> None:
        async def close() -> None:
            for run, _ in self.runs:
                assert run.task is not None
            await self.house.runs.stop(BLOCK)
            for tab in self.tabs:
                if tab.reader is not None:
                    await tab.reader
            self.close.set()
            await self.life

        if hasattr(self, "house"):
            self.runner.run(close())
        self.runner.close()
        shutil.rmtree(self.folder)

    # What people do. Each may be refused; what is accepted must hold.

    async def ask(self, number: int, *, alone: bool) -> None:
        """A new question, with the whole history or alone."""
        self.asked += 1
        [question] = parse_messages(
            [{"id": f"u{self.asked}", "role": "user", "parts": [{"type": "text", "text": f"question {self.asked}"}]}]
        )
        tab = self.tabs[number]
        messages = (question,) if alone else (*tab.shown, question)
        await self._post(tab, TurnRequest(messages=messages, message_only=alone))

    async def ask_again(self, number: int) -> None:
        """The same POST once more, as after a broken connection."""
        tab = self.tabs[number]
        if tab.posted is not None:
            await self._post(tab, tab.posted)

    async def regenerate(self, number: int) -> None:
        tab = self.tabs[number]
        request = TurnRequest(messages=(), message_only=True, trigger="regenerate-message")
        await self._post(tab, request)

    async def go_on(self, number: int) -> None:
        """Continue the last answer that the tab shows."""
        tab = self.tabs[number]
        if tab.shown and tab.shown[-1].role == "assistant":
            await self._post(tab, TurnRequest(messages=(tab.shown[-1],), message_only=True))

    async def _post(self, tab: Tab, request: TurnRequest) -> None:
        try:
            run = await self.turns.begin(BLOCK, request)
        except (RunInProgress, InvalidRequest):
            return
        # No await until the reader is there: that is the contract of `begin`.
        if all(known is not run for known, _ in self.runs):
            self.runs.append((run, self.model.calls[-1]))
        previous = tab.reader
        if request.messages and request.messages[-1].role == "user":
            question = request.messages[-1]
            before = [message.id for message in tab.shown]
            end = before.index(question.id) if question.id in before else len(before)
            tab.messages = (*tab.shown[:end], question) if request.message_only else request.messages
            self._acknowledge(request.messages)
        tab.posted = replace(request) if request.trigger == "submit-message" else None
        tab.attach(self.house.runs, run, whole=False)
        if previous is not None:
            previous.cancel()

    async def reload(self, number: int) -> None:
        tab = self.tabs[number]
        await tab.leave()
        conversation = await self.house.store.load(BLOCK)
        tab.messages = conversation.messages if conversation is not None else ()
        tab.version = conversation.version if conversation is not None else 0
        run = self.house.runs.running(BLOCK)
        if run is not None:
            tab.attach(self.house.runs, run, whole=True)

    async def leave(self, number: int) -> None:
        await self.tabs[number].leave()

    async def save(self, number: int) -> None:
        """What clients do that know nothing of versions."""
        messages = self.tabs[number].shown
        settled = self.house.runs.settled(BLOCK, messages)
        saved = await self.house.store.save(BLOCK, settled, placement="merge")
        self._acknowledge(messages)
        self.tabs[number].version = saved.version

    async def save_if_unchanged(self, number: int) -> None:
        tab = self.tabs[number]
        messages = tab.shown
        with suppress(VersionConflict):
            settled = self.house.runs.settled(BLOCK, messages)
            saved = await self.house.store.save(BLOCK, settled, placement="branch", if_version=tab.version)
            self._acknowledge(messages)
            tab.version = saved.version

    async def stop(self, number: int) -> None:
        await self.turns.stop(BLOCK)

    def _acknowledge(self, messages: Sequence[UIMessage]) -> None:
        self.acknowledged |= {message.id: message.text for message in messages if message.role == "user"}

    # What the model does.

    def _order(self, order: str | Exception | None) -> None:
        if self.model.calls and not self.model.calls[-1].over:
            self.model.calls[-1].orders.put_nowait(order)

    async def say(self, number: int) -> None:
        self.said += 1
        self._order(f"word{self.said} ")

    async def end(self, number: int) -> None:
        self._order(END)

    async def fail(self, number: int) -> None:
        self._order(ProviderUnavailable("The model is gone."))

    DEEDS: Sequence[Callable[[Conversation, int], Awaitable[None]]] = (
        lambda self, tab: self.ask(tab, alone=True),
        lambda self, tab: self.ask(tab, alone=False),
        ask_again,
        regenerate,
        go_on,
        reload,
        leave,
        save,
        save_if_unchanged,
        stop,
        say,
        say,
        end,
        fail,
    )

    @rule(deeds=st.lists(st.tuples(st.sampled_from(DEEDS), TABS), min_size=1, max_size=4))
    def at_once(self, deeds: Sequence[tuple[Callable[..., Awaitable[None]], int]]) -> None:
        """Several things at the same time; with one of them, one after the other."""
        by_tab: list[list[Callable[[], Awaitable[None]]]] = [[], []]
        for deed, tab in deeds:
            by_tab[tab].append(lambda deed=deed, tab=tab: deed(self, tab))

        async def one_by_one(own: Sequence[Callable[[], Awaitable[None]]]) -> None:
            for deed in own:
                await deed()

        async def do() -> None:
            await asyncio.gather(*map(one_by_one, by_tab))
            await self._settle()

        self.runner.run(do())

    async def _settle(self) -> None:
        """Until the model's orders are carried out and what ended is saved."""
        call = self.model.calls[-1] if self.model.calls else None
        while call is not None and not call.over and not call.orders.empty():
            await asyncio.sleep(0)
        for run, call in self.runs:
            assert run.task is not None
            if call.over:
                await asyncio.wait([run.task])
        for tab in self.tabs:
            if tab.reader is not None and self.house.runs.running(BLOCK) is None:
                await asyncio.wait([tab.reader])

    # What always holds.

    @invariant()
    def nothing_twice_nothing_lost(self) -> None:
        if hasattr(self, "house"):
            self.runner.run(self._check())

    async def _check(self) -> None:
        store = self.house.store
        select = "SELECT id, role, status, text FROM messages WHERE block_id = :block_id"
        rows: list[Any] = [tuple(row) for row in await store._database.read(select, {"block_id": BLOCK})]
        stored = {(message_id, text) for message_id, _, _, text in rows}
        conversation = await store.load(BLOCK)
        ids = [message.id for message in conversation.messages] if conversation is not None else []
        assert len(ids) == len(set(ids)), "no message twice on the branch that is shown"
        assert set(self.acknowledged.items()) <= stored, "no question lost"
        running = self.house.runs.running(BLOCK)
        assert sum(not call.over for call in self.model.calls) == (running is not None), "at most one answer at a time"
        assert running is None or running.message_id not in ids, "the answer in flight is the stream's to tell"
        streaming = {message_id for message_id, _, status, _ in rows if status == "streaming"}
        assert streaming <= ({running.message_id} if running is not None else set())
        for run, call in self.runs:
            whole = (run.base.text if run.base is not None else "") + "".join(call.words)
            if run is not running and run.complete:
                assert (run.message_id, whole) in stored or self._went_on(run), "no answer lost that came to its end"
            for message_id, text in stored:
                if message_id == run.message_id and not self._went_on(run):
                    assert whole.startswith(text), "an answer is what the model said"
        self._check_readers()

    def _went_on(self, run: Run) -> bool:
        """A later run continued its answer."""
        return any(later.base is not None and later.base.id == run.message_id for later, _ in self._after(run))

    def _after(self, run: Run) -> list[tuple[Run, Call]]:
        index = next(index for index, (known, _) in enumerate(self.runs) if known is run)
        return self.runs[index + 1 :]

    def _check_readers(self) -> None:
        """Who has read to the end has all that the model said."""
        for tab in self.tabs:
            if tab.events and isinstance(tab.events[-1], MessageFinish):
                [(run, call)] = [(run, call) for run, call in self.runs if run is tab.run]
                answer = fold(tab.base, tab.events)
                assert answer is not None
                assert answer.text == (run.base.text if run.base is not None else "") + "".join(call.words)


TestInterleavings = Conversation.TestCase
TestInterleavings.settings = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # to make a failure shorter takes minutes: for those who look for its cause
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
