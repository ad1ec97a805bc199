"""A request's settings in the terms of Claude's model families: what a family refuses is said otherwise or left out,
each time with a warning, so that no setting ever ends in a 400.

The families as of November 2026: Anthropic's documentation, and `anthropic-model-catalog.ts` of @ai-sdk/anthropic 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from anthropic import transform_schema

from app.core.events import CallWarning
from app.core.model import ModelRequest, NamedTool
from app.providers.thinking import BUDGETS, Effort, nearest_effort

DEFAULT_MAX_TOKENS = 8192
"""The API wants a limit. This one is for what is said; thinking comes on top."""

_BINDING_BETA = "thinking-binding-controls-2026-08-01"

_SMALLEST_BUDGET = 1024


@dataclass(frozen=True, slots=True)
class Family:
    max_tokens: int | None = None
    """None: not known."""
    samples: bool = True
    """Takes `temperature` and `top_p`, though not both."""
    adaptive: bool = False
    """Takes an effort and decides itself how long to think. Shows its thoughts only when asked to."""
    budget: bool = True
    """Takes a number of tokens to think with."""
    can_stop: bool = True
    """Takes the order not to think."""
    binds: bool = False
    """Ties its thoughts to all that was said before them: after an edit, or under another system prompt, it refuses the
    whole request, unless told to forget them.
    """
    json_schema: bool = False
    """Takes one as the format of its answer."""


_FAMILIES: tuple[tuple[tuple[str, ...], Family], ...] = (
    (
        ("sonnet-5-5", "opus-5-5", "fable-5-1", "fable-5-2"),
        Family(128_000, samples=False, adaptive=True, budget=False, can_stop=False, binds=True, json_schema=True),
    ),
    (
        ("fable-5", "mythos-5"),
        Family(128_000, samples=False, adaptive=True, budget=False, can_stop=False, json_schema=True),
    ),
    (("haiku-5-5",), Family(128_000, samples=False, adaptive=True, budget=False, json_schema=True)),
    (("opus-5", "opus-4-8", "opus-4-7", "sonnet-5"), Family(128_000, samples=False, adaptive=True, json_schema=True)),
    (("sonnet-4-6", "opus-4-6"), Family(128_000, adaptive=True, json_schema=True)),
    (("sonnet-4-5", "opus-4-5", "haiku-4-5"), Family(64_000, json_schema=True)),
    (("sonnet-4",), Family(64_000)),
    (("opus-4",), Family(32_000)),
    (("claude-3",), Family()),
)
"""The first name that a model's own contains decides."""

_NEW_CLAUDE = Family(samples=False, adaptive=True, budget=False, can_stop=False, json_schema=True)
"""For a Claude that came after this table: only what the strictest of its forerunners take."""

_OTHER = Family()
"""For models of other makers behind an address of this format."""


@dataclass(frozen=True, slots=True)
class Settings:
    body: Mapping[str, Any]
    """Arguments of `messages.create`."""
    betas: tuple[str, ...]
    """What the arguments need of the header `anthropic-beta`."""
    warnings: tuple[CallWarning, ...]
    tool_choice: Mapping[str, Any]
    """For a request with tools; empty: leave it to the model."""
    tells_schema: bool
    """The JSON schema of the answer stands in the system prompt."""


def family_of(model: str) -> Family:
    if "claude" not in model:
        return _OTHER
    return next((family for names, family in _FAMILIES if any(name in model for name in names)), _NEW_CLAUDE)


def settings_of(request: ModelRequest, *, in_loop: bool) -> Settings:
    """The settings of `request`.

    Args:
        request: what is asked for.
        in_loop: a tool loop is running that was begun without thinking.
    """
    family = family_of(request.model)
    warnings: list[CallWarning] = []
    thinking = _Thinking.of(request, family, warnings, in_loop=in_loop)
    choice = _tool_choice(request, warnings, may_force=family.can_stop)
    if choice.get("type") in _FORCED and (thinking.on or family.adaptive):
        if thinking.on:
            warnings.append(CallWarning("thinking", f"{request.model} does not think where it must call a tool."))
        thinking = _Thinking("disabled")
    max_tokens = _max_tokens(request, family, thinking, warnings)
    sampling = _sampling(request, family, thinking, warnings)
    stop = [text for text in request.stop if text.strip()]
    if len(stop) < len(request.stop):
        warnings.append(CallWarning("stop", "Stop sequences of white space alone are not supported and were left out."))
    body: dict[str, Any] = {"max_tokens": max_tokens}
    if stop:
        body["stop_sequences"] = stop
    if fields := thinking.fields(family, max_tokens):
        body["thinking"] = fields
    schema = _output_format(request, family, warnings)
    if output := {**({"effort": thinking.effort} if thinking.effort else {}), **schema}:
        body["output_config"] = output
    if sampling:
        body["extra_body"] = sampling  # the SDK has no names for these any more
    betas = (_BINDING_BETA,) if family.binds else ()
    return Settings(body, betas, tuple(warnings), choice, tells_schema=not schema)


@dataclass(frozen=True, slots=True)
class _Thinking:
    kind: Literal["adaptive", "enabled", "disabled"] | None = None
    effort: Effort | None = None
    room: int = 0
    """Tokens that are set aside for thoughts; the budget, where there is one."""

    @property
    def on(self) -> bool:
        return self.kind in {"adaptive", "enabled"}

    @classmethod
    def of(cls, request: ModelRequest, family: Family, warnings: list[CallWarning], *, in_loop: bool) -> _Thinking:
        asked = request.thinking
        if asked is None:  # some families think unasked
            return cls(room=BUDGETS["medium"] if family.adaptive else 0)
        if asked in {"off", 0}:
            if family.can_stop:
                return cls("disabled")
            warnings.append(
                CallWarning("thinking", f"{request.model} cannot stop thinking and thinks briefly instead.")
            )
            return cls(effort="low", room=BUDGETS["low"])
        budget = max(asked, _SMALLEST_BUDGET) if isinstance(asked, int) else BUDGETS[asked]
        if family.adaptive and not (isinstance(asked, int) and family.budget):
            if isinstance(asked, int):
                details = f"{request.model} takes no number of tokens to think with; an effort was sent instead."
                warnings.append(CallWarning("thinking", details))
            return cls("adaptive", nearest_effort(budget), budget)
        if in_loop:
            details = "Tools were called without thinking; it begins again with the next question."
            warnings.append(CallWarning("thinking", details))
            return cls("disabled")
        return cls("enabled", room=budget)

    def fields(self, family: Family, max_tokens: int) -> dict[str, Any]:
        fields: dict[str, Any] = {"type": self.kind} if self.kind else {}
        if self.kind == "enabled":
            fields["budget_tokens"] = self.room if self.room < max_tokens else max_tokens // 2
        if self.on and family.adaptive:
            fields["display"] = "summarized"
        if family.binds:
            fields["block_binding"] = {"prefix_mismatch_behavior": "drop_block"}
        return fields


_FORCED = frozenset({"any", "tool"})


def _tool_choice(request: ModelRequest, warnings: list[CallWarning], *, may_force: bool) -> dict[str, Any]:
    """`may_force`: the family can do without thinking, which goes with no forced call."""
    choice: dict[str, Any] = {}
    match request.tool_choice:
        case NamedTool(name):
            choice = {"type": "tool", "name": name}
        case "required":
            choice = {"type": "any"}
        case "auto" | "none" as kind:
            choice = {"type": kind}
        case None:
            pass
    if choice.get("type") in _FORCED and not may_force:
        details = f"{request.model} always thinks, and cannot be made to call a tool while it does."
        warnings.append(CallWarning("tool_choice", details))
        choice = {"type": "auto"}
    if request.parallel_tools is False and choice.get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return choice


def _output_format(request: ModelRequest, family: Family, warnings: list[CallWarning]) -> dict[str, Any]:
    """`output_config.format`; empty where the schema can only be told in words."""
    if request.response_format != "json" or request.json_schema is None:
        return {}
    if family.json_schema:
        try:
            return {"format": {"type": "json_schema", "schema": transform_schema(dict(request.json_schema.schema))}}
        except (ValueError, TypeError, AttributeError, AssertionError):  # no schema that it could be made of
            pass
    details = f"{request.model} takes no such JSON schema: the model is only told it."
    warnings.append(CallWarning("response_format", details))
    return {}


def _max_tokens(request: ModelRequest, family: Family, thinking: _Thinking, warnings: list[CallWarning]) -> int:
    """The limit holds for thoughts too: a budget must be smaller."""
    tokens = request.max_tokens or DEFAULT_MAX_TOKENS + thinking.room
    if thinking.kind == "enabled" and tokens <= thinking.room:
        tokens += thinking.room
    if family.max_tokens is None or tokens <= family.max_tokens:
        return tokens
    details = f"{request.model} says at most {family.max_tokens:,} tokens, thoughts included."
    warnings.append(CallWarning("max_tokens", details))
    return family.max_tokens


def _sampling(
    request: ModelRequest, family: Family, thinking: _Thinking, warnings: list[CallWarning]
) -> dict[str, float]:
    asked = {"temperature": request.temperature, "top_p": request.top_p}
    sampling = {name: value for name, value in asked.items() if value is not None}
    if thinking.on or not family.samples:
        when = " while it thinks" if family.samples else ""
        warnings += [CallWarning(name, f"{request.model} does not take {name}{when}.") for name in sampling]
        return {}
    if len(sampling) == len(asked) and family is not _OTHER:
        warnings.append(CallWarning("top_p", f"{request.model} takes temperature or top_p; temperature was sent."))
        del sampling["top_p"]
    if sampling.get("temperature", 0) > 1:
        warnings.append(CallWarning("temperature", "A temperature above 1 is not supported; 1 was sent."))
        sampling["temperature"] = 1
    return sampling
