"""What a call may cost, held back from its key's spend limit while it is under way: many at once do not spend together
what is left for one.

It stands in the database, so it holds for all workers. It goes when the call has ended, however that was; after a kill
when the server starts anew, or when the call could have lasted no longer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from app.chat.routing_rules import wanted_by
from app.chat.usage import UsageBook
from app.core.errors import AppError, RateLimited
from app.core.events import Usage
from app.core.gateway_keys import GatewayKey, GatewayKeyStore, Reservation
from app.core.model import ModelRequest, Preset
from app.core.routing import NO_OCCASION, estimated_tokens

log = logging.getLogger(__name__)

USUAL_TOKENS = 4_000
"""Of an answer whose request sets no limit."""
_MOST_TOKENS = 10_000_000
"""More no service gives: it refuses such a limit."""
RETRY_AFTER = 5.0
"""Seconds. By then a call of those that hold something back may have ended."""


class Hold:
    """Of a key's limit, for one call. Comes from `GatewayKeys.hold`; nothing is held before it is taken."""

    def __init__(
        self, store: GatewayKeyStore, key: GatewayKey, reservation: Reservation, *, month: str, now: str
    ) -> None:
        """`key` has a limit."""
        self._store = store
        self._key = key
        self._reservation = reservation
        self._month = month
        self._now = now
        self._is_taken = False

    async def take(self) -> None:
        """Raises RateLimited where calls that are under way hold what is left."""
        assert self._key.spend_limit is not None, "a limit"
        self._is_taken = True  # also where the caller is cancelled while it is written
        if not await self._store.reserve(self._reservation, self._key.spend_limit, self._month, self._now):
            self._is_taken = False
            raise RateLimited(
                f"What the key {self._key.name!r} has left of this month is held for its calls that are under way. "
                "Try again when they have ended, or set a smaller limit for the answer.",
                retry_after=RETRY_AFTER,
            )

    async def release(self) -> None:
        """As often as you like."""
        if not self._is_taken:
            return
        self._is_taken = False
        try:
            await self._store.release(self._reservation.id)
        except AppError as error:  # it goes by itself, later
            log.warning("reservation not released", extra={"code": error.code})


def most_of(usage: UsageBook, preset: Preset, request: ModelRequest) -> float:
    """US dollars that a call will hardly cost more than: its prompt is written to the cache, and its answer as long as
    it may be. Nothing where nobody knows the price.
    """
    if request.relayed is not None:
        body = request.relayed.body
        limit = body.get("max_tokens")
        prompt, answer = _tokens_in(body), limit if type(limit) is int and 0 < limit <= _MOST_TOKENS else None
    else:
        prompt, answer = wanted_by(request, NO_OCCASION).tokens, request.max_tokens
    tokens = Usage(prompt, USUAL_TOKENS if answer is None else answer, cache_write_tokens=prompt)
    return usage.cost(preset, request.model, tokens, request.cache) or 0.0


def _tokens_in(body: Mapping[str, Any]) -> int:
    """Of a request in a service's own words: its texts, whatever they are for, and its files."""
    todo: list[Any] = [body]
    characters = files = 0
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, dict):
            is_file = value.get("type") == "base64"
            files += is_file
            todo += () if is_file else value.values()
        elif isinstance(value, list):
            todo += value
    return estimated_tokens(characters, files)
