"""The conversation as OpenAI's Responses API takes it: `input` items (openai 3, `ResponseInputItemParam`).

What the service itself sent is sent back as it came: its thinking, rebuilt from the parts that it was shown in, and
the items of its own tools. Another service's thinking and tools are nothing to it and stay here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.core.model import Media, ModelMessage, ModelRequest, Reasoning, Text, ToolCall, ToolResult
from app.providers.metadata import own_metadata
from app.providers.system_prompt import system_prompt
from app.providers.unmapped import Unmapped

_LONGEST_CALL_ID = 64

Item = dict[str, Any]


def input_items(request: ModelRequest, provider: str, unmapped: Unmapped) -> list[Item]:
    """The system prompt is the first item: not every server takes `instructions`, and JSON mode wants its word here.

    Args:
        request: what is asked.
        provider: the name under which the service's own data stands in `provider_metadata`.
        unmapped: counts what is left out.
    """
    items: list[Item] = []
    if system := system_prompt(request):
        items.append({"role": "system", "content": system})
    history = _History(provider, unmapped)
    for message in request.messages:
        match message.role:
            case "user":
                items.append({"role": "user", "content": _user_content(message)})
            case "assistant":
                items += history.answer(message)
            case "tool":
                items += history.results(message)
    return items


def _user_content(message: ModelMessage) -> list[Item]:
    content: list[Item] = []
    for item in message.content:
        if isinstance(item, Text):
            content.append({"type": "input_text", "text": item.text})
        elif isinstance(item, Media):
            url = f"data:{item.media_type};base64,{item.data}"
            if item.media_type.startswith("image/"):
                content.append({"type": "input_image", "image_url": url, "detail": "auto"})
            else:
                content.append({"type": "input_file", "filename": item.filename or "document", "file_data": url})
    return content


class _History:
    def __init__(self, provider: str, unmapped: Unmapped) -> None:
        self._provider = provider
        self._unmapped = unmapped
        self._client_calls: dict[str, str] = {}
        """Calls of the service's own tools that had to be run here: id → type of the call's item."""
        self._thoughts: set[str] = set()
        """Ids. The same one again would be refused, whatever a client makes of its history."""

    def answer(self, message: ModelMessage) -> list[Item]:
        items: list[Item] = []
        thoughts: dict[str, Item] = {}
        for content in message.content:
            match content:
                case Text(text):
                    if text.strip():
                        said = [{"type": "output_text", "text": text}]
                        items.append({"type": "message", "role": "assistant", "content": said, **self._phase(content)})
                case Reasoning():
                    self._think(content, thoughts, items)
                case ToolCall():
                    items += self._call(content)
                case ToolResult():
                    items += self._ran(content)
                case Media():
                    raise TypeError("an assistant says no files")
        self._thoughts |= thoughts.keys()
        kept = [item for item in items if item.get("type") != "reasoning" or _is_whole(item)]
        for _ in range(len(items) - len(kept)):
            self._unmapped.count("openai_responses: thinking in the history")
        while kept and kept[-1].get("type") == "reasoning":  # what it led to is not there
            kept.pop()
        return kept

    def results(self, message: ModelMessage) -> Iterable[Item]:
        for content in message.content:
            if isinstance(content, ToolResult):
                kind = self._client_calls.get(content.id, "function_call")
                if kind in _OUTPUTS:
                    yield {"type": f"{kind}_output", "call_id": _call_id(content.id), **_OUTPUTS[kind](content)}

    def _phase(self, text: Text) -> Item:
        phase = own_metadata(text.provider_metadata, self._provider).get("phase")
        return {"phase": phase} if phase in ("commentary", "final_answer") else {}

    def _think(self, reasoning: Reasoning, thoughts: dict[str, Item], items: list[Item]) -> None:
        """Parts of one item become that item again; the last of them has what is encrypted."""
        kept = own_metadata(reasoning.provider_metadata, self._provider)
        item_id, encrypted = kept.get("itemId"), kept.get("reasoningEncryptedContent")
        if not isinstance(item_id, str) or item_id in self._thoughts:
            self._unmapped.count("openai_responses: thinking in the history")
            return
        if item_id not in thoughts:
            thoughts[item_id] = {"type": "reasoning", "id": item_id, "summary": []}
            items.append(thoughts[item_id])
        item = thoughts[item_id]
        if kept.get("reasoningText"):
            item.setdefault("content", []).append({"type": "reasoning_text", "text": reasoning.text})
        elif reasoning.text:
            item["summary"].append({"type": "summary_text", "text": reasoning.text})
        if isinstance(encrypted, str):
            item["encrypted_content"] = encrypted

    def _call(self, call: ToolCall) -> Iterable[Item]:
        kept = own_metadata(call.provider_metadata, self._provider)
        if (item := kept.get("item")) is not None:
            if not call.provider_executed:
                self._client_calls[call.id] = item["type"]
            if call.provider_executed or item["type"] in _OUTPUTS:
                yield dict(item)
        elif not call.provider_executed:
            arguments = json.dumps(call.input, ensure_ascii=False, separators=(",", ":"))
            item = {"type": "function_call", "call_id": _call_id(call.id), "name": call.name, "arguments": arguments}
            yield item | kept.get("call", {})

    def _ran(self, result: ToolResult) -> Iterable[Item]:
        """The result of one of the service's own tools; mostly call and result are one item."""
        if (item := own_metadata(result.provider_metadata, self._provider).get("item")) is None:
            self._unmapped.count("openai_responses: a service's own call in the history")
        elif item["type"] == "image_generation_call":
            if isinstance(result.output, Mapping) and result.output.get("result"):  # without its picture it is refused
                yield {**item, "result": result.output["result"]}
        else:
            yield dict(item)


def _is_whole(item: Item) -> bool:
    """Whether thinking can be sent back: without a store at the service, its id and summary alone mean nothing."""
    return "encrypted_content" in item or "content" in item


def _call_id(call_id: str) -> str:
    """Other services' ids may be longer than this API allows."""
    is_short = len(call_id) <= _LONGEST_CALL_ID
    return call_id if is_short else hashlib.sha256(call_id.encode()).hexdigest()[:_LONGEST_CALL_ID]


def _shell_output(result: ToolResult) -> Item:
    said = {"stdout": "", "stderr": "", "stderr" if result.is_error else "stdout": result.text}
    return {"output": [{**said, "outcome": {"type": "exit", "exit_code": int(result.is_error)}}]}


_OUTPUTS: Mapping[str, Callable[[ToolResult], Item]] = {
    "function_call": lambda result: {"output": result.text},
    "custom_tool_call": lambda result: {"output": result.text},
    "local_shell_call": lambda result: {"output": result.text},
    "shell_call": _shell_output,
    "apply_patch_call": lambda result: {
        "status": "failed" if result.is_error else "completed",
        "output": result.text,
    },
}
"""Calls that we can answer in words. What wants more (a screenshot) is left out with its call."""
