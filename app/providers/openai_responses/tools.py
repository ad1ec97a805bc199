"""The tool items of OpenAI's Responses API (openai 3, `ResponseOutputItem`) → calls and their outputs.

The values are shaped as the AI SDK shapes them (@ai-sdk/openai 4), in camelCase, so that front ends made for its tools
understand them; inputs tell more than the SDK's, which leaves most of them empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.alias_generators import to_camel
from pydantic_core import from_json

Item = Mapping[str, Any]

HOSTED: Mapping[str, str] = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
    "mcp_call": "mcp",
    "mcp_approval_request": "mcp",
}
"""Items that the service ran itself, call and output in one → name of the tool. Of MCP the item's own name follows."""

SEPARATE: Mapping[str, str] = {
    "shell_call": "shell",
    "tool_search_call": "tool_search",
    "program": "programmatic_tool_calling",
}
"""Items that are the call alone. Run by the service, an item of OUTPUTS follows; run here, we answer them."""

OUTPUTS = frozenset({"shell_call_output", "tool_search_output", "program_output"})

OURS: Mapping[str, str] = {
    "apply_patch_call": "apply_patch",
    "local_shell_call": "local_shell",
    "computer_call": "computer",
    "custom_tool_call": "",
}
"""Items that have to be run here. A custom tool's name stands in the item."""

NO_APPROVALS = (
    "This MCP server wants every call approved, which the service asks for in a way that is not supported here. "
    'Set require_approval = "never" in the preset\'s tool.'
)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a tool of the service was asked, and what came of it."""

    input: Any
    output: Any = None
    error: str | None = None


def tool_name(item: Item) -> str:
    kind = item["type"]
    if kind.startswith("mcp_"):
        return f"mcp.{item.get('name')}"
    return {**HOSTED, **SEPARATE, **OURS}[kind] or item["name"]


def ran(item: Item) -> Ran:
    """A finished item of HOSTED."""
    match item["type"]:
        case "web_search_call":
            found = _web_search(item)
        case "file_search_call":
            queries, results = item.get("queries"), item.get("results")
            told = [_camel(result) for result in results] if results is not None else None
            found = Ran({"queries": queries}, {"queries": queries, "results": told})
        case "code_interpreter_call":
            asked = {"code": item.get("code") or "", "containerId": item.get("container_id")}
            found = Ran(asked, {"outputs": item.get("outputs")})
        case "image_generation_call":
            prompt = item.get("revised_prompt") or item.get("prompt")
            found = Ran({"prompt": prompt} if prompt else {}, {"result": item.get("result")})
        case "mcp_call":
            found = _mcp(item)
        case _:
            found = Ran(_arguments(item), error=NO_APPROVALS)
    if found.error is None and item.get("status") == "failed":
        return Ran(found.input, error=f"The service could not run {tool_name(item)}.")
    return found


def is_search(item: Item) -> bool:
    """Whether it is billed as a search of the web; to open a page is not."""
    return item["type"] == "web_search_call" and (item.get("action") or {}).get("type") == "search"


def call_input(item: Item) -> Any:
    """What a call of SEPARATE or OURS asks for."""
    match item["type"]:
        case "shell_call" | "local_shell_call":
            return {"action": _camel(_without_none(item["action"]))}
        case "apply_patch_call":
            return {"callId": item["call_id"], "operation": item["operation"]}
        case "tool_search_call":
            return {"arguments": item.get("arguments"), "call_id": item.get("call_id")}
        case "custom_tool_call":
            return item["input"]
        case "program":
            return {"code": item.get("code"), "fingerprint": item.get("fingerprint")}
        case _:  # computer_call
            actions = item.get("actions") or [item["action"]]
            checks = item.get("pending_safety_checks") or []
            return {"actions": [_camel(action) for action in actions], "pendingSafetyChecks": checks}


def call_output(item: Item) -> Any:
    """An item of OUTPUTS."""
    match item["type"]:
        case "shell_call_output":
            return {"output": [{**said, "outcome": _camel(said["outcome"])} for said in item["output"]]}
        case "tool_search_output":
            return {"tools": item.get("tools")}
        case _:  # program_output
            return {"result": item.get("result"), "status": item.get("status")}


def runs_at_the_service(item: Item) -> bool:
    """Of an item of SEPARATE."""
    match item["type"]:
        case "shell_call":
            return (item.get("environment") or {}).get("type") == "container_reference"
        case "tool_search_call":
            return item.get("execution") != "client"
        case _:
            return True


def unwrapped(arguments: str, functions: frozenset[str]) -> Sequence[tuple[str, Any]]:
    """The calls, names and inputs, in a call of `parallel`: a wrapper that models were trained on and sometimes use
    although nobody offered it (`{"tool_uses": [{"recipient_name": "functions.now", "parameters": {}}]}`). Empty where
    it is none, or names what was not offered.
    """
    try:
        uses = from_json(arguments, allow_inf_nan=False)["tool_uses"]
        calls = [(use["recipient_name"].removeprefix("functions."), use["parameters"]) for use in uses]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
    fits = all(name in functions and isinstance(value, dict) for name, value in calls)
    return calls if fits else ()


def _web_search(item: Item) -> Ran:
    action = item.get("action")
    if action is None:  # xAI
        return Ran(_arguments(item), {})
    asked = {key: value for key, value in action.items() if key not in ("type", "sources") and value is not None}
    output: dict[str, Any] = {"action": {"type": to_camel(action["type"]), **asked}}
    if (sources := action.get("sources")) is not None:
        output["sources"] = sources
    return Ran(asked, output)


def _mcp(item: Item) -> Ran:
    if (error := item.get("error")) is not None:
        said = error.get("message") if isinstance(error, Mapping) else error
        return Ran(_arguments(item), error=str(said or "The MCP server could not do it."))
    told = {"type": "call", "serverLabel": item.get("server_label"), "name": item["name"]}
    output = {**told, "arguments": item.get("arguments"), "output": item.get("output")}
    return Ran(_arguments(item), _without_none(output))


def _arguments(item: Item) -> Any:
    """The service has run it, so whatever they are, they are shown."""
    try:
        return from_json(item.get("arguments") or "{}", allow_inf_nan=False)
    except ValueError:
        return {"arguments": item["arguments"]}


def _without_none(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def _camel(value: Mapping[str, Any]) -> dict[str, Any]:
    """Only the keys of `value` itself: further down stand other people's, an environment's or a document's."""
    return {to_camel(key): item for key, item in value.items()}
