"""Blocks of Anthropic's Messages that are calls and results, as our events and back again.

A block that the service wants back word for word keeps what our events have no name for in their provider metadata:
`{"anthropic": {"block": …}}`, a call's block without its id and input, a result's block as a whole. A result that came
answers after its call has their number beside it: `later`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from app.core.events import ToolOutputAvailable, ToolOutputError
from app.core.messages import ProviderMetadata
from app.core.model import ToolCall
from app.providers.metadata import own_metadata

SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})
"""Calls that the service runs itself."""

_CODE_TOOLS: Mapping[str, str] = {
    "code_execution": "programmatic-tool-call",
    "bash_code_execution": "bash_code_execution",
    "text_editor_code_execution": "text_editor_code_execution",
}
"""Tools of which the AI SDK makes one, `code_execution`, and the `type` that its input gets to tell them apart."""


def is_result(kind: str) -> bool:
    """`web_search_tool_result` and its like; a user's `tool_result` never comes in an answer."""
    return kind.endswith("_tool_result")


def tool_name(block: Mapping[str, Any]) -> str:
    """What the tool of a call is called in our events."""
    name: str = block["name"]
    return "code_execution" if block["type"] == "server_tool_use" and name in _CODE_TOOLS else name


def tool_input(block: Mapping[str, Any], value: Any) -> Any:
    """The arguments as our events have them."""
    if block["type"] == "server_tool_use" and block["name"] in _CODE_TOOLS and isinstance(value, Mapping):
        return {"type": _CODE_TOOLS[block["name"]], **value}
    return value


def call_metadata(block: Mapping[str, Any]) -> ProviderMetadata | None:
    """What a call keeps of its block; nothing for an ordinary one, of which our events say everything."""
    kept = {key: value for key, value in block.items() if key not in {"id", "input"}}
    return {"anthropic": {"block": kept}} if kept.keys() != {"type", "name"} or kept["type"] != "tool_use" else None


def result_metadata(block: Mapping[str, Any], later: int = 0) -> ProviderMetadata:
    """`later`: how many answers after its call the result came."""
    return {"anthropic": {"block": block} | ({"later": later} if later else {})}


def answers_later(metadata: ProviderMetadata | None) -> int:
    """How many answers after its call a result came: mostly none."""
    later: int = own_metadata(metadata, "anthropic").get("later", 0)
    return later


def kept_block(metadata: ProviderMetadata | None) -> Mapping[str, Any] | None:
    """What `call_metadata` or `result_metadata` kept; None where it is another service's."""
    block: Mapping[str, Any] | None = own_metadata(metadata, "anthropic").get("block")
    return block


def call_block(call: ToolCall, block: Mapping[str, Any]) -> dict[str, Any]:
    """The block that `call` came from, of which it kept `block`."""
    value = call.input if isinstance(call.input, Mapping) else {}
    if block["type"] == "server_tool_use" and block["name"] in _CODE_TOOLS:
        value = {key: item for key, item in value.items() if key != "type"}
    return {**block, "id": call.id, "input": value}


def output(block: Mapping[str, Any]) -> ToolOutputAvailable | ToolOutputError:
    """The result of a call that the service ran itself."""
    content = block["content"]
    call_id, dynamic, kept = block["tool_use_id"], block["type"] == "mcp_tool_result", result_metadata(block)
    if block.get("is_error"):
        return ToolOutputError(call_id, _said(content), dynamic, provider_executed=True, provider_metadata=kept)
    if isinstance(content, Mapping) and str(content.get("type")).endswith("_error"):
        reason = f"The tool failed: {content.get('error_code', 'unavailable')}."
        return ToolOutputError(call_id, reason, dynamic, provider_executed=True, provider_metadata=kept)
    if block["type"] == "tool_search_tool_result":
        content = content["tool_references"]
    value = _readable(content, renames="code_execution" not in block["type"])
    return ToolOutputAvailable(call_id, value, dynamic, provider_executed=True, provider_metadata=kept)


def _said(content: Any) -> str:
    texts = [item.get("text", "") for item in content] if isinstance(content, list) else [str(content)]
    return "\n".join(texts) or "The tool failed."


def _readable(value: Any, *, renames: bool) -> Any:
    """A result for people and front ends, with keys as the AI SDK names them: what only the service can read, and a
    fetched file's bytes, stay in the metadata.
    """
    if isinstance(value, list):
        return [_readable(item, renames=renames) for item in value]
    if not isinstance(value, Mapping):
        return value
    hidden = {"data"} if value.get("type") == "base64" else set()
    return {
        to_camel(key) if renames else key: _readable(item, renames=renames)
        for key, item in value.items()
        if key not in hidden and not key.startswith("encrypted_")
    }
