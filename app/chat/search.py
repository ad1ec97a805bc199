"""The search in conversations: by words, by meaning, or both as one ranking.

Both are ranked by reciprocal rank fusion: what stands high in either list comes first, what stands in both before it.
Where meaning cannot be had at the moment, words alone answer, and the answer says so.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.embedding import Embedding, Embeddings
from app.core.conversations import ConversationPage, ConversationStore, ConversationSummary
from app.core.embeddings import SearchMode, Vector, VectorStore
from app.core.errors import AppError, StorageUnavailable

SECONDS = 3.0
"""People wait for the vector of a query while they type."""
RANKED_BY_WORDS = 100
RANKED_BY_MEANING = 30
"""Conversations that each list gives to the ranking."""

_SHORTEST = 3
"""Bytes of a query that may mean something."""
_REMEMBERED = 256
"""Queries whose vectors are kept: the page asks for its list again and again."""
_SMOOTHING = 60
"""Of reciprocal rank fusion, as it is customary."""
_CURSOR = re.compile(r"rank-([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Found:
    page: ConversationPage
    mode: SearchMode | None = None
    """How it was searched; None where nothing was searched for."""
    problem: str | None = None
    """Why it was not by meaning, although it should have been."""


class Search:
    def __init__(
        self,
        conversations: ConversationStore,
        vectors: VectorStore,
        embeddings: Embeddings,
        seconds: float = SECONDS,
    ) -> None:
        """`seconds` is how long the vector of a query may take."""
        self._seconds = seconds
        self._conversations = conversations
        self._vectors = vectors
        self._embeddings = embeddings
        self._queries: OrderedDict[tuple[str, str], Vector] = OrderedDict()

    async def page(
        self,
        *,
        query: str = "",
        cursor: str | None = None,
        limit: int = 50,
        archived: bool | None = False,
        mode: SearchMode | None = None,
    ) -> Found:
        """As `ConversationStore.page`; in a ranking the best comes first.

        Args:
            query: what to search for; empty lists everything.
            cursor: `next_cursor` of the page before.
            limit: 1 to 200.
            archived: as `ConversationStore.page`.
            mode: None: both, where a preset for embeddings is named.
        """
        place = _CURSOR.fullmatch(cursor or "")
        near, problem = None, None
        if mode != "text" and query.strip() and (place is not None or cursor is None):
            near, problem = await self._near(query, archived, wanted=mode is not None)
        if near is None and place is None:
            page = await self._conversations.page(query=query, cursor=cursor, limit=limit, archived=archived)
            return Found(page, "text" if query.strip() else None, problem)
        said: Sequence[ConversationSummary] = ()
        if near is None or mode != "semantic":
            said = (await self._conversations.page(query=query, limit=RANKED_BY_WORDS, archived=archived)).items
        ranked = fused(said, near or ())
        start = int(place[1]) if place is not None else 0
        next_cursor = f"rank-{start + limit}" if len(ranked) > start + limit else None
        used: SearchMode = "text" if near is None else mode or "hybrid"
        return Found(ConversationPage(tuple(ranked[start : start + limit]), next_cursor), used, problem)

    async def _near(
        self, query: str, archived: bool | None, *, wanted: bool
    ) -> tuple[Sequence[ConversationSummary] | None, str | None]:
        """What is near to the query, or why that cannot be said. `wanted`: somebody asked for it by name."""
        try:
            embedding = self._embeddings.for_search()
            if embedding is None:
                return (
                    None,
                    "There is no search by meaning here: no preset is named in ai:embedpreset." * wanted or None,
                )
            if (problem := self._vectors.problem()) is not None:
                return None, problem
            if len(query.strip().encode("utf-8", "replace")) < _SHORTEST:
                return None, None
            vector = await self._vector(embedding, query)
        except TimeoutError:
            return None, "The vector of the search took too long: only words were searched for."
        except StorageUnavailable:
            raise
        except AppError as error:
            return None, error.message
        near = await self._vectors.nearest(embedding.name, vector, archived=archived, limit=RANKED_BY_MEANING)
        return near, None

    async def _vector(self, embedding: Embedding, query: str) -> Vector:
        key = (embedding.name, " ".join(query.split()))
        vector = self._queries.pop(key, None)
        if vector is None:
            async with asyncio.timeout(self._seconds):
                vector = (await embedding.embed([key[1]], "query")).vectors[0]
        self._queries[key] = vector
        while len(self._queries) > _REMEMBERED:
            self._queries.popitem(last=False)
        return vector


def fused(said: Sequence[ConversationSummary], near: Sequence[ConversationSummary]) -> list[ConversationSummary]:
    """Both lists as one. What words have found shows where they are."""
    scores: dict[str, float] = {}
    for ranking in (said, near):
        for rank, item in enumerate(ranking, 1):
            scores[item.block_id] = scores.get(item.block_id, 0) + 1 / (_SMOOTHING + rank)
    items = {item.block_id: item for ranking in (near, said) for item in ranking}
    return [items[block_id] for block_id in sorted(scores, key=lambda block_id: -scores[block_id])]
