"""Vectors of everything that was said, made in the background: after each turn of that conversation, at start of all.

What has its vectors is known from the store, so it goes on where it stopped, and nothing is sent twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from app.chat.embedding import Embedding, Embeddings
from app.chat.passages import passages
from app.core.embeddings import Indexed, Passage, Progress, Unindexed, Vector, VectorStore
from app.core.errors import AppError, InvalidRequest, ProviderRejected

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Passages that are sent together."""
PAUSE_SECONDS = 0.5
"""Behind each of them: chats come first."""
EVERY_SECONDS = 600.0
"""How often everything is looked through for what came in another way than by a turn."""
WATCH_SECONDS = 10.0
"""How often the configuration is looked at for another preset."""
SHORTEST_WAIT = 15.0
"""After a failure; doubled with each one that follows."""

_NOTHING = Passage(0, "")
"""What a message without a word is marked with, so that it is not looked at again."""


@dataclass(frozen=True, slots=True)
class IndexState:
    preset: str | None
    """None: nobody makes vectors."""
    model: str | None
    progress: Progress
    problem: str | None
    """Why it does not go on; a sentence for people."""


class SearchIndex:
    def __init__(
        self,
        vectors: VectorStore,
        embeddings: Embeddings,
        tasks: asyncio.TaskGroup,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`tasks` is the application's task group."""
        self._vectors = vectors
        self._embeddings = embeddings
        self._tasks = tasks
        self._sleep = sleep
        self._lock = asyncio.Lock()
        """Nothing is sent twice because two look for it at the same time."""
        self._again = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._trouble: str | None = None
        self._draining = False

    def after_turn(self, block_id: str) -> None:
        """Take up what was said, in the background."""
        if self._draining or block_id in self._running or self._opened_or_none() is None:
            return
        task = self._tasks.create_task(self._take_up(block_id), name=f"index {block_id}")
        self._running[block_id] = task
        task.add_done_callback(lambda _: self._running.pop(block_id, None))

    async def keep(self) -> None:
        """Take up everything that has no vectors, for as long as the server runs."""
        failures = 0
        while True:
            self._again.clear()
            name = self._name()
            wait = EVERY_SECONDS
            try:
                await self.sweep()
                failures = 0
            except AppError as error:
                self._note(error)
                wait = max(error.retry_after or 0.0, min(EVERY_SECONDS, SHORTEST_WAIT * 2**failures))
                failures += 1
            except Exception:  # it must not end the task group, and with it every run
                log.exception("search index not kept")
            await self._rest(wait, name)

    async def sweep(self) -> None:
        """Take up everything once. When all is there, the vectors of other models go.

        Raises:
            AppError: the service or the store failed; what was done stays.
        """
        embedding = self._opened()
        if embedding is None:
            return
        after: int | None = 0
        while after is not None:
            after = await self._step(embedding, after)
        await self._vectors.forget(embedding.name, others=True)
        self._trouble = None

    async def restart(self) -> None:
        """Make all vectors anew, in the background.

        Raises:
            AppError: there can be none.
        """
        embedding = self._opened()
        if embedding is not None:
            async with self._lock:
                await self._vectors.forget(embedding.name)
            self._again.set()

    async def state(self) -> IndexState:
        try:
            embedding = self._embeddings.for_search()
        except AppError as error:
            return IndexState(None, None, Progress(0, 0), error.message)
        if embedding is None:
            return IndexState(None, None, Progress(0, 0), None)
        progress = await self._vectors.progress(embedding.name)
        problem = self._vectors.problem() or (self._trouble if progress.done < progress.total else None)
        return IndexState(embedding.preset.name, embedding.model, progress, problem)

    async def drain(self) -> None:
        """Before the server goes: the next start goes on."""
        self._draining = True
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _take_up(self, block_id: str) -> None:
        try:
            embedding = self._opened()
            after: int | None = 0
            while embedding is not None and after is not None:
                after = await self._step(embedding, after, block_id)
        except AppError as error:
            self._note(error)  # `keep` tries again
        except Exception:  # as in `keep`
            log.exception("conversation not indexed", extra={"block_id": block_id})

    async def _step(self, embedding: Embedding, after: int, block_id: str | None = None) -> int | None:
        """Some messages; the row to go on behind, None at the end."""
        async with self._lock:
            messages, next_after = await self._vectors.unindexed(embedding.name, after, block_id)
            if messages:
                await self._index(embedding, messages)
        return next_after

    async def _index(self, embedding: Embedding, messages: Sequence[Unindexed]) -> None:
        pieces = [(message, passages(message.text) or [_NOTHING]) for message in messages]
        texts = list(dict.fromkeys(passage.text for _, found in pieces for passage in found if passage.text))
        known = await self._vectors.known(embedding.name, texts)
        vectors = {_NOTHING.text: b""}
        vectors |= {text: vector for text, vector in zip(texts, known, strict=True) if vector is not None}
        missing = [text for text in texts if text not in vectors]
        for start in range(0, len(missing), AT_ONCE):
            some = missing[start : start + AT_ONCE]
            vectors |= zip(some, await self._made(embedding, some), strict=True)
            await self._sleep(PAUSE_SECONDS)
        await self._vectors.put(
            embedding.name,
            [
                Indexed(message.row, message.text, [(passage, vectors[passage.text]) for passage in found])
                for message, found in pieces
            ],
        )

    async def _made(self, embedding: Embedding, texts: Sequence[str]) -> Sequence[Vector]:
        try:
            return (await embedding.embed(texts, "document")).vectors
        except ProviderRejected:
            await embedding.embed(["Hello"], "document")  # where that is refused too, it is not for the texts
        vectors: list[Vector] = []
        for text in texts:
            try:
                vectors += (await embedding.embed([text], "document")).vectors
            except ProviderRejected:
                vectors.append(b"")
        return vectors

    def _opened(self) -> Embedding | None:
        """Raises AppError where a preset is named and something else is missing."""
        embedding = self._embeddings.for_search()
        if embedding is not None and (problem := self._vectors.problem()) is not None:
            raise InvalidRequest(problem)
        return embedding

    def _opened_or_none(self) -> Embedding | None:
        with suppress(AppError):
            return self._opened()
        return None

    def _name(self) -> str | None:
        embedding = self._opened_or_none()
        return None if embedding is None else embedding.name

    def _note(self, error: AppError) -> None:
        if error.message != self._trouble:
            log.warning("no vectors for the search", extra={"problem": error.message, "code": error.code})
        self._trouble = error.message

    async def _rest(self, seconds: float, name: str | None) -> None:
        """Until it is time, somebody wants everything anew, or the configuration names another preset."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while (left := end - clock()) > 0 and self._name() == name:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, WATCH_SECONDS)):
                    await self._again.wait()
                    return
