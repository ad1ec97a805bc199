"""The calls of one answer of OpenAI's Responses API: functions, what the service runs itself, what it has us run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.events import (
    ModelEvent,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
)
from app.core.messages import ProviderMetadata
from app.providers.openai_responses.tools import (
    HOSTED,
    OURS,
    SEPARATE,
    call_input,
    call_output,
    ran,
    runs_at_the_service,
    tool_name,
    unwrapped,
)
from app.providers.tool_calls import finished_call
from app.providers.unmapped import Unmapped

KINDS = frozenset({"function_call", *HOSTED, *SEPARATE, *OURS})

_CUT_OFF = "The call was cut off."
_WRAPPER = "parallel"
_WANTED_BACK = ("namespace", "caller", "async")


@dataclass(slots=True)
class Call:
    kind: str
    """The type of its item."""
    id: str
    name: str
    begun: bool
    """Its ToolInputStart is out."""
    pieces: list[str] = field(default_factory=list)
    """Of its arguments."""


class Calls:
    def __init__(self, provider: str, functions: frozenset[str], unmapped: Unmapped, new_id: Callable[[], str]) -> None:
        """What calls are read with.

        Args:
            provider: the name under which the service gets back what it wants back.
            functions: the names of the tools that were offered.
            unmapped: counts what is left out.
            new_id: makes an id for a call that comes without.
        """
        self._provider = provider
        self._functions = functions
        self._unmapped = unmapped
        self._new_id = new_id
        self._ids: set[str] = set()
        self._running: list[str] = []
        """Calls that the service runs and whose output is an item of its own, still to come."""
        self.wait_for_us = False
        """There are calls that the service does not run."""

    def begin(self, item: Mapping[str, Any], out: list[ModelEvent]) -> Call:
        kind = item["type"]
        item_id = item.get("id") or self._new_id()
        call_id = item_id if kind in HOSTED else item.get("call_id") or item_id
        name = item["name"] if kind == "function_call" else tool_name(item)
        is_wrapper = name == _WRAPPER and name not in self._functions
        self._check(call_id)
        if not isinstance(name, str) or not name:
            raise TypeError("a call without a name")
        call = Call(kind, call_id, name, begun=kind not in SEPARATE and not is_wrapper)
        if call.begun:
            hosted = kind in HOSTED
            out.append(ToolInputStart(call_id, name, dynamic=_is_dynamic(call), provider_executed=hosted))
        return call

    def argue(self, call: Call, delta: str, out: list[ModelEvent]) -> None:
        if not isinstance(delta, str):
            raise TypeError("arguments that are no text")
        call.pieces.append(delta)
        if call.begun and delta:
            out.append(ToolInputDelta(call.id, delta))

    def end(self, call: Call, item: Mapping[str, Any], out: list[ModelEvent]) -> None:
        """`item` is the finished one."""
        if call.kind == "function_call":
            arguments = item.get("arguments") or "".join(call.pieces)
            own = {name: item[name] for name in _WANTED_BACK if item.get(name) is not None}
            self._function(call, arguments, out, cut=item.get("status") == "incomplete", own=own)
        elif call.kind in HOSTED:
            self._hosted(call, item, out)
        else:
            self._other(call, item, out)

    def output(self, item: Mapping[str, Any], out: list[ModelEvent]) -> None:
        """What came of a call that the service ran, as an item of its own."""
        call_id = item.get("call_id") or next(iter(self._running), None)
        if call_id is None or call_id not in self._running:
            self._unmapped.count(f"openai_responses: {item['type']} without its call")
            return
        self._running.remove(call_id)
        kept = self._kept({"item": dict(item)})
        out.append(ToolOutputAvailable(call_id, call_output(item), provider_executed=True, provider_metadata=kept))

    def give_up(self, call: Call, out: list[ModelEvent], *, whole: bool) -> None:
        """The answer is at its end, which is a regular one if it is `whole`; the call's never came."""
        arguments = "".join(call.pieces)
        if call.kind == "function_call":
            self._function(call, arguments, out, cut=not whole, own={})
        elif call.begun:
            hosted = call.kind in HOSTED
            self.wait_for_us = self.wait_for_us or not hosted
            out.append(
                ToolInputError(
                    call.id, call.name, arguments, _CUT_OFF, dynamic=_is_dynamic(call), provider_executed=hosted
                )
            )

    def finish(self, out: list[ModelEvent]) -> None:
        error = "The service does not say what came of it."
        out += (ToolOutputError(call_id, error, provider_executed=True) for call_id in self._running)

    def _function(
        self, call: Call, arguments: str, out: list[ModelEvent], *, cut: bool, own: Mapping[str, Any]
    ) -> None:
        """All of its arguments, or what there is of them: what was `cut` off must not run, even if it reads well."""
        self.wait_for_us = True
        if cut:
            out.append(ToolInputError(call.id, call.name, arguments, _CUT_OFF))
        elif not call.begun and (calls := unwrapped(arguments, self._functions)):
            for number, (name, value) in enumerate(calls):
                out.append(ToolInputAvailable(f"{call.id}_{number}", name, value))
        else:
            out += finished_call(call.id, call.name, arguments, self._kept({"call": own}) if own else None)

    def _hosted(self, call: Call, item: Mapping[str, Any], out: list[ModelEvent]) -> None:
        found = ran(item)
        dynamic = _is_dynamic(call)
        out.append(ToolInputAvailable(call.id, call.name, found.input, dynamic=dynamic, provider_executed=True))
        if found.error is not None:
            out.append(ToolOutputError(call.id, found.error, dynamic=dynamic, provider_executed=True))
            return
        kept = dict(item)
        if call.kind == "image_generation_call":  # a picture is big: it stands in the output alone
            kept.pop("result", None)
        out.append(
            ToolOutputAvailable(
                call.id,
                found.output,
                dynamic=dynamic,
                provider_executed=True,
                provider_metadata=self._kept({"item": kept}),
            )
        )

    def _other(self, call: Call, item: Mapping[str, Any], out: list[ModelEvent]) -> None:
        """Its output is an item of its own, the service's or ours."""
        hosted = call.kind in SEPARATE and runs_at_the_service(item)
        if not call.begun:  # who runs it, and what id it has, shows only now
            if (call_id := item.get("call_id") or call.id) != call.id:
                self._check(call_id)
                call.id = call_id
            out.append(ToolInputStart(call.id, call.name, provider_executed=hosted))
        if hosted:
            self._running.append(call.id)
        else:
            self.wait_for_us = True
        kept = self._kept({"item": dict(item)})
        asked = call_input(item)
        out.append(ToolInputAvailable(call.id, call.name, asked, provider_executed=hosted, provider_metadata=kept))

    def _check(self, call_id: Any) -> None:
        if not isinstance(call_id, str) or call_id in self._ids:
            raise ValueError("a call without an id of its own")
        self._ids.add(call_id)

    def _kept(self, own: Mapping[str, Any]) -> ProviderMetadata:
        return {self._provider: own}


def _is_dynamic(call: Call) -> bool:
    """No front end can know the names of an MCP server's tools."""
    return call.kind.startswith("mcp_")
