"""The tool calls of a chat completion, which come in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.events import ModelEvent, ToolInputDelta, ToolInputError, ToolInputStart
from app.providers.tool_calls import finished_call, new_call_id

_NAMELESS = "unnamed"


@dataclass(slots=True)
class _Call:
    id: str
    key: Any
    """The service's `index`, whatever it is."""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    """What the service wants back with this call."""


class Calls:
    """The calls of one answer, put together from the deltas of the many dialects.

    Seen in the wild: whole calls in one delta; no `index`, or always 0; the id only once, or empty afterwards, or
    never; the name later than the id, or empty afterwards, or never; `arguments` null, or an object. So a new
    non-empty id opens a new call, and nothing counts as complete before the answer is.
    """

    def __init__(self, provider: str, new_id: Callable[[], str] = new_call_id) -> None:
        """`provider` is the name under which the service gets back what it wants back."""
        self._provider = provider
        self._new_id = new_id
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def read(self, delta: Mapping[str, Any], out: list[ModelEvent]) -> None:
        function = delta.get("function") or {}
        name = function.get("name") or ""
        call = self._call(delta.get("id") or "", delta.get("index"), name)
        if extra := delta.get("extra_content"):  # Gemini's thought signature
            call.kept["extra_content"] = extra
        if name and not call.name:
            self._name(call, name, out)
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        if arguments:
            call.arguments.append(arguments)
            if call.name:
                out.append(ToolInputDelta(call.id, arguments))

    def finish(self, out: list[ModelEvent], *, cut_short: bool, kept: Mapping[str, Any]) -> None:
        """The answer is at its end.

        Args:
            out: gets what became of each call.
            cut_short: the model ran into its limit: a last call without arguments may have been about to get some.
            kept: what the service wants back with the first call, beside the call's own.
        """
        if self._calls:
            self._calls[0].kept |= kept
        for call in self._calls:
            arguments = "".join(call.arguments)
            metadata = {self._provider: call.kept} if call.kept else None
            if not call.name:
                self._name(call, _NAMELESS, out)
                error = "The call does not say which tool it means."
            elif cut_short and call is self._calls[-1] and not arguments.strip():
                error = "The answer ended before the arguments of the call."
            else:
                out += finished_call(call.id, call.name, arguments, metadata)
                continue
            out.append(ToolInputError(call.id, call.name, arguments, error, provider_metadata=metadata))
        self._calls.clear()

    @staticmethod
    def _name(call: _Call, name: str, out: list[ModelEvent]) -> None:
        call.name = name
        out.append(ToolInputStart(call.id, name))
        out += [ToolInputDelta(call.id, piece) for piece in call.arguments]

    def _call(self, call_id: str, index: Any, name: str) -> _Call:
        """The call that a delta belongs to, a new one if need be."""
        for call in reversed(self._calls):
            named_anew = name and call.name and (index is None or name != call.name)
            if call_id == call.id or (not call_id and index in (None, call.key) and not named_anew):
                return call
        call = _Call(call_id or self._new_id(), index)
        self._calls.append(call)
        return call
