"""Search in what was said before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from pydantic import Field

from app.core.conversations import ConversationStore, ConversationSummary
from app.core.tools import ToolContext

MAX_FOUND = 20

Query = Annotated[str, Field(min_length=1, max_length=500)]
Limit = Annotated[int, Field(ge=1, le=MAX_FOUND)]


def search_conversations_tool(store: ConversationStore) -> Callable[..., Awaitable[list[dict[str, Any]]]]:
    async def search_conversations(context: ToolContext, query: Query, limit: Limit = 5) -> list[dict[str, Any]]:
        """Search the user's other conversations for words, newest first.

        Args:
            context: the server's, not the model's
            query: words that must all stand in the title or in one message; few and telling ones find more
            limit: how many conversations at most
        """
        page = await store.page(query=query, limit=limit + 1, archived=None)
        others = [item for item in page.items if item.block_id != context.block_id]
        return [_described(item) for item in others[:limit]]

    return search_conversations


def _described(item: ConversationSummary) -> dict[str, Any]:
    pieces = item.match.snippet if item.match is not None else ()
    return {
        "title": item.title,
        "updatedAt": item.updated_at,
        "excerpt": "".join(text for text, _ in pieces),
        "url": f"/c/{item.block_id}",
    }
