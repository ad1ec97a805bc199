"""Tools that Google runs itself, on the way in and back again: its interpreter (`executableCode`,
`codeExecutionResult`) and what a model calls beside our own tools (`toolCall`, `toolResponse`: search, maps, …).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.core.events import ModelEvent, ToolInputAvailable, ToolInputStart, ToolOutputAvailable
from app.core.messages import ProviderMetadata
from app.core.model import ToolCall, ToolResult
from app.providers.google.metadata import signed, to_metadata
from app.providers.metadata import own_metadata
from app.providers.unmapped import Unmapped

_CODE_EXECUTION = "code_execution"


class ServerTools:
    """The calls of one answer that Google runs, and their results."""

    def __init__(self, unmapped: Unmapped, new_id: Callable[[], str]) -> None:
        self._unmapped = unmapped
        self._new_id = new_id
        self._open: dict[str, str] = {}
        """Names of the calls without a result, by id."""
        self._results: list[Mapping[str, Any]] = []
        """Parts of the code that ran last: what it printed and how it failed come one by one."""

    def read(self, part: Mapping[str, Any], out: list[ModelEvent]) -> bool:
        """Whether the part was one of these. Any other part also ends the results of the code before it."""
        if part.get("codeExecutionResult"):
            self._results.append(part)
            return True
        self.finish(out)
        if code := part.get("executableCode"):
            metadata = to_metadata(part, {"part": "executableCode"})
            self._begin(code.get("id"), _CODE_EXECUTION, code, metadata, out)
        elif call := part.get("toolCall"):
            metadata = to_metadata(part, {"part": "toolCall", **_names(call)})
            self._begin(call.get("id"), f"server:{call['toolType']}", call.get("args") or {}, metadata, out)
        elif response := part.get("toolResponse"):
            metadata = to_metadata(part, {"part": "toolResponse", **_names(response)})
            self._end(
                response.get("id"), f"server:{response['toolType']}", response.get("response") or {}, metadata, out
            )
        else:
            return False
        return True

    def finish(self, out: list[ModelEvent]) -> None:
        """Add what the code that ran last came to."""
        if not self._results:
            return
        results = [part["codeExecutionResult"] for part in self._results]
        last = dict(results[-1])
        several = {}
        if len(results) > 1:
            last["output"] = "".join(result.get("output", "") for result in results)
            several = {"results": results}
        metadata = to_metadata(self._results[-1], {"part": "codeExecutionResult", **several})
        self._results = []
        self._end(last.get("id"), _CODE_EXECUTION, last, metadata, out)

    def _begin(
        self, known_id: str | None, name: str, value: Any, metadata: ProviderMetadata | None, out: list[ModelEvent]
    ) -> None:
        call_id = known_id or self._new_id()
        self._open[call_id] = name
        dynamic = name != _CODE_EXECUTION
        out.append(ToolInputStart(call_id, name, dynamic, provider_executed=True))
        out.append(ToolInputAvailable(call_id, name, value, dynamic, True, metadata))

    def _end(
        self, known_id: str | None, name: str, output: Any, metadata: ProviderMetadata | None, out: list[ModelEvent]
    ) -> None:
        """Not all models give ids: else the oldest call of that tool is meant."""
        named = (call_id for call_id, its_name in self._open.items() if its_name == name)
        call_id = known_id if known_id in self._open else next(named, None)
        if call_id is None:
            self._unmapped.count("google: a result without a call")
            return
        del self._open[call_id]
        out.append(ToolOutputAvailable(call_id, output, name != _CODE_EXECUTION, provider_metadata=metadata))


def _names(call: Mapping[str, Any]) -> dict[str, Any]:
    """Of a toolCall or toolResponse: what stands there beside arguments and response."""
    return {name: call[name] for name in ("toolType", "id") if name in call}


def sent_back(item: ToolCall | ToolResult) -> list[dict[str, Any]]:
    """The parts that a call of these tools, or its result, came as; none for another service's."""
    own = own_metadata(item.provider_metadata, "google")
    parts: list[dict[str, Any]]
    match item, own.get("part"):
        case ToolCall(), "executableCode":
            parts = [{"executableCode": item.input}]
        case ToolCall(), "toolCall":
            parts = [{"toolCall": {**_names(own), "args": item.input}}]
        case ToolResult(), "codeExecutionResult":
            parts = [{"codeExecutionResult": result} for result in own.get("results") or [item.output]]
        case ToolResult(), "toolResponse":
            parts = [{"toolResponse": {**_names(own), "response": item.output}}]
        case _:
            return []
    return [*parts[:-1], signed(parts[-1], item.provider_metadata)]
