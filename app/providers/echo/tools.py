"""The tools that the demo model calls, by commands, and what it says of their results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.events import ModelEvent, ToolInputAvailable, ToolInputDelta, ToolInputStart
from app.core.model import ModelRequest, ToolResult
from app.core.tools import ToolSpec
from app.providers.echo import texts
from app.providers.tool_calls import new_call_id

_EXAMPLES: Mapping[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
"""Arguments by type; others are texts."""
_ALONE = frozenset({"time", "both", "client", "loop"})
"""Commands that are the whole message: people begin sentences with these words."""
_UNKNOWN = "no_such_tool"
_PIECE = 12
"""Characters of arguments that come at once."""


@dataclass(frozen=True, slots=True)
class DemoCall:
    name: str
    arguments: Mapping[str, Any]

    def batches(self) -> Iterator[list[ModelEvent]]:
        """The call as services stream it."""
        call_id = new_call_id()
        arguments = json.dumps(self.arguments)
        yield [ToolInputStart(call_id, self.name)]
        for start in range(0, len(arguments), _PIECE):
            yield [ToolInputDelta(call_id, arguments[start : start + _PIECE])]
        yield [ToolInputAvailable(call_id, self.name, dict(self.arguments))]


def is_tool_command(prompt: str) -> bool:
    command, _, rest = prompt.strip().lower().partition(" ")
    return command in ({"tool", "calculate", "approve"} if rest else _ALONE | {"calculate", "approve"})


def calls_for(prompt: str, request: ModelRequest) -> Sequence[DemoCall]:
    """What the command calls of the tools that are offered; nothing where it is none, or has its results already."""
    command, _, rest = prompt.strip().partition(" ")
    answered = bool(request.messages) and request.messages[-1].role == "tool"
    if not request.tools or not is_tool_command(prompt) or (answered and command.lower() != "loop"):
        return ()
    offered = {tool.name: tool for tool in request.tools}
    calls = _calls(command.lower(), rest.strip(), offered)
    return [call for call in calls if call.name in offered or call.name == _UNKNOWN]


def results_in(request: ModelRequest) -> str:
    """What came back, in words; empty where nothing did."""
    last = request.messages[-1] if request.messages else None
    results = [item for item in last.content if isinstance(item, ToolResult)] if last and last.role == "tool" else []
    return "\n\n".join(_described(result) for result in results)


def _calls(command: str, rest: str, offered: Mapping[str, ToolSpec]) -> Sequence[DemoCall]:
    time = DemoCall("current_time", {"time_zones": ["UTC", "Europe/Berlin", "America/New_York"]})
    match command, rest:
        case (("time" | "loop"), _):
            return [time]
        case "calculate", _:
            return [DemoCall("calculate", {"expression": rest or "(3 + 4) * sqrt(2)"})]
        case "both", _:
            return [time, DemoCall("calculate", {"expression": "2 + 3 * 4"})]
        case "approve", _:
            return [DemoCall("fetch_page", {"url": rest or "https://example.com/"})]
        case "client", _:
            own = [tool for tool in offered.values() if tool.name not in texts.BUILT_IN_TOOLS]
            return [DemoCall(tool.name, _example(tool)) for tool in own[-1:]]
        case "tool", "fail":
            return [DemoCall("calculate", {"expression": "1 / 0"})]
        case "tool", "unknown":
            return [DemoCall(_UNKNOWN, {})]
        case "tool", _:
            return _named(rest, offered)
        case _:
            return ()


def _named(rest: str, offered: Mapping[str, ToolSpec]) -> Sequence[DemoCall]:
    """`tool get_weather {"city": "Rome"}`; without arguments, some that may fit. Several names are several calls."""
    names = rest.split()
    if names and all(name in offered for name in names):
        return [DemoCall(name, _example(offered[name])) for name in names]
    name, _, written = rest.partition(" ")
    if name not in offered:
        return ()
    try:
        arguments = json.loads(written)
    except ValueError:
        return ()
    return [DemoCall(name, arguments)] if isinstance(arguments, dict) else ()


def _example(tool: ToolSpec) -> dict[str, Any]:
    properties = tool.input_schema.get("properties") or {}
    required = tool.input_schema.get("required") or ()
    return {name: _example_of(properties.get(name)) for name in required}


def _example_of(schema: Any) -> Any:
    match schema:
        case {"enum": [first, *_]} | {"const": first} | {"default": first}:
            return first
        case {"type": str(kind)}:
            return _EXAMPLES.get(kind, "demo")
        case _:
            return "demo"


def _described(result: ToolResult) -> str:
    if result.is_error:
        return f"`{result.name}` could not do it: {result.output}"
    if isinstance(result.output, str):
        return f"`{result.name}` answered: {result.output}"
    return f"`{result.name}` answered:\n\n```json\n{json.dumps(result.output, indent=2, ensure_ascii=False)}\n```"
