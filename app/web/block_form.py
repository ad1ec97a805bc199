"""The form of a conversation's settings: its fields, what each says, and what they change in the block's metadata.

An empty field says nothing: the value of the next layer holds, and stands in the field as its placeholder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.chat.presets import Resolved, check_block_changes, resolve
from app.chat.tools import policy_of
from app.core.errors import InvalidRequest
from app.core.model import Configuration
from app.core.tools import Policy, Tool, names_tool
from app.core.values import NO_VALUES

NO_SYSTEM = "no_system"
ALL_TOOLS = "all_tools"
TOOL_FIELD = "tool:"
"""Before the name of a tool: the field of its policy."""
THINKING_BUDGET = "thinking_budget"

FIELDS: Mapping[str, str] = {
    "preset": "ai:preset",
    "model": "ai:model",
    "system": "ai:system",
    "temperature": "ai:temperature",
    "max_tokens": "ai:maxtokens",
    "thinking": "ai:thinking",
    "top_p": "ai:topp",
    "stop": "ai:stop",
    "cache": "ai:cache",
    "max_steps": "ai:maxsteps",
}
"""Field of the form → key of the block."""

MORE = ("top_p", "stop", "cache", "max_steps")
"""Those that few need: the page folds them."""

_NUMBERS = frozenset({"temperature", "max_tokens", "top_p", "max_steps"})


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """One tool of the preset, and who is asked before it runs."""

    name: str
    description: str
    inherited: Policy
    chosen: Policy | None
    """The block's own word."""
    offered: bool
    """The block's list of tools has it."""


def shown_fields(block: Mapping[str, Any]) -> Mapping[str, str]:
    """What stands in the fields of a block."""
    fields = {name: _shown(block.get(key)) for name, key in FIELDS.items()}
    fields["preset"] = fields["preset"].removeprefix("ai@")
    if block.get("ai:system") == "":
        fields[NO_SYSTEM] = "on"
    if isinstance(thinking := block.get("ai:thinking"), int):
        fields |= {"thinking": "", THINKING_BUDGET: str(thinking)}
    return fields


def tool_choices(tools: Sequence[Tool], resolved: Resolved) -> Sequence[ToolChoice]:
    """Of the tools that the preset offers, in its order."""
    block, *others = resolved.policies or ({},)
    return [
        ToolChoice(
            tool.spec.name,
            tool.spec.description,
            policy_of(tool, ({}, *others)),
            next((policy for entry, policy in block.items() if _is_exactly(entry, tool.spec.name)), None),
            resolved.tool_choice is None or any(names_tool(entry, tool.spec.name) for entry in resolved.tool_choice),
        )
        for tool in tools
    ]


def changes_of(
    fields: Mapping[str, str], block: Mapping[str, Any], configuration: Configuration
) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """What the form changes in `block`, and what is wrong with it: a sentence by field.

    Only what the form has a field for is changed. The checks, and their sentences, are those of
    `PATCH /api/ai/blocks/{blockId}`.
    """
    said = {key: _said(name, fields) for name, key in FIELDS.items() if name in fields or name not in MORE}
    if any(name.startswith(TOOL_FIELD) for name in fields):
        said["ai:toolpolicy"] = _policies(fields, block.get("ai:toolpolicy") or {}) or None
    if fields.get(ALL_TOOLS):
        said["ai:tools"] = None
    names = {key: name for name, key in FIELDS.items()}
    changes: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for key, value in said.items():
        try:
            changes |= check_block_changes(configuration, {key: value})
        except InvalidRequest as error:
            problems[names.get(key, "tools")] = error.message.removeprefix(f"{key}: ")
    problems |= _no_model_for_a_router({**block, **changes}, configuration)
    return changes, {name: sentence[0].upper() + sentence[1:] for name, sentence in problems.items()}


def _no_model_for_a_router(block: Mapping[str, Any], configuration: Configuration) -> Mapping[str, str]:
    said = {key: value for key, value in block.items() if value is not None}
    try:
        resolve(configuration, url_preset=None, options=NO_VALUES, headers=NO_VALUES, block=said)
    except InvalidRequest as error:
        return {"model": error.message} if error.param == "ai:model" else {}
    return {}


def _said(name: str, fields: Mapping[str, str]) -> Any:
    if name == "system":
        text = fields.get(name, "").replace("\r\n", "\n").strip()
        return "" if fields.get(NO_SYSTEM) else text or None
    text = fields.get(name, "").strip()
    if name == "thinking" and (budget := fields.get(THINKING_BUDGET, "").strip()):
        return _number(budget)
    if not text:
        return None
    if name == "stop":
        return [line for line in fields[name].replace("\r\n", "\n").split("\n") if line.strip()]
    return _number(text) if name in _NUMBERS else text


def _number(text: str) -> Any:
    """A text that is no number stays one: the check has the sentence for it."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _policies(fields: Mapping[str, str], block: Mapping[str, Policy]) -> Mapping[str, Any]:
    """The block's entries, those of the form's tools replaced. Patterns stay: the form has no field for them."""
    chosen = {name.removeprefix(TOOL_FIELD): value for name, value in _tool_fields(fields)}
    kept = {entry: policy for entry, policy in block.items() if not any(_is_exactly(entry, name) for name in chosen)}
    return {**kept, **{name: value for name, value in chosen.items() if value}}


def _tool_fields(fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in fields.items() if name.startswith(TOOL_FIELD))


def _is_exactly(entry: str, tool_name: str) -> bool:
    return "*" not in entry and names_tool(entry, tool_name)


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "5m" if value else "off"  # of the cache, as `core.values` has it
        case list() | tuple():
            return "\n".join(map(str, value))
        case _:
            return str(value)
