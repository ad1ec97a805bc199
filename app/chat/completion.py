"""One model call for a preset, without a conversation: the gateway's, and what the server asks for itself.

The retries, limits and breakers are the provider's, the prices and the ledger those of every other call.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from anyio import CancelScope

from app.chat.answerers import Answerers
from app.chat.cut_short import Told
from app.chat.gateway_keys import check_use
from app.chat.model_names import find
from app.chat.presets import Resolved, model_of, resolve
from app.chat.prompts import Prompts
from app.chat.usage import Account, UsageBook
from app.core.answered import answered
from app.core.errors import ProviderBroken, UnsupportedContent
from app.core.events import Answering, ModelEvent, ModelFinish, Verbatim
from app.core.gateway import CLIENT, Answered, Asked
from app.core.gateway_keys import GatewayKey
from app.core.model import Configuration, Content, Media, ModelMessage, ModelRequest, Preset, Relayed
from app.core.ports import Api, Provider, Providers
from app.core.routing import Occasion
from app.core.usage import Purpose
from app.core.values import NO_VALUES, Values


@dataclass(frozen=True, slots=True)
class Completion:
    """A call that is known to be right and has not been made."""

    preset: str
    model: str
    provider: Provider
    request: ModelRequest
    account: Account | None
    """None: the call costs nothing."""
    limited: bool = False
    """It counts for the limits of a key: a call that is cut short is estimated, where others have no entry."""

    async def stream(self) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """As `Provider.stream`; the call is in the ledger before its end is told, or as soon as it is cut short."""
        told = Told(self.request) if self.limited else None
        try:
            async with aclosing(self.provider.stream(self.request)) as batches:
                async for batch in batches:
                    if self.account is not None and batch and isinstance(finish := batch[-1], ModelFinish):
                        told = None
                        await self.account.add(finish.usage)
                    elif self.account is not None and batch and isinstance(answering := batch[0], Answering):
                        self.account.answered_by(answering)
                    elif told is not None:
                        told.add(batch)
                    yield batch
        finally:
            if self.account is not None and told is not None and (usage := told.usage()) is not None:
                with CancelScope(shield=True):  # whoever leaves cancels all of this
                    await self.account.add(usage)

    async def answer(self) -> Answered:
        events: list[ModelEvent] = []
        async with aclosing(self.stream()) as batches:
            async for batch in batches:
                events += batch
        if not events or not isinstance(events[-1], ModelFinish):
            raise ProviderBroken("The model's answer stopped before its end.")
        return answered(events)

    async def verbatim(self) -> bytes:
        """The whole answer of a relayed call."""
        pieces: list[bytes] = []
        async with aclosing(self.stream()) as batches:
            async for batch in batches:
                pieces += [event.data for event in batch if isinstance(event, Verbatim)]
        return b"".join(pieces)


class Completions:
    def __init__(
        self,
        *,
        configuration: Callable[[], Configuration],
        providers: Providers,
        answerers: Answerers,
        prompts: Prompts,
        usage: UsageBook,
    ) -> None:
        self._configuration = configuration
        self._providers = providers
        self._answerers = answerers
        self._prompts = prompts
        self._usage = usage

    async def open(
        self,
        asked: Asked,
        *,
        headers: Values = NO_VALUES,
        key: GatewayKey | None = None,
        purpose: Purpose = "gateway",
        block_id: str | None = None,
        message_id: str | None = None,
    ) -> Completion:
        """The call for what a program asks.

        Args:
            asked: its request.
            headers: what its `X-AI-*` headers set.
            key: the one it came with, whose limits hold.
            purpose: what the ledger says that the call is for.
            block_id: the conversation that it is about.
            message_id: the answer that it is about.

        Raises:
            NotFound, InvalidRequest, NotConfigured, KeyNotAllowed, StorageUnavailable: nobody was asked.
        """
        resolved = self._checked(asked, headers, key)
        if asked.values.system is None:
            resolved = await self._prompts.with_system(resolved)
        gateway_key = None if key is None else key.id
        occasion = Occasion(block_id=block_id, message_id=message_id, gateway_key=gateway_key)
        provider = self._answerers.open(resolved, partial(_request, asked=asked), occasion)
        _check_media(asked.messages, provider, resolved.preset)
        services = {each.preset.provider for each in resolved.candidates or (resolved,)}
        messages = tuple(_claimed(message, services) for message in asked.messages)
        request = replace(_request(resolved, asked), messages=messages)
        account = self._usage.account(
            block_id=block_id,
            preset=resolved.preset,
            model=request.model,
            purpose=purpose,
            cache=request.cache,
            gateway_key=gateway_key,
            message_id=message_id,
        )
        return Completion(resolved.preset.name, request.model, provider, request, account, limited=key is not None)

    def relay(
        self,
        asked: Asked,
        api: Api,
        relayed: Relayed,
        *,
        headers: Values = NO_VALUES,
        key: GatewayKey | None = None,
    ) -> Completion | None:
        """The call that passes a request on as it is; None where the service does not speak `api`, so that the request
        must be translated and opened. Of `asked` count the model and the values that are this server's own.

        Raises:
            as `open`.
        """
        resolved = self._checked(asked, headers, key)
        preset = resolved.preset
        relay = self._providers.relay(preset, api, whole=relayed.whole or relayed.counts)
        if relay is None:
            return None
        request = replace(_request(resolved, asked), relayed=relayed)
        account = None
        if not relayed.counts:
            account = self._usage.account(
                block_id=None,
                preset=preset,
                model=request.model,
                purpose="gateway",
                cache=request.cache,
                gateway_key=None if key is None else key.id,
            )
        return Completion(preset.name, request.model, relay, request, account, limited=key is not None)

    def _checked(self, asked: Asked, headers: Values, key: GatewayKey | None) -> Resolved:
        """Who answers and with which values, a model among them; the key may ask there."""
        resolved = self.resolve(asked, headers)
        router = None if resolved.preset.router is None else resolved.preset
        classifier = () if resolved.classifier is None else (resolved.classifier,)
        for each in (*(resolved.candidates or (resolved,)), *classifier):
            model = model_of(each)
            if key is not None:
                check_use(key, self._configuration(), each.preset, model, self._usage, chosen_by=router)
        return resolved

    def resolve(self, asked: Asked, headers: Values) -> Resolved:
        configuration = self._configuration()
        named = find(configuration, self._providers, asked.model)
        configuration = replace(configuration, presets={**configuration.presets, named.preset.name: named.preset})
        options = asked.values.model_copy(update=named.values.said())
        return resolve(configuration, url_preset=named.preset.name, options=options, headers=headers, block={})


def _request(resolved: Resolved, asked: Asked) -> ModelRequest:
    """What the layers say of a call, and its tools; without messages."""
    values = resolved.values
    return ModelRequest(
        model=model_of(resolved),
        messages=(),
        system=(values.system if asked.values.system is None else asked.values.system) or None,
        temperature=values.temperature,
        top_p=values.top_p,
        max_tokens=values.max_tokens or asked.usual_max_tokens,
        stop=values.stop or (),
        thinking=values.thinking,
        response_format=values.response_format or "text",
        tools=asked.tools,
        provider_tools=(*(resolved.preset.provider_tools if asked.preset_tools else ()), *asked.provider_tools),
        cache=values.cache or "5m",
        tool_choice=asked.tool_choice,
        parallel_tools=asked.parallel_tools,
        json_schema=asked.json_schema,
    )


def _check_media(messages: Iterable[ModelMessage], provider: Provider, preset: Preset) -> None:
    """Raises UnsupportedContent where there is a file that the service cannot be given."""
    for message in messages:
        for item in message.content:
            if isinstance(item, Media) and item.media_type not in provider.takes:
                raise UnsupportedContent(f"{preset.name} takes no files of type {item.media_type}.", param="messages")


def _claimed(message: ModelMessage, providers: Iterable[str]) -> ModelMessage:
    """What the client sends back without saying whose it is, as that of whoever may answer."""
    if message.role != "assistant":
        return message
    return replace(message, content=tuple(_claimed_item(item, providers) for item in message.content))


def _claimed_item(item: Content, providers: Iterable[str]) -> Content:
    metadata = None if isinstance(item, Media) else item.provider_metadata
    if isinstance(item, Media) or metadata is None or CLIENT not in metadata:
        return item
    named = {name: own for name, own in metadata.items() if name != CLIENT}
    return replace(item, provider_metadata={**dict.fromkeys(providers, metadata[CLIENT]), **named})
