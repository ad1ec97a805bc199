"""Running turns: a run belongs to the application, not to the request that asked for it.

Each run is a task in the application's task group that writes to the stream log; HTTP responses only tail the log.
So a closed tab stops nothing, a second tab sees the same, and a slow reader slows nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from app.chat.run import Clock, OpenParts, Turn, run
from app.core.errors import RunInProgress, ShuttingDown
from app.core.events import Abort, MessageFinish, StreamError, StreamEvent
from app.core.fold import fold, merge_metadata
from app.core.messages import UIMessage
from app.core.ports import AnswerStatus, ConversationStore, StreamLog

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Run:
    """One answer in the making."""

    run_id: str
    turn: Turn
    user_message_id: str | None
    """The message that is being answered; the same one posted again is the same run."""
    asked: str
    """Its text: an edit keeps the id and is another run."""
    store: bool
    base: UIMessage | None = None
    """The stored message that this run continues."""
    events: list[StreamEvent] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    cut: AnswerStatus = "stopped"
    """What becomes of the answer if the run is cancelled."""
    ending: bool = False
    """Stopped or at its end: what is left is saving, which nothing may cancel."""

    @property
    def block_id(self) -> str:
        return self.turn.block_id

    @property
    def message_id(self) -> str:
        return self.turn.message_id

    @property
    def preset_name(self) -> str:
        return self.turn.preset_name


class LiveRuns:
    def __init__(
        self, log: StreamLog, conversations: ConversationStore, tasks: asyncio.TaskGroup, clock: Clock
    ) -> None:
        self._log = log
        self._conversations = conversations
        self._tasks = tasks
        self._clock = clock
        self._runs: dict[str, Run] = {}
        self._draining = False

    def running(self, block_id: str) -> Run | None:
        return self._runs.get(block_id)

    async def make_room(self, block_id: str) -> None:
        """Let a new turn of the block begin: a run that nobody watches any more is stopped, its answer kept.

        Raises:
            RunInProgress: the block's run still has a reader.
            ShuttingDown: no new turns any more.
        """
        if self._draining:
            raise ShuttingDown("The server is being restarted. Try again in a moment.", retry_after=5)
        current = self._runs.get(block_id)
        if current is None:
            return
        if self._log.readers(current.run_id) > 0:
            raise RunInProgress("An answer is still being written in this conversation. Stop it or wait for its end.")
        await self.stop(block_id)

    async def start(self, new: Run) -> None:
        """Run it in the background. Its log is open when this returns, so a reader misses nothing."""
        await self._log.open(new.run_id)
        self._runs[new.block_id] = new
        new.task = self._tasks.create_task(self._drive(new), name=f"run {new.run_id}")
        await asyncio.sleep(0)  # a task that is cancelled before its first step runs nothing, not even its `finally`

    def read(self, current: Run, after: int = 0) -> AsyncGenerator[Sequence[StreamEvent], None]:
        """The run's events from the start (or position `after`), then live until its end."""
        return self._log.read(current.run_id, after)

    async def stop(self, block_id: str) -> bool:
        """End the block's run now and keep what it said. False where nothing runs."""
        return await self._end(block_id, "stopped")

    async def _end(self, block_id: str, status: AnswerStatus) -> bool:
        current = self._runs.get(block_id)
        if current is None or current.task is None:
            return False
        if not current.ending:
            current.ending = True
            current.cut = status
            current.task.cancel()
        await asyncio.wait([current.task])
        return True

    async def drain(self, seconds: float) -> None:
        """Before the server goes: no new turns; running answers get a bounded time, then they are cut and saved."""
        self._draining = True
        tasks = [current.task for current in self._runs.values() if current.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for block_id in list(self._runs):
            await self._end(block_id, "interrupted")

    async def _drive(self, current: Run) -> None:
        open_parts = OpenParts()
        try:
            async with aclosing(run(current.turn, self._clock, open_parts)) as batches:
                async for events in batches:
                    current.events.extend(events)
                    await self._log.append(current.run_id, events)
        except asyncio.CancelledError:
            # Ours: only `_end` cancels a run. What follows must still be saved and told.
            ending: list[StreamEvent] = [*open_parts.close(), Abort()]
            current.events.extend(ending)
            await self._log.append(current.run_id, ending)
        finally:
            current.ending = True
            await self._finish(current)

    async def _finish(self, current: Run) -> None:
        """Save first, then let go of the log: whoever loads in between sees the answer in one of the two."""
        try:
            if current.store:
                await self._save(current)
        except Exception:  # whatever it is, it must not end the task group, and with it every other run
            log.exception("answer not saved", extra={"block_id": current.block_id})
        finally:
            if self._runs.get(current.block_id) is current:
                del self._runs[current.block_id]
            await self._log.close(current.run_id)

    async def _save(self, current: Run) -> None:
        answer = fold(current.base, current.events)
        if answer is None:
            return
        status, ending = _outcome(current)
        answer = answer.model_copy(update={"metadata": merge_metadata(answer.metadata, ending)})
        await self._conversations.put_answer(current.block_id, current.user_message_id, answer, status)


def _outcome(ended: Run) -> tuple[AnswerStatus, dict[str, object]]:
    """How the run ended, and what the answer's metadata says of it; nothing where it ended well."""
    last = ended.events[-1]
    if isinstance(last, MessageFinish):
        return "complete", {}
    if isinstance(last, StreamError):
        return "error", {"status": "error", "error": {"code": last.code, "text": last.text}}
    return ended.cut, {"status": ended.cut}
