"""From a client's request to a running turn: which preset, which history, what is stored, what is asked.

Nothing is stored and nobody is asked until everything about the request is known to be right.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from app.chat.answerers import Answerers
from app.chat.apart import apart, are_many
from app.chat.approvals import Change, Continuation, closed, go_on, supersede, without_confirmations
from app.chat.attachments import Attachments, Received
from app.chat.history import History, choose_history, needs_stored
from app.chat.ledger import CallBook, TemporaryLedger
from app.chat.live import LiveRuns, Run
from app.chat.made_files import MadeFiles
from app.chat.presets import Resolved, model_of, resolve, without_asking
from app.chat.prompts import Prompts
from app.chat.repetition import continuation_key, question_key
from app.chat.run import MAX_STEPS, Turn
from app.chat.tools import Toolset, choose_tools, claimed
from app.chat.usage import UsageBook
from app.core.conversations import Conversation, ConversationStore, Saved
from app.core.convert import Prompt, system_texts, to_prompt
from app.core.errors import ApprovalRefused, InvalidRequest, RunInProgress, UnsupportedContent
from app.core.files import File
from app.core.messages import UIMessage
from app.core.model import GO_ON, Configuration, ModelMessage, ModelRequest, Text, TurnRequest
from app.core.ports import Provider, ToolBox, ToolLedger
from app.core.routing import Occasion


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request that is known to be right."""

    history: History
    """An answer to continue stands in it with what the client has brought."""
    replaces: Sequence[UIMessage]
    """The branch as it is shown now, where the history is only the beginning of it: a regeneration."""
    resolved: Resolved
    provider: Provider
    request: ModelRequest
    prompt: Callable[[UIMessage | None], Prompt]
    tools: Toolset
    calls: CallBook
    changes: Sequence[Change]
    """Of the calls of answers: to be written before the run begins."""
    goes_on: Continuation | None

    @property
    def messages(self) -> Sequence[UIMessage]:
        return self.history.messages


class Turns:
    def __init__(
        self,
        *,
        configuration: Callable[[], Configuration],
        answerers: Answerers,
        conversations: ConversationStore,
        attachments: Attachments,
        tools: ToolBox,
        calls: ToolLedger,
        usage: UsageBook,
        runs: LiveRuns,
        prompts: Prompts,
        new_id: Callable[[], str],
    ) -> None:
        self._configuration = configuration
        self._answerers = answerers
        self._conversations = conversations
        self._attachments = attachments
        self._tools = tools
        self._calls = calls
        self._temporary_calls = TemporaryLedger()
        self._usage = usage
        self._runs = runs
        self._prompts = prompts
        self._new_id = new_id
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def begin(self, block_id: str, request: TurnRequest) -> Run:
        """Start the turn, or find it running already: the same POST sent again is the same run.

        The caller must begin to read before it awaits anything else: a run without readers may be replaced.

        Raises:
            InvalidRequest, NotConfigured: nothing was stored, nobody was asked.
            ApprovalRefused: likewise, and nothing ran.
            RunInProgress: the block is still answering another message.
        """
        received = await self._attachments.receive(request.messages)
        async with self._lock(block_id):
            block = await self._conversations.block(block_id)
            # A temporary chat is one by the word of the request or of the block.
            stores = request.store and block.get("ai:store") is not False
            request = replace(request, messages=received.messages, store=stores)
            # What the turn is about is found out anew whenever something that it rests on has changed: the run before
            # it has ended and left its answer, or saving has brought another branch to the front.
            key, once = continuation_key(request)
            current = self._runs.running(block_id) if once else self._runs.recent(block_id)
            if current is not None and key is not None and key == current.key:
                return current
            prepared = await self._prepare(block_id, block, request, received)
            if key is None:
                key = question_key(request, prepared.messages, prepared.resolved)
                if current is not None and key is not None and key == current.key:
                    return current
            if await self._runs.make_room(block_id) and needs_stored(request):
                # The run that ended left its answer.
                prepared = await self._prepare(block_id, block, request, received)
            saved = await self._save(block_id, request, prepared.messages, received)
            if saved is not None and prepared.goes_on is not None and not prepared.history.is_stored:
                # It stands on a branch that is active now.
                prepared = await self._prepare(block_id, block, request, received)
            await self._write_changes(block_id, prepared, saved)
            new, turn = self._new_run(block_id, prepared, key, store=request.store)
            await self._runs.start(new, turn)
            return new

    async def stop(self, block_id: str) -> bool:
        """Stop the block's turn, one that is only just beginning included. False where nothing runs."""
        async with self._lock(block_id):
            return await self._runs.stop(block_id)

    async def fork(self, block_id: str, new_block_id: str, *, until: str | None = None) -> Conversation:
        """A copy, as `ConversationStore.fork` says. Calls that wait are waited for in the original alone: one answer
        must not run them twice.
        """
        copy = await self._conversations.fork(block_id, new_block_id, until=until)
        records = await self._calls.records(new_block_id)
        changes = supersede(records, [message.id for message in copy.messages])
        for change in changes:
            await self._calls.change(new_block_id, change.record, when=change.when)
        await self._close(new_block_id, changes)
        return copy

    @asynccontextmanager
    async def quiet(self, block_id: str) -> AsyncGenerator[None, None]:
        """Inside, no turn of the block runs or begins.

        Raises:
            RunInProgress: one runs.
        """
        async with self._lock(block_id):
            if self._runs.running(block_id) is not None:
                raise RunInProgress("An answer is still being written here. Stop it or wait for its end.")
            yield

    def _lock(self, block_id: str) -> asyncio.Lock:
        return self._locks.setdefault(block_id, asyncio.Lock())

    async def _prepare(
        self, block_id: str, block: Mapping[str, Any], request: TurnRequest, received: Received
    ) -> _Prepared:
        conversation = await self._conversations.load(block_id) if needs_stored(request) else None
        stored = conversation.messages if conversation is not None else ()
        history = choose_history(request, stored)
        known = [message.id for message in stored[: len(history.messages)]] == [m.id for m in history.messages]
        calls = await self._open_calls(block_id, store=request.store)
        history, changes, goes_on = _settled(request, history, calls)
        if goes_on is not None and goes_on.allowed:
            block = {**block, **without_asking(block, goes_on.allowed)}
        resolved = resolve(
            self._configuration(),
            url_preset=request.preset,
            options=request.options,
            headers=request.headers,
            block=block,
        )
        resolved = await self._prompts.with_system(resolved)
        tools = await choose_tools(self._tools, resolved, request.tools, shows_approvals=request.shows_approvals)
        model_request = partial(_model_request, history=history.messages, tools=tools)
        occasion = Occasion(request.template, block.get("ai:tag"), block_id if request.store else None)
        provider = self._answerers.open(resolved, model_request, occasion)
        files = await self._attachments.read(history.messages, received.contents)
        said = history.messages if goes_on is None else history.messages[:-1]
        calls.records.update(
            (record.tool_call_id, record) for record in claimed(history.messages, calls.records, tools)
        )
        try:
            prompt = await apart(are_many(said), _prompting, said, files, calls, provider)
        except UnsupportedContent as error:
            message = f"{error.message} The preset is {resolved.preset.name}."
            raise UnsupportedContent(message, param=error.param) from None
        return _Prepared(
            history=history,
            replaces=stored if known and len(stored) > len(history.messages) else (),
            resolved=resolved,
            provider=provider,
            request=model_request(resolved),
            prompt=prompt,
            tools=tools,
            calls=calls,
            changes=changes,
            goes_on=goes_on,
        )

    async def _open_calls(self, block_id: str, *, store: bool) -> CallBook:
        """A turn that is not stored knows the stored calls too, and writes none."""
        records = await self._calls.records(block_id)
        if store:
            return CallBook(self._calls, block_id, records)
        temporary = await self._temporary_calls.records(block_id)
        return CallBook(self._temporary_calls, block_id, {**records, **temporary})

    async def _save(
        self, block_id: str, request: TurnRequest, history: Sequence[UIMessage], received: Received
    ) -> Saved | None:
        if not request.store:
            return None
        async with self._attachments.kept(history, received.contents):
            return await self._conversations.save(block_id, history, placement="branch")

    async def _write_changes(self, block_id: str, prepared: _Prepared, saved: Saved | None) -> None:
        """Answers to requests for approval count here, once: whoever comes second changes nothing."""
        changes = list(prepared.changes)
        if prepared.goes_on is None and saved is not None:  # the client may have sent only its last messages
            changes += supersede(prepared.calls.records, saved.message_ids[:-1])
        for change in changes:
            if not await prepared.calls.change(change.record, when=change.when) and prepared.goes_on is not None:
                raise ApprovalRefused("This call has been answered elsewhere. Load the conversation again.")
        if saved is not None and prepared.goes_on is not None and prepared.goes_on.allowed:
            block = await self._conversations.block(block_id)
            await self._conversations.patch_block(block_id, without_asking(block, prepared.goes_on.allowed))
        if prepared.goes_on is None and saved is not None:
            await self._close(block_id, changes)

    async def _close(self, block_id: str, changes: Sequence[Change]) -> None:
        """Show in stored answers that what they waited for is given up."""
        left = {change.record.message_id for change in changes}
        conversation = await self._conversations.load(block_id) if left else None
        for message in conversation.messages if conversation is not None else ():
            if message.id in left:
                await self._conversations.put_answer(block_id, None, closed(message, changes), "complete")

    def _new_run(self, block_id: str, prepared: _Prepared, key: str | None, *, store: bool) -> tuple[Run, Turn]:
        messages, resolved = prepared.messages, prepared.resolved
        base = prepared.goes_on.base if prepared.goes_on is not None else None
        answered = messages[-2] if base is not None and len(messages) > 1 else messages[-1]
        new = Run(
            run_id=self._new_id(),
            block_id=block_id,
            message_id=base.id if base is not None else self._new_id(),
            user_message_id=answered.id,
            key=key,
            store=store,
            base=base,
            replaces=prepared.replaces,
            on_disconnect=resolved.values.on_disconnect or "continue",
        )
        turn = Turn(
            block_id=block_id,
            message_id=new.message_id,
            preset_name=resolved.preset.name,
            provider=prepared.provider,
            request=prepared.request,
            prompt=prepared.prompt,
            account=self._usage.account(
                block_id=block_id if store else None,
                preset=resolved.preset,
                model=prepared.request.model,
                message_id=new.message_id,
                cache=prepared.request.cache,
                earlier=base.metadata if base is not None else None,
            ),
            tools=prepared.tools,
            calls=prepared.calls,
            files=MadeFiles(self._attachments),
            new_id=self._new_id,
            max_steps=resolved.values.max_steps or MAX_STEPS,
            goes_on=prepared.goes_on,
        )
        return new, turn


def _settled(
    request: TurnRequest, history: History, calls: CallBook
) -> tuple[History, Sequence[Change], Continuation | None]:
    """What the request changes of the calls of answers, in `calls` as if it were written already."""
    *before, last = history.messages
    goes_on: Continuation | None = None
    changes: Sequence[Change]
    if last.role == "assistant":
        goes_on = go_on(last, history.sent, request.approvals, calls.records, is_stored=history.is_stored)
        history, changes = replace(history, messages=(*before, goes_on.base)), goes_on.changes
    elif request.approvals:
        raise InvalidRequest(
            "Answers to requests for approval need the id of the answer that asked.", param="messageId"
        )
    else:
        changes = supersede(calls.records, [message.id for message in before])
    calls.records.update((change.record.tool_call_id, change.record) for change in changes)
    return history, changes, goes_on


def _prompting(
    history: Sequence[UIMessage], files: Mapping[str, File], calls: CallBook, provider: Provider
) -> Callable[[UIMessage | None], Prompt]:
    """What the model is asked after `history`, when the answer has come so far.

    Raises:
        UnsupportedContent: the user's last message cannot be sent to this model.
    """

    def prompt(message: UIMessage | None) -> Prompt:
        messages = [*history, message] if message is not None else history
        said = without_confirmations(messages, calls.records)
        made = to_prompt(said, files=files, calls=calls.records, takes=provider.takes)
        if made.messages and made.messages[-1].role == "assistant":  # not every service goes on with such a one
            return replace(made, messages=(*made.messages, ModelMessage("user", (Text(GO_ON),))))
        return made

    first = prompt(None)
    return lambda message: first if message is None else prompt(message)


def _model_request(resolved: Resolved, history: Sequence[UIMessage], tools: Toolset) -> ModelRequest:
    """The request without messages."""
    values = resolved.values
    system = "\n\n".join(text for text in (values.system or "", *system_texts(history)) if text)
    return ModelRequest(
        model=model_of(resolved),
        messages=(),
        system=system or None,
        temperature=values.temperature,
        top_p=values.top_p,
        max_tokens=values.max_tokens,
        stop=values.stop or (),
        thinking=values.thinking,
        response_format=values.response_format or "text",
        tools=tools.specs,
        provider_tools=resolved.preset.provider_tools,
        cache=values.cache or "5m",
    )
