"""From a client's request to a running turn: which preset, which history, what is stored, what is asked.

Nothing is stored and nobody is asked until everything about the request is known to be right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from weakref import WeakValueDictionary

from app.chat.attachments import Attachments, Received
from app.chat.history import choose_history, needs_stored
from app.chat.live import LiveRuns, Run
from app.chat.presets import Resolved, resolve
from app.chat.run import Turn
from app.core.convert import system_texts, to_prompt
from app.core.errors import NotConfigured
from app.core.files import File
from app.core.messages import UIMessage
from app.core.model import GO_ON, Configuration, ModelMessage, ModelRequest, Text, TurnRequest
from app.core.ports import ConversationStore, Provider, Providers


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request that is known to be right."""

    history: Sequence[UIMessage]
    replaces: Sequence[UIMessage]
    """The branch as it is shown now, where the history is only the beginning of it: a regeneration."""
    resolved: Resolved
    provider: Provider
    model_request: ModelRequest


class Turns:
    def __init__(
        self,
        *,
        configuration: Callable[[], Configuration],
        providers: Providers,
        conversations: ConversationStore,
        attachments: Attachments,
        runs: LiveRuns,
        new_id: Callable[[], str],
    ) -> None:
        self._configuration = configuration
        self._providers = providers
        self._conversations = conversations
        self._attachments = attachments
        self._runs = runs
        self._new_id = new_id
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def begin(self, block_id: str, request: TurnRequest) -> Run:
        """Start the turn, or find it running already: the same POST sent again is the same run.

        The caller must begin to read before it awaits anything else: a run without readers may be replaced.

        Raises:
            InvalidRequest, NotConfigured: nothing was stored, nobody was asked.
            RunInProgress: the block is still answering another message.
        """
        received = await self._attachments.receive(request.messages)
        request = replace(request, messages=received.messages)
        async with self._lock(block_id):
            prepared = await self._prepare(block_id, request, received)
            key = _key(request, prepared)
            current = self._runs.recent(block_id)
            if current is not None and key is not None and key == current.key:
                return current
            if await self._runs.make_room(block_id) and needs_stored(request):
                prepared = await self._prepare(block_id, request, received)  # the run that ended left its answer
            base = await self._save(block_id, request, prepared.history, received)
            new, turn = self._new_run(block_id, prepared, base, key, store=request.store)
            await self._runs.start(new, turn)
            return new

    async def stop(self, block_id: str) -> bool:
        """Stop the block's turn, one that is only just beginning included. False where nothing runs."""
        async with self._lock(block_id):
            return await self._runs.stop(block_id)

    def _lock(self, block_id: str) -> asyncio.Lock:
        return self._locks.setdefault(block_id, asyncio.Lock())

    async def _prepare(self, block_id: str, request: TurnRequest, received: Received) -> _Prepared:
        conversation = await self._conversations.load(block_id) if needs_stored(request) else None
        stored = conversation.messages if conversation is not None else ()
        history = choose_history(request, stored)
        known = [message.id for message in stored[: len(history)]] == [message.id for message in history]
        resolved = resolve(
            self._configuration(),
            url_preset=request.preset,
            options=request.options,
            headers=request.headers,
            block=await self._conversations.block(block_id),
        )
        provider = self._providers.open(resolved.preset)
        files = await self._attachments.read(history, received.contents)
        model_request = _model_request(resolved, history, files)
        replaces = stored if known and len(stored) > len(history) else ()
        return _Prepared(history, replaces, resolved, provider, model_request)

    async def _save(
        self, block_id: str, request: TurnRequest, history: Sequence[UIMessage], received: Received
    ) -> UIMessage | None:
        """Store the history; the answer to go on with, as it is stored, if that is what comes last."""
        last = history[-1]
        if request.store:
            async with self._attachments.kept(history, received.contents):
                saved = await self._conversations.save(block_id, history, placement="branch")
            last = next((message for message in saved.messages if message.id == last.id), last)
        return last if last.role == "assistant" else None

    def _new_run(
        self, block_id: str, prepared: _Prepared, base: UIMessage | None, key: str | None, *, store: bool
    ) -> tuple[Run, Turn]:
        history = prepared.history
        answered = history[-2] if base is not None and len(history) > 1 else history[-1]
        new = Run(
            run_id=self._new_id(),
            block_id=block_id,
            message_id=base.id if base is not None else self._new_id(),
            user_message_id=answered.id,
            key=key,
            store=store,
            base=base,
            replaces=prepared.replaces,
            on_disconnect=prepared.resolved.values.on_disconnect or "continue",
        )
        turn = Turn(
            block_id=block_id,
            message_id=new.message_id,
            preset_name=prepared.resolved.preset.name,
            provider=prepared.provider,
            request=prepared.model_request,
            continues=base is not None,
        )
        return new, turn


def _model_request(resolved: Resolved, history: Sequence[UIMessage], files: Mapping[str, File]) -> ModelRequest:
    values = resolved.values
    if values.model is None:
        raise NotConfigured(f"The preset {resolved.preset.name} names no model. Add `model` to it.", param="model")
    messages = to_prompt(history, files=files).messages
    if messages and messages[-1].role == "assistant":  # not every service goes on with an answer that it is given
        messages = (*messages, ModelMessage("user", (Text(GO_ON),)))
    system = "\n\n".join(text for text in (values.system or "", *system_texts(history)) if text)
    return ModelRequest(
        model=values.model,
        messages=messages,
        system=system or None,
        temperature=values.temperature,
        top_p=values.top_p,
        max_tokens=values.max_tokens,
        stop=values.stop or (),
        thinking=values.thinking,
        response_format=values.response_format or "text",
    )


def _key(request: TurnRequest, prepared: _Prepared) -> str | None:
    """The same for the same POST sent again. None where nobody can tell: a regeneration, or ids of our making."""
    last = prepared.history[-1]
    if request.trigger != "submit-message" or last.role != "user" or last.id in request.minted:
        return None
    if request.minted:  # known by what it says: the same words may well be another request
        return None
    asked = (
        [message.id for message in prepared.history],
        last.to_wire(),
        prepared.resolved.preset.name,
        prepared.resolved.values.said(),
        request.store,
    )
    return sha256(repr(asked).encode("utf-8", "surrogatepass")).hexdigest()
