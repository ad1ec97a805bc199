"""The neutral prompt that an adapter receives, and the preset that says how to send it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from app.core.messages import ProviderMetadata, UIMessage
from app.core.prompt_templates import TemplateCall
from app.core.tools import NO_TOOLS, ApprovalAnswer, ToolSettings, ToolSpec
from app.core.values import NO_VALUES, Cache, ResponseFormat, Thinking, Values


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    provider_metadata: ProviderMetadata | None = None


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


GO_ON = "Your answer was cut off. Go on exactly where it stopped; repeat nothing and do not mention this."
"""What the user seems to say last where an answer is continued: not every service goes on with one that it is given."""


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


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything the configuration files say, at one moment. Replaced as a whole when a file changes."""

    presets: Mapping[str, Preset]
    """By name, without Wave's `ai@`; `default` is always there."""
    preset: str | None = None
    """The global `ai:preset`."""
    title_preset: str | None = None
    """The global `ai:titlepreset`: who names conversations; without one their first words do."""
    values: Values = NO_VALUES
    """The other global `ai:*` settings."""
    tools: ToolSettings = NO_TOOLS
    origin: str = ""
    """One sentence for people: where the default preset came from."""
