"""Which tools a turn has, who has to be asked before each, and whether arguments fit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.chat.arguments import LONGEST_COMPLAINT, ArgumentCheck, check_schema
from app.chat.outputs import taken
from app.chat.presets import Resolved
from app.core.messages import ToolPart, UIMessage
from app.core.ports import ToolBox
from app.core.tools import NO_POLICIES, CallState, Policy, Tool, ToolRecord, ToolSpec, names_tool

CONFIRM = "confirm"
"""The client tool that asks for approval where the client knows no requests for it (AI SDK 4 and 5). Its input is
`{toolName, input, toolCallId}`, its output `{approved, reason?}`. The model is not told of it."""


@dataclass(frozen=True, slots=True)
class Toolset:
    """The tools of one turn, by name."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    asks: frozenset[str] = frozenset()
    """Those that need the user's yes."""
    shows_approvals: bool = True
    """The client knows requests for approval; otherwise it is given a call of `confirm`."""
    problems: tuple[str, ...] = ()
    _checks: dict[str, ArgumentCheck] = field(default_factory=dict)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(tool.spec for tool in self.tools.values())

    def problem_of(self, name: str, value: Any) -> str | None:
        """Why a call cannot run, in words for the model; None where it can."""
        tool = self.tools.get(name)
        if tool is None:
            known = ", ".join(self.tools) or "none"
            return f"There is no tool of this name. The tools are: {known}."[:LONGEST_COMPLAINT]
        if not isinstance(value, Mapping):
            return "The arguments of a tool must be a JSON object."
        check = self._checks.get(name)
        if check is None:
            check = self._checks[name] = ArgumentCheck(tool.spec)
        return check.complaint(value)


async def choose_tools(box: ToolBox, resolved: Resolved, own: Sequence[ToolSpec], *, shows_approvals: bool) -> Toolset:
    """What the preset lets the model use and the block does not take away; then `own`, what the client runs itself.

    Raises:
        InvalidRequest: the schema of one of the client's tools is none.
    """
    offered = await box.tools(resolved.tool_names) if resolved.tool_names else None
    problems = list(offered.problems) if offered is not None else []
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
            problems.append(f"The app's own tool {spec.name!r} is left out: the name is the server's, or switched off.")
            continue  # no client puts a tool of its own in the place of the server's
        await asyncio.to_thread(check_schema, spec, f"tools[{number}]")  # seconds, for the largest
        tools[spec.name] = tool
    return Toolset(tools, frozenset(asks), shows_approvals, tuple(problems))


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
            if tool is None or tool.execute is not None or not isinstance(part.input, Mapping):
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
