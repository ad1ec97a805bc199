"""How the services that speak OpenAI's chat completions differ: the facts that rows of the catalog are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Effort: TypeAlias = Literal["off", "low", "medium", "high"]

Efforts: TypeAlias = Mapping[Effort, Mapping[str, Any]]

EFFORTS: Efforts = {
    "low": {"reasoning_effort": "low"},
    "medium": {"reasoning_effort": "medium"},
    "high": {"reasoning_effort": "high"},
}


@dataclass(frozen=True, slots=True)
class Dialect:
    usage_in_stream: bool = True
    """Honours `stream_options.include_usage`; others send usage unasked."""
    efforts: Efforts = field(default_factory=lambda: EFFORTS, hash=False)
    """What a request says to have an answer thought about so much. Where an effort is missing, high stands for it;
    where off is missing, nothing does."""
    refuses: frozenset[str] = frozenset()
    """Settings that are an error there, or mean nothing."""
    json_schema: bool = True
    """Takes a JSON schema as the format of an answer; others are told it in words."""
    takes_tools: bool = True
    """Without, what tools have said is told as the user's words."""
    takes_turns: bool = False
    """User and assistant must alternate."""
    call_id_length: int | None = None
    """The id of a tool call must have exactly so many letters and digits."""
    pdf_part: Literal["file", "document_url"] = "file"
    reasoning_back: Literal["never", "with_calls", "always"] = "never"
    """Which assistant messages carry what was thought, in the field that it came in: those that call tools, or all, be
    it empty."""
    reasoning_field: str = "reasoning_content"
    """The field, where nobody knows any more."""
    citations: bool = False
    """Top-level `citations` and `search_results` on the chunks are sources."""
    thinking_filler: str | None = None
    """What is sent over and over in place of thoughts: shown once."""
