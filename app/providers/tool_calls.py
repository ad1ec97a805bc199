"""Tool calls that come in pieces, and how a finished one is told."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from app.core.events import ModelEvent, ToolInputAvailable, ToolInputDelta, ToolInputError, ToolInputStart


def new_call_id() -> str:
    return f"call_{secrets.token_hex(12)}"


def finished_call(call_id: str, name: str, arguments: str) -> list[ModelEvent]:
    """A call whose arguments are all there. What is not JSON must never run."""
    try:
        value = from_json(arguments) if arguments.strip() else {}
    except ValueError:
        return [ToolInputError(call_id, name, arguments, "The arguments of the call are not valid JSON.")]
    return [ToolInputAvailable(call_id, name, value)]


@dataclass(slots=True)
class _Call:
    id: str
    key: Any
    """The service's `index`, whatever it is."""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class ToolCalls:
    """The calls of one chat completion, put together from the deltas of the many dialects.

    Seen in the wild: whole calls in one delta; no `index`, or always 0; the id only once, or empty afterwards, or
    never; the name later than the id, or empty afterwards; `arguments` null, or an object. So a new non-empty id
    opens a new call, and nothing counts as complete before the answer is.
    """

    def __init__(self, new_id: Callable[[], str] = new_call_id) -> None:
        self._new_id = new_id
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def read(self, delta: dict[str, Any], out: list[ModelEvent]) -> None:
        call = self._call(delta.get("id") or "", delta.get("index"))
        function = delta.get("function") or {}
        if not call.name and function.get("name"):
            call.name = function["name"]
            out.append(ToolInputStart(call.id, call.name))
            out += [ToolInputDelta(call.id, piece) for piece in call.arguments]
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        if arguments:
            call.arguments.append(arguments)
            if call.name:
                out.append(ToolInputDelta(call.id, arguments))

    def finish(self, out: list[ModelEvent]) -> None:
        for call in self._calls:
            if not call.name:
                raise ValueError("a tool call without a name")
            out += finished_call(call.id, call.name, "".join(call.arguments))
        self._calls.clear()

    def _call(self, call_id: str, index: Any) -> _Call:
        for call in reversed(self._calls):
            if call_id == call.id or (not call_id and index in (None, call.key)):
                return call
        call = _Call(call_id or self._new_id(), index)
        self._calls.append(call)
        return call
