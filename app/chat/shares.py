"""Sharing a conversation by a link: what it said at that moment, for whoever has the link, until it is revoked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from secrets import token_urlsafe

from app.core.conversations import ConversationStore
from app.core.errors import NotFound
from app.core.shares import Share, SharedConversation, ShareStore, shared_messages
from app.core.times import written

_TOKEN_BYTES = 24


class Shares:
    def __init__(self, store: ShareStore, conversations: ConversationStore, now: Callable[[], datetime]) -> None:
        self.store = store
        self._conversations = conversations
        self._now = now

    async def create(self, block_id: str, *, with_details: bool) -> Share:
        """A snapshot of the active branch: what is said later, or on other branches, is not in it.

        Raises:
            NotFound: no such conversation.
            InvalidRequest: it has too many shares.
        """
        conversation = await self._conversations.load(block_id)
        if conversation is None:
            raise NotFound("There is no such conversation.")
        messages = shared_messages(conversation.messages, with_details=with_details)
        share = Share(
            token=token_urlsafe(_TOKEN_BYTES),
            block_id=block_id,
            title=conversation.title,
            with_details=with_details,
            created_at=written(self._now()),
            message_count=len(messages),
        )
        await self.store.create(share, messages)
        return share

    async def find(self, token: str) -> SharedConversation:
        """Raises NotFound, whether it never was, was revoked or went with its conversation."""
        shared = await self.store.load(token)
        if shared is None:
            raise NotFound("There is nothing shared at this address. The link may have been revoked.")
        return shared

    async def revoke(self, block_id: str, token: str) -> None:
        """Raises NotFound."""
        if not await self.store.revoke(block_id, token):
            raise NotFound("This conversation has no such link.")
