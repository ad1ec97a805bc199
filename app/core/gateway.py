"""A model call that a program asks for in the words of another API: one question, one answer, nothing stored.

`wire.anthropic_request`, `wire.openai_chat` and `wire.openai_responses` make an `Asked` of a request's body; what their
clients read is made of the answer's events, or of the whole `Answered`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.events import CallWarning, ModelFinish, SourceUrl
from app.core.model import Content, JsonSchema, ModelMessage, Text, ToolChoice
from app.core.tools import ToolSpec
from app.core.values import NO_VALUES, Values

CLIENT = "client"
"""The name in provider metadata of what a client sends back without saying whose it is: it is the asked provider's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, whatever API it came by."""

    model: str
    """As the client names it: see `app.chat.model_names`."""
    messages: tuple[ModelMessage, ...]
    values: Values = NO_VALUES
    """What the body sets. A system prompt of its own stands instead of the preset's."""
    tools: tuple[ToolSpec, ...] = ()
    """The client runs them: a call ends the answer."""
    provider_tools: tuple[Mapping[str, Any], ...] = ()
    """Those that the service runs, in its own words."""
    preset_tools: bool = True
    """Those that the preset has of this kind are offered, too."""
    usual_max_tokens: int | None = None
    """Where neither `values` nor the preset have a limit."""
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    json_schema: JsonSchema | None = None
    stream: bool = False
    notes: tuple[CallWarning, ...] = ()
    """What of the request has no meaning here and was left out."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer."""

    content: tuple[Content, ...]
    """In order. Calls of the service's own tools stand beside their results."""
    finish: ModelFinish
    warnings: tuple[CallWarning, ...] = ()
    model: str | None = None
    """The one that a router has chosen."""
    sources: tuple[SourceUrl, ...] = ()
    verbatim: bytes | None = None
    """All of it in the service's own words, instead of `content`: of a call that was relayed."""

    @property
    def text(self) -> str:
        return "".join(item.text for item in self.content if isinstance(item, Text) and not item.refuses)

    @property
    def refusal(self) -> str | None:
        """Why there is no answer, or no more of it, in words of the model's or of its service."""
        said = "".join(item.text for item in self.content if isinstance(item, Text) and item.refuses)
        return said or (self.finish.explanation if self.finish.reason == "content-filter" else None)
