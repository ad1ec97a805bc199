"""The neutral prompt that an adapter receives, and the preset that says how to send it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from app.core.messages import ProviderMetadata, UIMessage
from app.core.prompt_templates import TemplateCall
from app.core.routing import Router
from app.core.tools import NO_TOOLS, ApprovalAnswer, ToolSettings, ToolSpec
from app.core.values import NO_VALUES, Cache, ResponseFormat, Thinking, Values

if TYPE_CHECKING:
    from app.core.embeddings import InputType
    from app.core.events import ModelEvent  # which know presets


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    provider_metadata: ProviderMetadata | None = None
    refuses: bool = False
    """As `TextStart.refuses`; of whole answers."""


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a PDF, a sound. Text files become `Text`."""

    media_type: str
    data: str
    """Base64, without the `data:` prefix."""
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    text: str
    provider_metadata: ProviderMetadata | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    input: Any
    provider_executed: bool = False
    """The service ran it itself: call and result stand together in the assistant message. Another service never saw
    it, and its adapter leaves both out."""
    provider_metadata: ProviderMetadata | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    id: str
    name: str
    output: Any
    is_error: bool = False
    provider_executed: bool = False
    provider_metadata: ProviderMetadata | None = None

    @property
    def text(self) -> str:
        """The output for services that take nothing but words: a text as it is, anything else as JSON."""
        return self.output if isinstance(self.output, str) else json.dumps(self.output, ensure_ascii=False)


Content: TypeAlias = Text | Media | Reasoning | ToolCall | ToolResult

ModelRole: TypeAlias = Literal["user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """`tool` messages hold only ToolResults, one for each call of the assistant message before them that the provider
    did not run itself, in the same order.
    """

    role: ModelRole
    content: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class NamedTool:
    """The model must call this one."""

    name: str


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | NamedTool
"""What the model shall do with its tools; `required`: call at least one."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """What an answer in JSON must look like."""

    name: str
    schema: Mapping[str, Any]
    description: str | None = None
    strict: bool | None = None


GO_ON = "Your answer was cut off. Go on exactly where it stopped; repeat nothing and do not mention this."
"""What the user seems to say last where an answer is continued: not every service goes on with one that it is given."""


@dataclass(frozen=True, slots=True)
class Relayed:
    """A client's request in the words of the service that it goes to: passed on, not translated. What it leaves open
    stands beside it in the `ModelRequest`.
    """

    body: Mapping[str, Any]
    """Without the fields that are this server's own."""
    whole: bool = False
    """The answer comes in one piece."""
    counts: bool = False
    """Nothing is answered: the tokens of the prompt are counted."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the client's, those that belong to the format; never its key."""
    cached: frozenset[Literal["system", "tools"]] = frozenset()
    """What the service is asked to keep for the next request."""
    values: Values = NO_VALUES
    """What the fields say that are this server's own."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One model call. None means: leave it to the provider."""

    model: str
    messages: tuple[ModelMessage, ...]
    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    thinking: Thinking | None = None
    response_format: ResponseFormat = "text"
    tools: tuple[ToolSpec, ...] = ()
    provider_tools: tuple[Mapping[str, Any], ...] = ()
    """Tools that the service runs itself, in its own words: `{"type": "web_search_20250305", "name": "web_search"}`."""
    cache: Cache = "5m"
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    """False: one call at a time."""
    json_schema: JsonSchema | None = None
    """With `response_format` json."""
    relayed: Relayed | None = None
    """Instead of messages and tools: for a provider that comes from `Providers.relay`."""
    at_once: Callable[[Sequence[ModelEvent]], bool] | None = field(default=None, compare=False, repr=False)
    """Whoever asks may take events in the very moment in which they come: the provider offers them here while it is
    waited for, and yields what is not taken. It raises nothing."""


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What a client asks for with one POST, whatever format it came in."""

    messages: tuple[UIMessage, ...]
    """The history up to and including what is to be answered; with `message_only` just that last message."""
    minted: frozenset[str] = frozenset()
    """Ids that the client did not send (SDK 4, hand-written requests); such messages are known by what they say."""
    message_only: bool = False
    """The stored branch is the history."""
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: str | None = None
    """The message an edit, a regeneration or a continuation is about."""
    preset: str | None = None
    """`?preset=`."""
    options: Values = NO_VALUES
    headers: Values = NO_VALUES
    store: bool = True
    template: str | None = None
    """The prompt template that the question was made with."""
    tools: tuple[ToolSpec, ...] = ()
    """Tools that the client runs itself."""
    approvals: tuple[ApprovalAnswer, ...] = ()
    """Answers that do not stand in the messages: the page's. With `message_only` and the answer's `message_id`."""
    shows_approvals: bool = False
    """The client knows requests for approval (AI SDK 6, the page); another gets a tool named `confirm` to run."""


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens."""

    input: float
    output: float
    cache_read: float | None = None
    """None: as `input`."""
    cache_write: float | None = None
    """None: as `input`."""
    cache_write_1h: float | None = None
    """Of what is kept for an hour. None: as `cache_write`."""
    search: float | None = None
    """US dollars for a thousand searches of the web by the service itself. None: they are not counted."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. A phase that takes longer ends the model call with `ProviderTimeout`."""

    connect: float = 5.0
    first_event: float = 120.0
    between_events: float = 60.0
    total: float = 900.0


@dataclass(frozen=True, slots=True)
class Preset:
    """A named way to answer, as the configuration has it."""

    name: str
    provider: str
    """A row of the catalog."""
    title: str | None = None
    description: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    api_key: str | None = field(default=None, repr=False)
    """Only where Wave's `ai:apitoken` gives one; else the key comes from the environment."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    values: Values = NO_VALUES
    default_model: str | None = None
    """The service's customary model, for when no layer names one."""
    system_template: TemplateCall | None = None
    """The prompt template that gives the system prompt, where `values` has none."""
    timeouts: Timeouts = Timeouts()
    provider_tools: tuple[Mapping[str, Any], ...] = ()
    prices: Prices | None = None
    """Instead of the price table's."""
    embed_prefixes: Mapping[InputType, str] | None = None
    """What texts for embeddings begin with, by what they are for; None: what is known of the model."""
    router: Router | None = None
    """How it chooses, of a preset that hands each question to another one."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything the configuration files say, at one moment. Replaced as a whole when a file changes."""

    presets: Mapping[str, Preset]
    """By name, without Wave's `ai@`; `default` is always there."""
    preset: str | None = None
    """The global `ai:preset`."""
    title_preset: str | None = None
    """The global `ai:titlepreset`: who names conversations; without one their first words do."""
    embed_preset: str | None = None
    """The global `ai:embedpreset`: who makes the vectors by which conversations are found."""
    values: Values = NO_VALUES
    """The other global `ai:*` settings."""
    tools: ToolSettings = NO_TOOLS
    origin: str = ""
    """One sentence for people: where the default preset came from."""

    def chats(self, chosen: str = "") -> Mapping[str, Preset]:
        """The presets that people choose from: not the one for embeddings. Where `default` is like another one they see
        one of the two: `chosen`, or that with a name of its own.
        """
        default = self.presets["default"]
        alike = (each.name for each in self.presets.values() if each is not default and self._are_alike(each, default))
        twin = next(alike, None)
        hidden = (self.embed_preset, twin if chosen == "default" or twin is None else "default")
        return {name: preset for name, preset in self.presets.items() if name not in hidden}

    def _are_alike(self, *presets: Preset) -> bool:
        """They may differ in their tools: the built-in demo has all of them."""
        blank = Preset("", "")
        plain: dict[str, Any] = {name: getattr(blank, name) for name in ("name", "title", "description", "values")}
        one, other = (
            (
                (preset.title or preset.name).casefold(),
                self.model_of(preset),
                preset.values.model_copy(update={"model": None, "tools": None}),
                replace(preset, default_model=None, **plain),
            )
            for preset in presets
        )
        return one == other

    def behind(self, preset: Preset) -> Sequence[Preset]:
        """Who answers for the preset: itself, or those that it chooses among."""
        return [preset] if preset.router is None else [self.presets[name] for name in preset.router.names]

    def model_of(self, preset: Preset) -> str | None:
        """The model that answers where no block and no request names another; None for a router, which has none."""
        return None if preset.router is not None else preset.values.model or self.values.model or preset.default_model
