"""One model call outside of a conversation's turns: the gateway's, and the short questions that the server itself has.

The retries, limits and breakers are the provider's, the prices and the ledger those of every other call.
`chat.completions` opens it for what programs ask, and for titles; `chat.classifier` for routers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from anyio import CancelScope

from app.chat.cut_short import Told
from app.chat.reservations import Hold
from app.chat.usage import Account
from app.core.answered import answered
from app.core.errors import ProviderBroken
from app.core.events import Answering, ModelEvent, ModelFinish, TextDelta, Usage
from app.core.gateway import Answered
from app.core.model import ModelRequest
from app.core.ports import Provider


@dataclass(frozen=True, slots=True)
class Completion:
    """A call that is known to be right and has not been made."""

    model: str
    """The router's name, where one chooses."""
    provider: Provider
    request: ModelRequest
    account: Account | None
    """None: the call costs nothing."""
    limited: bool = False
    """It counts for the limits of a key: a call that is cut short is estimated, where others have no entry."""
    hold: Hold | None = None
    """What it holds back of such a limit while it is under way."""

    async def stream(self) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """As `Provider.stream`; the call is in the ledger before its end is told, or as soon as it is cut short.

        Raises:
            RateLimited: other calls hold what the key has left.
        """
        told = Told(self.request) if self.limited else None
        try:
            if self.hold is not None:
                await self.hold.take()
            async with aclosing(self.provider.stream(self.request)) as batches:
                async for batch in batches:
                    if self.account is not None and batch and isinstance(finish := batch[-1], ModelFinish):
                        told = None
                        await self._enter(self.account, finish.usage)
                    elif self.account is not None and batch and isinstance(answering := batch[0], Answering):
                        self.account.answered_by(answering)
                    elif told is not None:
                        told.add(batch)
                    yield batch
        finally:
            with CancelScope(shield=True):  # whoever leaves cancels all of this
                if self.account is not None and told is not None and (usage := told.usage()) is not None:
                    await self._enter(self.account, usage)
                await self._release()

    async def answer(self) -> Answered:
        """All of it, for whoever waits for the end."""
        events: list[ModelEvent] = []
        async with aclosing(self.stream()) as batches:
            async for batch in batches:
                events += batch
        if not events or not isinstance(events[-1], ModelFinish):
            raise ProviderBroken("The model's answer stopped before its end.")
        return answered(events)

    async def text(self, most: int) -> str:
        """What it says, for questions of the server's own. The call ends when there are more than `most` characters:
        whoever was asked for a few words will not come to the point.
        """
        said = ""
        async with aclosing(self.stream()) as batches:
            async for batch in batches:
                said += "".join(event.delta for event in batch if isinstance(event, TextDelta))
                if len(said) > most:
                    break
        return said

    async def _enter(self, account: Account, usage: Usage) -> None:
        """What was used takes the place of what was held, in one transaction if no other write is in between."""
        account.note(usage)
        await self._release()
        await account.written()

    async def _release(self) -> None:
        if self.hold is not None:
            await self.hold.release()
