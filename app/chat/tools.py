"""Which tools a turn has, who has to be asked before each, and whether arguments fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.chat.outputs import taken
from app.chat.presets import Resolved
from app.core.errors import InvalidRequest
from app.core.messages import ToolPart, UIMessage
from app.core.ports import ToolBox
from app.core.tools import NO_POLICIES, CallState, Policy, Tool, ToolRecord, ToolSpec, names_tool

CONFIRM = "confirm"
"""The client tool that asks for approval where the client knows no requests for it (AI SDK 4 and 5). Its input is
`{toolName, input, toolCallId}`, its output `{approved, reason?}`. The model is not told of it."""

_COMBINING = frozenset({"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "not", "unevaluatedProperties"})
_LONGEST_COMPLAINT = 500


@dataclass(frozen=True, slots=True)
class Toolset:
    """The tools of one turn, by name."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    asks: frozenset[str] = frozenset()
    """Those that need the user's yes."""
    shows_approvals: bool = True
    """The client knows requests for approval; otherwise it is given a call of `confirm`."""
    problems: tuple[str, ...] = ()
    _checks: dict[str, Any] = field(default_factory=dict)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(tool.spec for tool in self.tools.values())

    def problem_of(self, name: str, value: Any) -> str | None:
        """Why a call cannot run, in words for the model; None where it can."""
        tool = self.tools.get(name)
        if tool is None:
            known = ", ".join(self.tools) or "none"
            return f"There is no tool of this name. The tools are: {known}."[:_LONGEST_COMPLAINT]
        if not isinstance(value, Mapping):
            return "The arguments of a tool must be a JSON object."
        check = self._checks.get(name)
        if check is None:
            check = self._checks[name] = _validator(tool)
        return _complaint(check, value)


async def choose_tools(box: ToolBox, resolved: Resolved, own: Sequence[ToolSpec], *, shows_approvals: bool) -> Toolset:
    """What the preset lets the model use and the block does not take away; then `own`, what the client runs itself.

    Raises:
        InvalidRequest: the schema of one of the client's tools is none.
    """
    offered = await box.tools(resolved.tool_names, resolved.preset) if resolved.tool_names else None
    tools: dict[str, Tool] = {}
    asks = set()
    for tool in offered.tools if offered is not None else ():
        name = tool.spec.name
        chosen = resolved.tool_choice is None or any(names_tool(pattern, name) for pattern in resolved.tool_choice)
        policy = policy_of(tool, resolved.policies)
        if not chosen or policy == "off":
            continue
        tools[name] = tool
        if policy == "ask" and tool.execute is not None:
            asks.add(name)
    for number, spec in enumerate(own):
        reserved = spec.name == CONFIRM and not shows_approvals
        tool = Tool(spec, None)
        if spec.name in tools or reserved or policy_of(tool, resolved.policies) == "off":
            continue  # no client puts a tool of its own in the place of the server's
        _check_schema(spec, f"tools[{number}]")
        tools[spec.name] = tool
    problems = offered.problems if offered is not None else ()
    return Toolset(tools, frozenset(asks), shows_approvals, problems)


def claimed(messages: Sequence[UIMessage], records: Mapping[str, ToolRecord], toolset: Toolset) -> Iterator[ToolRecord]:
    """The calls of the client's own tools that the server does not know of: the conversation began elsewhere, or is
    kept by the client alone. Whoever runs a tool may say of it what he likes, so his word is as good for these calls as
    for ours. What is said of the server's tools stays what it was: no evidence.
    """
    for message in messages:
        for part in message.parts:
            if not isinstance(part, ToolPart) or part.tool_call_id in records or message.role != "assistant":
                continue
            tool = toolset.tools.get(part.name)
            if tool is None or tool.execute is not None or toolset.problem_of(part.name, part.input) is not None:
                continue
            state: CallState | None = _CLAIMED.get(part.state)
            if state is not None:
                output = taken(part.output)
                error = None if part.error_text is None else str(taken(part.error_text))
                yield ToolRecord(
                    part.tool_call_id, message.id, part.name, part.input, "client", state, None, output, error
                )


_CLAIMED: Mapping[str, CallState] = {"output-available": "done", "output-error": "failed"}


def policy_of(tool: Tool, layers: Sequence[Mapping[str, Policy]]) -> Policy:
    """The block's word, else the preset's, the global settings', the tool's own. Only where the others do not say
    `off`: what the configuration takes away, no conversation brings back.

    Args:
        tool: what is to run.
        layers: by name or pattern; the block's first, then the others in order.
    """
    block, *others = layers or (NO_POLICIES,)
    configured = next((said for layer in others if (said := _said(layer, tool.spec.name))), tool.policy)
    return configured if configured == "off" else _said(block, tool.spec.name) or configured


def _said(layer: Mapping[str, Policy], name: str) -> Policy | None:
    """The entry that means this tool most exactly: its name before a pattern, a long pattern before a short one."""
    matching = [pattern for pattern in layer if names_tool(pattern, name)]
    best = max(matching, key=lambda pattern: ("*" not in pattern, len(pattern)), default=None)
    return None if best is None else layer[best]


def _validator(tool: Tool) -> Any:
    """Nothing is fetched: a reference leads into the schema itself or nowhere. Regular expressions of a client's own
    tool are left to the client: they could be made to take for ever.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend, validator_for
    from referencing import Registry

    schema = _closed(tool.spec.input_schema)
    kind = validator_for(schema, default=Draft202012Validator)
    if tool.execute is None:
        kind = extend(kind, {"pattern": _anything_goes, "patternProperties": _anything_goes})
    return kind(schema, registry=Registry())


def _anything_goes(*_: Any) -> tuple[()]:
    return ()


def _check_schema(spec: ToolSpec, where: str) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(dict(spec.input_schema))
    except (SchemaError, RecursionError):
        raise InvalidRequest(f"{where}.parameters must be a JSON schema.", param=f"{where}.parameters") from None


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with what it means: keys that it does not name are not taken, unless it says so."""
    closed = dict(schema)
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        closed["properties"] = {
            name: _closed(value) if isinstance(value, Mapping) else value for name, value in properties.items()
        }
    if isinstance(schema.get("items"), Mapping):
        closed["items"] = _closed(schema["items"])
    if (schema.get("type") == "object" or properties is not None) and not _COMBINING & schema.keys():
        named = properties is not None or "patternProperties" in schema
        if named:
            closed.setdefault("additionalProperties", False)
    return closed


def _complaint(check: Any, value: Mapping[str, Any]) -> str | None:
    from jsonschema.exceptions import best_match

    try:
        error = best_match(check.iter_errors(value))
    except Exception:  # noqa: BLE001  # a schema that refers to nothing, or to itself for ever
        return "The arguments cannot be checked: the schema of this tool is broken."
    if error is None:
        return None
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path).lstrip(".")
    place = f" At {path}:" if path else ""
    return f"The arguments do not fit the tool.{place} {error.message}"[:_LONGEST_COMPLAINT]
