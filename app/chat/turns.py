"""From a client's request to a running turn: which preset, which history, what is stored, what is asked.

Nothing is stored and nobody is asked until everything about the request is known to be right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

from app.chat.live import LiveRuns, Run
from app.chat.presets import Resolved, resolve
from app.chat.run import Turn
from app.core.convert import system_texts, to_model_messages
from app.core.errors import InvalidRequest, NotConfigured
from app.core.messages import FilePart, OtherPart, UIMessage
from app.core.model import Configuration, ModelMessage, ModelRequest, Text, TurnRequest
from app.core.ports import ConversationStore, Provider, Providers

_GO_ON = "Your answer was cut off. Go on exactly where it stopped; repeat nothing and do not mention this."


class Turns:
    def __init__(
        self,
        *,
        configuration: Callable[[], Configuration],
        providers: Providers,
        conversations: ConversationStore,
        runs: LiveRuns,
        new_id: Callable[[], str],
    ) -> None:
        self._configuration = configuration
        self._providers = providers
        self._conversations = conversations
        self._runs = runs
        self._new_id = new_id
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def begin(self, block_id: str, request: TurnRequest) -> Run:
        """Start the turn, or find it running already: the same message posted again is the same run.

        The caller must attach its reader before it awaits anything else; a run without readers may be replaced.

        Raises:
            InvalidRequest, NotConfigured: nothing was stored, nobody was asked.
            RunInProgress: the block is still answering another message.
        """
        lock = self._locks.setdefault(block_id, asyncio.Lock())
        async with lock:
            history = await self._history(block_id, request)
            current = self._runs.recent(block_id)
            if current is not None and _is_repeat(request, history, current):
                return current
            block = await self._conversations.block(block_id)
            resolved = resolve(
                self._configuration(),
                url_preset=request.preset,
                options=request.options,
                headers=request.headers,
                block=block,
            )
            provider = self._providers.open(resolved.preset)
            model_request = _model_request(resolved, history)
            await self._runs.make_room(block_id)
            if request.store:
                await self._conversations.save(block_id, history, placement="branch")
            new = self._new_run(block_id, resolved, provider, model_request, history, store=request.store)
            await self._runs.start(new)
            return new

    def _new_run(
        self,
        block_id: str,
        resolved: Resolved,
        provider: Provider,
        model_request: ModelRequest,
        history: Sequence[UIMessage],
        *,
        store: bool,
    ) -> Run:
        last = history[-1]
        continued = last if last.role == "assistant" else None
        answered = history[-2] if continued is not None and len(history) > 1 else last
        return Run(
            run_id=self._new_id(),
            turn=Turn(
                block_id=block_id,
                message_id=continued.id if continued is not None else self._new_id(),
                preset_name=resolved.preset.name,
                provider=provider,
                request=model_request,
                continues=continued is not None,
            ),
            user_message_id=answered.id,
            asked=answered.text,
            store=store,
            base=continued,
            on_disconnect=resolved.values.on_disconnect or "continue",
        )

    async def _history(self, block_id: str, request: TurnRequest) -> Sequence[UIMessage]:
        """What the model shall see, ending with the message to answer or the answer to continue."""
        if request.message_only:
            stored = await self._stored(block_id)
            history = _regenerated(stored, request.message_id) if not request.messages else _appended(stored, request)
        elif request.minted:
            history = _recognised(request, await self._stored(block_id))
        else:
            history = request.messages
        last = history[-1]
        if last.role == "system" or (last.role == "user" and not _says_something(last)):
            raise InvalidRequest(
                "The last message is empty. Send some text or an image.", param=f"messages[{len(history) - 1}]"
            )
        if all(message.role != "user" for message in history):
            raise InvalidRequest("There is no message from a user to answer.", param="messages")
        return history

    async def _stored(self, block_id: str) -> tuple[UIMessage, ...]:
        conversation = await self._conversations.load(block_id)
        return conversation.messages if conversation is not None else ()


def _model_request(resolved: Resolved, history: Sequence[UIMessage]) -> ModelRequest:
    values = resolved.values
    if values.model is None:
        raise NotConfigured(f"The preset {resolved.preset.name} names no model. Add `model` to it.", param="model")
    messages = to_model_messages(history)
    if messages and messages[-1].role == "assistant":  # not every service goes on with an answer that it is given
        messages = (*messages, ModelMessage("user", (Text(_GO_ON),)))
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


def _is_repeat(request: TurnRequest, history: Sequence[UIMessage], current: Run) -> bool:
    """Whether this is the POST that started the run, sent once more. Without the client's own id nobody can tell."""
    last = history[-1]
    return (
        request.trigger == "submit-message"
        and bool(request.messages)
        and request.messages[-1].id not in request.minted
        and last.id == current.user_message_id
        and last.text == current.asked
    )


def _says_something(message: UIMessage) -> bool:
    # A part that nobody knows says something too: `to_model_messages` refuses it by name.
    return bool(message.text.strip()) or any(isinstance(part, FilePart | OtherPart) for part in message.parts)


def _regenerated(stored: Sequence[UIMessage], message_id: str | None) -> Sequence[UIMessage]:
    """The branch up to the question whose answer is wanted anew; without an id it is the last one."""
    if not stored:
        raise InvalidRequest("There is no answer to regenerate in this conversation.", param="messageId")
    index = len(stored) - 1
    if message_id is not None:
        index = next((i for i, message in enumerate(stored) if message.id == message_id), -1)
        if index < 0:
            raise InvalidRequest("This conversation has no message with that id.", param="messageId")
    history = stored[:index] if stored[index].role == "assistant" else stored[: index + 1]
    if not history:
        raise InvalidRequest("There is no message before this answer.", param="messageId")
    return history


def _appended(stored: Sequence[UIMessage], request: TurnRequest) -> Sequence[UIMessage]:
    """The branch with the one message that was sent: new, edited (same id), or an answer to continue."""
    sent = request.messages[-1]
    known = next((i for i, message in enumerate(stored) if message.id == sent.id), None)
    if sent.role == "assistant":
        if known is None:
            raise InvalidRequest("This conversation has no answer with that id to continue.", param="message.id")
        return stored[: known + 1]
    return (*(stored if known is None else stored[:known]), sent)


def _recognised(request: TurnRequest, stored: Sequence[UIMessage]) -> Sequence[UIMessage]:
    """A history without ids, its beginning replaced by the stored messages that say the same."""
    history = list(request.messages)
    for index, (sent, known) in enumerate(zip(history, stored, strict=False)):
        same = sent.role == known.role and sent.text == known.text
        if not same or sent.id not in request.minted:
            break
        history[index] = known
    return history
