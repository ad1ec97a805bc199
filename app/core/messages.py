"""The conversation as browser and database know it: the AI SDK's `UIMessage` and its parts (ai@5 to ai@7).

What a client sends comes back unchanged: keys we do not know are kept, keys that were absent stay absent. Python
attributes are snake_case, the wire is camelCase. SDK 4 messages are turned into these by `app.wire.ai_sdk_v4`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter
from pydantic.alias_generators import to_camel

ProviderMetadata: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What a provider wants back on the next turn, under the provider's name: `{"anthropic": {"signature": …}}`."""

Role: TypeAlias = Literal["system", "user", "assistant"]

PartState: TypeAlias = Literal["streaming", "done"]

ToolState: TypeAlias = Literal[
    "input-streaming",
    "input-available",
    "approval-requested",
    "approval-responded",
    "output-available",
    "output-error",
    "output-denied",
]


class _Wire(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="allow", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    def to_wire(self) -> dict[str, Any]:
        """The JSON object as it came, or as it was built: absent keys stay absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class TextPart(_Wire):
    type: Literal["text"] = "text"
    text: str
    state: PartState | None = None
    provider_metadata: ProviderMetadata | None = None


class ReasoningPart(_Wire):
    type: Literal["reasoning"] = "reasoning"
    text: str
    state: PartState | None = None
    provider_metadata: ProviderMetadata | None = None


class FilePart(_Wire):
    type: Literal["file"] = "file"
    media_type: str
    url: str
    """A `data:` URL or an address of our own; nothing else is ever fetched."""
    filename: str | None = None
    provider_metadata: ProviderMetadata | None = None


class SourceUrlPart(_Wire):
    type: Literal["source-url"] = "source-url"
    source_id: str
    url: str
    title: str | None = None
    provider_metadata: ProviderMetadata | None = None


class SourceDocumentPart(_Wire):
    type: Literal["source-document"] = "source-document"
    source_id: str
    media_type: str
    title: str
    filename: str | None = None
    provider_metadata: ProviderMetadata | None = None


class StepStartPart(_Wire):
    type: Literal["step-start"] = "step-start"


class Approval(_Wire):
    id: str
    approved: bool | None = None
    reason: str | None = None


def approval_metadata(approval_id: str) -> ProviderMetadata:
    """What a call of `confirm` carries, for who can show the question as one."""
    return {"palaver": {"approvalId": approval_id}}


def approval_of(metadata: ProviderMetadata | None) -> str | None:
    approval_id = (metadata or {}).get("palaver", {}).get("approvalId")
    return approval_id if isinstance(approval_id, str) else None


class ToolPart(_Wire):
    """A call and, later, its result. `type` is `tool-<name>`, or `dynamic-tool` with `tool_name`."""

    type: Annotated[str, Field(pattern=r"^(tool-.+|dynamic-tool)$")]
    tool_call_id: str
    state: ToolState
    tool_name: str | None = None
    input: Any = None
    output: Any = None
    error_text: str | None = None
    preliminary: bool | None = None
    provider_executed: bool | None = None
    call_provider_metadata: ProviderMetadata | None = None
    result_provider_metadata: ProviderMetadata | None = None
    approval: Approval | None = None

    @property
    def asks(self) -> str | None:
        """The id of the request for approval that this is, while it is open: the call's own, or a `confirm`'s."""
        if self.state == "approval-requested" and self.approval is not None:
            return self.approval.id
        return approval_of(self.call_provider_metadata) if self.state == "input-available" else None

    @property
    def name(self) -> str:
        return self.type.removeprefix("tool-") if self.type != "dynamic-tool" else self.tool_name or ""


class DataPart(_Wire):
    """An app's own data (`data-<name>`); stored and shown, never sent to the model."""

    type: Annotated[str, Field(pattern=r"^data-.+$")]
    data: Any = None
    id: str | None = None


class OtherPart(_Wire):
    """A part of a newer client (`custom`, `reasoning-file`, …): kept as it is."""

    type: str


def _part_kind(part: Any) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else getattr(part, "type", None)
    if not isinstance(kind, str):
        return "other"
    if kind in _PLAIN_KINDS:
        return kind
    if kind == "dynamic-tool" or kind.startswith("tool-"):
        return "tool"
    return "data" if kind.startswith("data-") else "other"


_PLAIN_KINDS = frozenset({"text", "reasoning", "file", "source-url", "source-document", "step-start"})

Part = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[ReasoningPart, Tag("reasoning")]
    | Annotated[FilePart, Tag("file")]
    | Annotated[SourceUrlPart, Tag("source-url")]
    | Annotated[SourceDocumentPart, Tag("source-document")]
    | Annotated[StepStartPart, Tag("step-start")]
    | Annotated[ToolPart, Tag("tool")]
    | Annotated[DataPart, Tag("data")]
    | Annotated[OtherPart, Tag("other")],
    Discriminator(_part_kind),
]


class UIMessage(_Wire):
    id: Annotated[str, Field(min_length=1, max_length=256)]
    role: Role
    parts: tuple[Part, ...]
    metadata: Any = None

    @property
    def text(self) -> str:
        """What the message says, without thinking, tools and files."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


_messages = TypeAdapter(tuple[UIMessage, ...])


def parse_messages(values: Sequence[Any]) -> tuple[UIMessage, ...]:
    """UIMessages from decoded JSON.

    Raises:
        pydantic.ValidationError: with locations such as `(0, "parts", 1, "text", "text")`.
    """
    return _messages.validate_python(values)
