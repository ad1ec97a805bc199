"""Calls for what programs ask, and for what the server asks for itself: from the name of a model to a `Completion`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from app.chat.answerers import Answerers
from app.chat.completion import Completion
from app.chat.gateway_keys import GatewayKeys, check_use
from app.chat.model_names import find, known
from app.chat.presets import Resolved, model_of, resolve
from app.chat.prompts import Prompts
from app.chat.reservations import Hold, most_of
from app.chat.usage import UsageBook
from app.core.errors import InvalidRequest, KeyNotAllowed, NotConfigured, UnsupportedContent
from app.core.gateway import CLIENT, Asked
from app.core.gateway_keys import GatewayKey
from app.core.model import Configuration, Content, Media, ModelMessage, ModelRequest, Preset, Relayed
from app.core.ports import Api, Provider, Providers
from app.core.routing import Occasion
from app.core.usage import Purpose
from app.core.values import NO_VALUES, Values


class Completions:
    def __init__(
        self,
        *,
        configuration: Callable[[], Configuration],
        providers: Providers,
        answerers: Answerers,
        prompts: Prompts,
        usage: UsageBook,
        keys: GatewayKeys,
    ) -> None:
        self._configuration = configuration
        self._providers = providers
        self._answerers = answerers
        self._prompts = prompts
        self._usage = usage
        self._keys = keys

    async def open(
        self,
        asked: Asked,
        *,
        headers: Values = NO_VALUES,
        key: GatewayKey | None = None,
        purpose: Purpose = "gateway",
        block_id: str | None = None,
        message_id: str | None = None,
        relayed: Relayed | None = None,
    ) -> Completion:
        """The call for what a program asks.

        Args:
            asked: its request.
            headers: what its `X-AI-*` headers set.
            key: the one it came with, whose limits hold.
            purpose: what the ledger says that the call is for.
            block_id: the conversation that it is about.
            message_id: the answer that it is about.
            relayed: the same request in the words of Anthropic's API, for those of a router's candidates that speak it.

        Raises:
            NotFound, InvalidRequest, NotConfigured, KeyNotAllowed, StorageUnavailable: nobody was asked.
        """
        resolved = self._checked(asked, headers, key)
        if asked.values.system is None:
            resolved = await self._prompts.with_system(resolved)
        passed_on = {} if relayed is None else await self._passed_on(asked, relayed, headers)

        def request_of(each: Resolved) -> ModelRequest:
            return passed_on.get(each.preset.name) or _request(each, asked)

        gateway_key = None if key is None else key.id
        occasion = Occasion(block_id=block_id, message_id=message_id, gateway_key=gateway_key)
        provider = self._answerers.open(resolved, request_of, occasion)
        _check_media(asked.messages, provider, resolved.preset)
        answering = resolved.candidates or (resolved,)
        services = {each.preset.provider for each in answering}
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
        asking = [(each.preset, replace(request_of(each), messages=messages)) for each in answering]
        hold = self._hold(key, asking)
        return Completion(request.model, provider, request, account, limited=key is not None, hold=hold)

    async def relay(
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
        request = replace(_request(await self._prompts.with_system(resolved), asked), relayed=relayed)
        if relayed.counts:
            return Completion(request.model, relay, request, None)
        account = self._usage.account(
            block_id=None,
            preset=preset,
            model=request.model,
            purpose="gateway",
            cache=request.cache,
            gateway_key=None if key is None else key.id,
        )
        hold = self._hold(key, [(preset, request)])
        return Completion(request.model, relay, request, account, limited=key is not None, hold=hold)

    async def _passed_on(self, asked: Asked, relayed: Relayed, headers: Values) -> Mapping[str, ModelRequest]:
        """By their presets' names the requests for those of a router's candidates that get `relayed` as it is."""
        own = replace(asked, values=relayed.values)
        candidates = (await self._prompts.with_system(self.resolve(own, headers))).candidates
        return {
            each.preset.name: replace(_request(each, own), relayed=relayed)
            for each in candidates
            if self._providers.abilities(each.preset).api == "anthropic"
        }

    def _hold(self, key: GatewayKey | None, asking: Sequence[tuple[Preset, ModelRequest]]) -> Hold | None:
        """For the dearest of those who may answer."""
        if key is None or key.spend_limit is None:
            return None
        dollars = max(most_of(self._usage, preset, request) for preset, request in asking)
        return self._keys.hold(key, dollars, sum(preset.timeouts.total for preset, _ in asking))

    def known(self, name: str, key: GatewayKey | None) -> Preset | None:
        """Who answers by the name of a model; None where it leads to nobody, or the key may not ask there."""
        try:
            if known(self._configuration(), self._providers, name) is None:
                return None
            return self._checked(Asked(name, ()), NO_VALUES, key).preset
        except (InvalidRequest, NotConfigured, KeyNotAllowed):
            return None

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
