"""Running turns: a run belongs to the application, not to the request that asked for it.

Each run is a task in the application's task group that writes to the stream log, and through its channels to the
sockets of all who read it (`chat/channel`). So a closed tab stops nothing, a second tab sees the same, and a slow
reader slows nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from app.chat.answer import Answer
from app.chat.channel import Channel, Receiver, batches
from app.chat.checkpoints import Checkpoints
from app.chat.open_parts import OpenParts
from app.chat.run import Clock, Turn, run
from app.core.conversations import AnswerStatus, ConversationStore
from app.core.errors import RunInProgress, ShuttingDown
from app.core.events import Abort, MessageFinish, MessageStart, Status, StreamError, StreamEvent
from app.core.messages import UIMessage
from app.core.ports import Encoder, StreamLog
from app.core.replay import to_events
from app.core.values import OnDisconnect

log = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
"""How long after its end a run still answers the POST that started it, sent once more."""
LATE_SECONDS = 10.0
"""How long after loading the conversation without the answer in flight a page may take to ask for its stream."""


@dataclass(eq=False, slots=True)
class Run:
    """One answer in the making. Small: it is remembered for a while after its end."""

    run_id: str
    block_id: str
    message_id: str
    """The id of the answer."""
    user_message_id: str | None
    """The message that is being answered."""
    key: str | None
    """What the POST that started it asked for; the same one sent again is the same run."""
    store: bool
    base: UIMessage | None = None
    """The stored message that this run continues."""
    replaces: Sequence[UIMessage] = ()
    """The branch as it was before: shown again if the new answer fails before its first word."""
    on_disconnect: OnDisconnect = "continue"
    task: asyncio.Task[None] | None = None
    cut: AnswerStatus = "interrupted"
    """What becomes of the answer if the run is cancelled."""
    ending: bool = False
    """Stopped or at its end: what is left is saving, which nothing may cancel."""
    complete: bool = False
    """Ended well, and stored."""
    open_parts: OpenParts = field(default_factory=OpenParts)
    channels: dict[str, Channel] = field(default_factory=dict)
    """By format: what readers of the same format share."""
    missed_at: float | None = None
    """When somebody last loaded the conversation and did not find this answer, because it was in flight."""


class LiveRuns:
    def __init__(
        self,
        log: StreamLog,
        conversations: ConversationStore,
        tasks: asyncio.TaskGroup,
        clock: Clock,
        after_turn: Callable[[str], None] = lambda block_id: None,
    ) -> None:
        """`after_turn` is told the block of every answer that ended well and is stored; it must return at once."""
        self._log = log
        self._conversations = conversations
        self._tasks = tasks
        self._clock = clock
        self._after_turn = after_turn
        self._runs: dict[str, Run] = {}
        self._recent: dict[str, Run] = {}
        self._checkpoints = Checkpoints(conversations, tasks)
        self._draining = False

    def running(self, block_id: str) -> Run | None:
        return self._runs.get(block_id)

    def recent(self, block_id: str) -> Run | None:
        """The run of the block that is running, or ended well a moment ago."""
        ended = self._recent.get(block_id)
        return self._runs.get(block_id) or (ended if ended is not None and ended.complete else None)

    def loaded(self, block_id: str, without: Run | None) -> None:
        """Note that a page has loaded the conversation, and which answer it did not find, because it was in flight."""
        if (ended := self._recent.get(block_id)) is not None:
            ended.missed_at = None
        if without is not None:
            without.missed_at = self._clock.monotonic()

    def to_attach(self, block_id: str) -> Run | None:
        """The run for a page that asks for what is in flight: the running one, or the one that ended since it loaded.

        Without the latter, an answer that ends between the two requests would be in neither.
        """
        running, ended = self._runs.get(block_id), self._recent.get(block_id)
        if running is not None or ended is None or ended.missed_at is None:
            return running
        return ended if self._clock.monotonic() - ended.missed_at < LATE_SECONDS else None

    def settled(self, block_id: str, messages: Sequence[UIMessage]) -> Sequence[UIMessage]:
        """Without the answer in flight: a client's copy of it is not to be stored beside what its run stores."""
        current = self._runs.get(block_id)
        if current is None or not current.store:
            return messages
        return [message for message in messages if message.id != current.message_id]

    async def make_room(self, block_id: str) -> bool:
        """Let a new turn of the block begin: a run that nobody watches any more is stopped, its answer kept.

        Returns:
            whether there was one.

        Raises:
            RunInProgress: the block's run still has a reader.
            ShuttingDown: no new turns any more.
        """
        if self._draining:
            raise ShuttingDown("The server is being restarted. Try again in a moment.", retry_after=5)
        current = self._runs.get(block_id)
        if current is None:
            return False
        if self._log.readers(current.run_id) > 0:
            raise RunInProgress("An answer is still being written in this conversation. Stop it or wait for its end.")
        return await self.stop(block_id)

    async def start(self, new: Run, turn: Turn) -> None:
        """Run it in the background. Its log is open when this returns, so a reader misses nothing.

        An answer that it goes on with is in flight from now on: who loads the conversation gets it from the log only.
        """
        if new.store and new.base is not None:
            await self._conversations.put_answer(new.block_id, new.user_message_id, new.base, "streaming")
        await self._log.open(new.run_id)
        self._runs[new.block_id] = new
        self._recent.pop(new.block_id, None)
        new.task = self._tasks.create_task(self._drive(new, turn), name=f"run {new.run_id}")
        await asyncio.sleep(0)  # a task that is cancelled before its first step runs nothing, not even its `finally`

    def follow(self, current: Run, encoder: Encoder, *, whole: bool = False) -> Receiver:
        """What the run adds to the conversation, from its start, then live until its end, as `encoder` has it.

        Args:
            current: the run.
            encoder: of the reader's format; those who read the same format share what is made.
            whole: for a client that attaches and has nothing of the message. It gets what the run goes on with, too,
                and nothing of what was waited for before.
        """
        tail = self._log.tail(current.run_id)
        shared = current.channels.get(encoder.format)
        if shared is not None and not (whole and current.base is not None):
            earlier = tail.take()
            tail.close()
            return shared.join_late(_whole(None, earlier) if whole else earlier, encoder)
        opening = partial(_whole, current.base) if whole else None
        channel = Channel(tail, encoder, opening, partial(self._leave, current, encoder.format))
        if opening is None:
            current.channels.setdefault(encoder.format, channel)
        return channel.join()

    def _leave(self, current: Run, key: str, channel: Channel) -> None:
        if current.channels.get(key) is channel:
            del current.channels[key]
        self._left(current)

    async def read(self, current: Run) -> AsyncGenerator[Sequence[StreamEvent], None]:
        """What the run adds to the conversation, from its start, then live until its end."""
        try:
            async with aclosing(batches(self._log.tail(current.run_id))) as told:
                async for events in told:
                    yield events
        finally:
            self._left(current)

    async def stop(self, block_id: str) -> bool:
        """End the block's run now and keep what it said. False where nothing runs."""
        current = self._runs.get(block_id)
        if current is None:
            return False
        await self._end(current, "stopped")
        return True

    async def drain(self, seconds: float) -> None:
        """Before the server goes: no new turns; running answers get a bounded time, then they are cut and saved."""
        self._draining = True
        tasks = [current.task for current in self._runs.values() if current.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        await asyncio.gather(*(self._end(current, "interrupted") for current in self._runs.values()))

    async def _end(self, current: Run, status: AnswerStatus) -> None:
        assert current.task is not None, "only runs that have started are known"
        if not current.ending and not current.open_parts.whole:
            current.ending = True
            current.cut = status
            current.task.cancel()
        await asyncio.wait([current.task])

    def forget(self, block_id: str) -> None:
        """The conversation was deleted: its last answer is not given again."""
        self._recent.pop(block_id, None)

    def _left(self, current: Run) -> None:
        """A reader has gone; where the block says so, the run ends with the last one."""
        watched = self._log.readers(current.run_id) > 0
        if current.on_disconnect == "cancel" and not watched and not current.ending:
            self._tasks.create_task(self._end(current, "stopped"))

    async def _drive(self, current: Run, turn: Turn) -> None:
        answer = Answer(
            self._conversations,
            current.block_id,
            current.message_id,
            current.user_message_id,
            current.base,
            self._checkpoints.hurry,
        )
        if current.store:
            self._checkpoints.join(answer)
        open_parts = current.open_parts

        def say(deltas: Sequence[StreamEvent]) -> None:
            if current.store:
                answer.add(deltas)
            self._log.append(current.run_id, deltas)

        async def tell(events: Sequence[StreamEvent]) -> None:
            if current.store:
                answer.add(events)
            if type(events[-1]) is MessageFinish:
                current.ending = True
                failure = await self._save(current, answer)
                await turn.account.written()  # in the same transaction
                current.complete = failure is None
                events = events if failure is None else [failure]
            self._log.append(current.run_id, events)

        try:
            await run(turn, self._clock, open_parts, tell, say)
        except asyncio.CancelledError:
            # `_end` cancels runs, or the task group that falls. What follows must still be saved and told.
            ending: list[StreamEvent] = [*open_parts.close(), Abort()]
            answer.add(ending)
            self._log.append(current.run_id, ending)
        except Exception:  # its end could not be told: that must not end the task group, and with it every other run
            log.exception("run not told to its end", extra={"block_id": current.block_id})
        finally:
            current.ending = True
            await self._finish(current, answer)
            turn.files.release()
            await turn.account.written()

    async def _save(self, current: Run, answer: Answer) -> StreamError | None:
        """Store the whole answer before its end is told; where it cannot be stored, that is told instead."""
        if not current.store:
            return None
        await self._checkpoints.leave(answer)
        try:
            await answer.finish("complete")
        except Exception:
            log.exception("answer not saved")
            failure = StreamError("The answer could not be saved. Copy what you need.", "storage_unavailable", 503)
            answer.add([failure])
            return failure
        return None

    async def _finish(self, current: Run, answer: Answer) -> None:
        """Save first, then let go of the log: whoever loads in between sees the answer in one of the two."""
        try:
            if current.store and not current.complete:
                await self._checkpoints.leave(answer)
                await answer.finish(current.cut)
                if answer.empty:
                    await self._bring_back(current)
        except Exception:  # whatever it is, it must not end the task group, and with it every other run
            log.exception("answer not saved", extra={"block_id": current.block_id})
        finally:
            current.replaces = ()
            if self._runs.get(current.block_id) is current:
                del self._runs[current.block_id]
                self._remember(current)
            await self._log.close(current.run_id)
        if current.store and current.complete:
            self._after_turn(current.block_id)

    async def _bring_back(self, failed: Run) -> None:
        """An answer that was to be replaced is shown again, unless the conversation has gone on meanwhile."""
        conversation = await self._conversations.load(failed.block_id)
        shown = [message.id for message in conversation.messages] if conversation is not None else []
        if failed.replaces and shown == [message.id for message in failed.replaces[: len(shown)]]:
            await self._conversations.save(failed.block_id, failed.replaces, placement="branch")

    def _remember(self, ended: Run) -> None:
        self._recent[ended.block_id] = ended
        asyncio.get_running_loop().call_later(RETRY_SECONDS, self._forget, ended)

    def _forget(self, ended: Run) -> None:
        if self._recent.get(ended.block_id) is ended:
            del self._recent[ended.block_id]


def _whole(base: UIMessage | None, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
    """The first events of a run, for a client that lacks what it goes on with."""
    events = [event for event in events if not isinstance(event, Status)]
    if base is not None and events and isinstance(events[0], MessageStart):
        return [events[0], *to_events(base), *events[1:]]
    return events
