"""Texts → vectors, however many: in batches that the service takes, a few at a time, in the order they came.

A batch that fails is tried again alone, by the provider. If it fails for good, so does the whole request; what the
other batches have used is in the ledger all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.chat.gateway_keys import GatewayKeys, check_use
from app.chat.model_names import NO_SUCH_MODEL, Named, asking_for, known
from app.chat.reservations import Hold
from app.chat.usage import UsageBook
from app.core.embeddings import (
    AskedEmbeddings,
    BatchLimits,
    Embedded,
    Embedder,
    EmbeddingRequest,
    InputType,
    Vector,
)
from app.core.errors import AppError, NotConfigured, NotFound
from app.core.events import Usage
from app.core.gateway_keys import GatewayKey
from app.core.model import Configuration, Preset
from app.core.ports import Providers

AT_ONCE = 4
"""Batches of one request that are under way at the same time."""
_BYTES_PER_TOKEN = 2
"""At least, in nearly every text and language: so a batch is rather too small than refused."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """A preset with its model, ready to be asked."""

    preset: Preset
    model: str
    embedder: Embedder
    usage: UsageBook
    gateway_key: str | None = None
    hold: Hold | None = None
    """What it holds back of that one's limit while it is under way."""

    @property
    def name(self) -> str:
        """Vectors of the same name can be compared."""
        address = f" {self.preset.base_url}" if self.preset.base_url else ""
        prefixes = [self.embedder.prefix(self.model, kind) for kind in ("query", "document")]
        begun = f" {prefixes}" if any(prefixes) else ""
        return f"{self.preset.provider}/{self.model}{address}{begun}"

    async def embed(
        self,
        texts: Sequence[str],
        input_type: InputType | None = None,
        *,
        dimensions: int | None = None,
        user: str | None = None,
    ) -> Embedded:
        """Raises ProviderError where a batch failed for good: the first one's; RateLimited where other calls hold what
        the key has left.
        """
        if input_type is not None and (prefix := self.embedder.prefix(self.model, input_type)):
            texts = [prefix + text for text in texts]
        limits = self.embedder.limits(self.model)
        requests = [
            EmbeddingRequest(self.model, batch, input_type, dimensions, user) for batch in batches(texts, limits)
        ]
        places = asyncio.Semaphore(AT_ONCE)
        used: list[Usage] = []

        async def ask(request: EmbeddingRequest) -> Sequence[Vector]:
            async with places:
                embedded = await self.embedder.embed(request)
            used.append(embedded.usage)
            return embedded.vectors

        try:
            if self.hold is not None:
                await self.hold.take()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(request)) for request in requests]
        except* AppError as failures:
            raise _first(failures) from None
        finally:
            if used:
                account = self.usage.account(
                    block_id=None,
                    preset=self.preset,
                    model=self.model,
                    purpose="embedding",
                    gateway_key=self.gateway_key,
                )
                await account.add(sum(used[1:], used[0]))
            if self.hold is not None:
                await self.hold.release()
        return Embedded([vector for task in tasks for vector in task.result()], sum(used[1:], used[0]))


class Embeddings:
    def __init__(
        self,
        *,
        configuration: Callable[[], Configuration],
        providers: Providers,
        usage: UsageBook,
        keys: GatewayKeys,
    ) -> None:
        self._configuration = configuration
        self._providers = providers
        self._usage = usage
        self._keys = keys

    def open(self, asked: AskedEmbeddings, key: GatewayKey | None = None) -> Embedding:
        """Who answers when a program names a model: as for chats, but never somebody else, whose vectors would be
        worth nothing. `key` is the one that it came with, whose limits hold.

        Raises:
            NotFound, InvalidRequest, NotConfigured, KeyNotAllowed: nobody was asked.
        """
        configuration = self._configuration()
        named = known(configuration, self._providers, asked.model)
        if named is None and (maker := self._providers.maker_of(asked.model)) is not None:
            named = Named(Preset(maker, maker), asking_for(asked.model))
        if named is None:
            raise NotFound(NO_SUCH_MODEL, param="model")
        embedding = self._opened(named.preset, named.values.model)
        if key is None:
            return embedding
        check_use(key, configuration, embedding.preset, embedding.model, self._usage)
        tokens = sum(map(_most_tokens, asked.texts))
        dollars = self._usage.cost(embedding.preset, embedding.model, Usage(tokens)) or 0.0
        hold = self._keys.hold(key, dollars, embedding.preset.timeouts.total)
        return replace(embedding, gateway_key=key.id, hold=hold)

    def for_search(self) -> Embedding | None:
        """The preset that `ai:embedpreset` names, if it does.

        Raises:
            NotConfigured: its key is missing.
        """
        configuration = self._configuration()
        if configuration.embed_preset is None:
            return None
        return self._opened(configuration.presets[configuration.embed_preset])

    def _opened(self, preset: Preset, model: str | None = None) -> Embedding:
        """A preset that names no model has its service's customary one, which may be no model for embeddings."""
        embedder = self._providers.embedder(preset)
        model = model or preset.values.model or preset.default_model
        if model is None:
            raise NotConfigured(f"The preset {preset.name} names no model. Add `model` to it.", param="model")
        return Embedding(preset, model, embedder, self._usage)


def batches(texts: Sequence[str], limits: BatchLimits) -> Iterator[Sequence[str]]:
    """The texts in order, in pieces within the limits. A text that is too long for any of them stands alone: the
    service says what is wrong with it.
    """
    batch: list[str] = []
    tokens = 0
    for text in texts:
        size = _most_tokens(text)
        is_full = len(batch) == limits.texts or (limits.tokens is not None and tokens + size > limits.tokens)
        if batch and is_full:
            yield batch
            batch, tokens = [], 0
        batch.append(text)
        tokens += size
    if batch:
        yield batch


def _most_tokens(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN + 1


def _first(failures: ExceptionGroup[AppError]) -> AppError:
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, ExceptionGroup) else failure
