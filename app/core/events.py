"""What happens while an answer is made: a closed union of frozen values, named as the AI SDK names its chunks.

A provider yields `ModelEvent`s; the run adds its own and the stream log keeps `StreamEvent`s. They are plain
dataclasses, not pydantic models: our own code makes them, one per token, so there is nothing to validate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from app.core.messages import ProviderMetadata
from app.core.model import Preset
from app.core.routing import Route
from app.core.values import Cache

FinishReason: TypeAlias = Literal["stop", "length", "content-filter", "tool-calls", "error", "other"]
"""The six values that every client from ai@5.0.92 on accepts."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call. `input_tokens` includes what came from and went to the provider's cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    searches: int | None = None
    """Of the web by the service itself, which are billed apart."""

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """Of both calls; what neither gave stays unknown."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            _sum(self.reasoning_tokens, other.reasoning_tokens),
            _sum(self.cache_read_tokens, other.cache_read_tokens),
            _sum(self.cache_write_tokens, other.cache_write_tokens),
            _sum(self.searches, other.searches),
        )

    def to_wire(self) -> dict[str, int]:
        """The `usage` object of `messageMetadata`; figures the provider did not give are left out."""
        figures = {
            "inputTokens": self.input_tokens,
            "outputTokens": self.output_tokens,
            "totalTokens": self.total_tokens,
            "reasoningTokens": self.reasoning_tokens,
            "cachedInputTokens": self.cache_read_tokens,
            "cacheWriteTokens": self.cache_write_tokens,
        }
        return {name: count for name, count in figures.items() if count is not None}


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


# What a provider may yield. Ids are unique within one model call.


@dataclass(frozen=True, slots=True)
class TextStart:
    id: str
    refuses: bool = False
    """The service tells it as a refusal, not as an answer."""


@dataclass(slots=True)  # nearly all there are: a frozen one takes twice as long to make
class TextDelta:
    id: str
    delta: str


@dataclass(frozen=True, slots=True)
class TextEnd:
    id: str
    provider_metadata: ProviderMetadata | None = None


@dataclass(frozen=True, slots=True)
class ReasoningStart:
    id: str


@dataclass(slots=True)
class ReasoningDelta:
    id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ReasoningEnd:
    id: str
    provider_metadata: ProviderMetadata | None = None
    """Where a signature travels that the provider wants back."""


@dataclass(frozen=True, slots=True)
class SourceUrl:
    source_id: str
    url: str
    title: str | None = None


@dataclass(frozen=True, slots=True)
class SourceDocument:
    source_id: str
    media_type: str
    title: str
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """A file that the model or a tool made."""

    media_type: str
    url: str
    """A `data:` URL as a provider yields it, `/files/<id>` once the run has stored it."""
    provider_metadata: ProviderMetadata | None = None
    filename: str | None = None
    """For the stored message: no release of the AI SDK takes it in the stream."""


@dataclass(frozen=True, slots=True)
class ToolInputStart:
    tool_call_id: str
    tool_name: str
    dynamic: bool = False
    provider_executed: bool = False


@dataclass(frozen=True, slots=True)
class ToolInputDelta:
    tool_call_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ToolInputAvailable:
    tool_call_id: str
    tool_name: str
    input: Any
    dynamic: bool = False
    provider_executed: bool = False
    provider_metadata: ProviderMetadata | None = None


@dataclass(frozen=True, slots=True)
class ToolInputError:
    """A call that cannot run: its arguments are not JSON, or not what the tool takes."""

    tool_call_id: str
    tool_name: str
    input: Any
    """The decoded arguments, or their text where they are no JSON."""
    error_text: str
    dynamic: bool = False
    provider_executed: bool = False
    provider_metadata: ProviderMetadata | None = None


@dataclass(frozen=True, slots=True)
class ToolOutputAvailable:
    tool_call_id: str
    output: Any
    dynamic: bool = False
    provider_executed: bool = False
    preliminary: bool = False
    """More is to come: the next output replaces this one."""
    provider_metadata: ProviderMetadata | None = None
    """Of a call that the provider ran itself: what it wants back beside the call's own. Never leaves for a client."""


@dataclass(frozen=True, slots=True)
class ToolOutputError:
    tool_call_id: str
    error_text: str
    dynamic: bool = False
    provider_executed: bool = False
    provider_metadata: ProviderMetadata | None = None


@dataclass(frozen=True, slots=True)
class CallWarning:
    """Something of the request that this model cannot take and that was left out or translated: the AI SDK's
    `warnings`. They end up in the message's metadata.
    """

    setting: str
    """As the presets name it: `temperature`, `thinking`, `tools`."""
    details: str
    """One sentence for people."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is being waited for, at this moment. Shown while it lasts, part of no message: a transient `data-status`."""

    code: str
    """`retrying`, …"""
    text: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Answering:
    """Who a router has chosen, in a batch of its own before the first event of the answer. It is for whoever keeps the
    books of the call; no client is told the event.
    """

    preset: Preset
    model: str
    cache: Cache
    route: Route
    seconds: float | None = None
    """To its first token; None where the answer comes in one piece."""


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A piece of an answer in the service's own words, for a client that speaks them too: all that a relayed call tells
    but for its end (`ModelRequest.relayed`).
    """

    data: bytes
    usage: Usage | None = None
    """With the first piece, in which there is no text: what the service says of the prompt."""


@dataclass(frozen=True, slots=True)
class ModelFinish:
    """The end mark of a model call, exactly one, always last. A stream without it was cut off."""

    reason: FinishReason
    usage: Usage
    explanation: str | None = None
    """Why, where the service says so in words: a refusal's."""


# What the run adds.


@dataclass(frozen=True, slots=True)
class ToolApprovalRequest:
    """The call waits for the user's yes; the turn ends with it."""

    tool_call_id: str
    approval_id: str


@dataclass(frozen=True, slots=True)
class ToolApprovalResponse:
    """What the user said to the request. For the stored message: the client that said it knows."""

    tool_call_id: str
    approval_id: str
    approved: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ToolOutputDenied:
    tool_call_id: str
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class MessageStart:
    message_id: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StepStart:
    pass


@dataclass(frozen=True, slots=True)
class StepFinish:
    pass


@dataclass(frozen=True, slots=True)
class MessageFinish:
    reason: FinishReason
    usage: Usage
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StreamError:
    """The run failed. `text` is safe to show; `status` is for a client that has not got a byte yet."""

    text: str
    code: str
    status: int
    retry_after: float | None = None
    """Seconds after which another try makes sense, if the provider said so."""


@dataclass(frozen=True, slots=True)
class Abort:
    """The run was stopped; what was said so far is kept."""


PartEvent: TypeAlias = (
    TextStart
    | TextDelta
    | TextEnd
    | ReasoningStart
    | ReasoningDelta
    | ReasoningEnd
    | SourceUrl
    | SourceDocument
    | GeneratedFile
    | ToolInputStart
    | ToolInputDelta
    | ToolInputAvailable
    | ToolInputError
    | ToolOutputAvailable
    | ToolOutputError
)
ToolEvent: TypeAlias = (
    ToolInputStart
    | ToolInputDelta
    | ToolInputAvailable
    | ToolInputError
    | ToolOutputAvailable
    | ToolOutputError
    | ToolApprovalRequest
    | ToolApprovalResponse
    | ToolOutputDenied
)
ModelEvent: TypeAlias = PartEvent | CallWarning | Status | Answering | Verbatim | ModelFinish
ApprovalEvent: TypeAlias = ToolApprovalRequest | ToolApprovalResponse | ToolOutputDenied
StreamEvent: TypeAlias = (
    PartEvent | ApprovalEvent | Status | MessageStart | StepStart | StepFinish | MessageFinish | StreamError | Abort
)
