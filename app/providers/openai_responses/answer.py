"""An answer in the format of OpenAI's Responses API (openai 3, `ResponseStreamEvent`) → our events.

An answer is a list of items, and `output_index` is what an item is known by: behind some proxies its id changes with
every event. What the deltas did not say is taken from the events that tell the whole; some servers send only those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from app.core.events import FinishReason, ModelEvent, ModelFinish, Usage
from app.providers.failures import ReportedError
from app.providers.openai_responses.calls import KINDS, Call, Calls
from app.providers.openai_responses.sources import Citations
from app.providers.openai_responses.speech import Kind, Place, Speech
from app.providers.openai_responses.tools import OUTPUTS, is_search
from app.providers.tool_calls import new_call_id
from app.providers.unmapped import Unmapped

_FINISH_REASONS: Mapping[str | None, FinishReason] = {"max_output_tokens": "length", "content_filter": "content-filter"}

_SPEECH: Mapping[str, Kind] = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_summary_text": "summary",
    "response.reasoning_text": "thought",
}
_DELTAS = {f"{event}.delta": kind for event, kind in _SPEECH.items()}
_WHOLES = {f"{event}.done": kind for event, kind in _SPEECH.items()}
_SPEAKING = ("message", "reasoning")
_ARGUMENTS = frozenset(
    {
        "response.function_call_arguments.delta",
        "response.mcp_call_arguments.delta",
        "response.custom_tool_call_input.delta",
    }
)
_IGNORED = frozenset(
    {
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.content_part.added",
        "response.content_part.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.mcp_call_arguments.done",
        "response.custom_tool_call_input.done",
        "response.code_interpreter_call_code.delta",
        "response.code_interpreter_call_code.done",
        "response.apply_patch_call_operation_diff.delta",
        "response.apply_patch_call_operation_diff.done",
        "response.shell_call_command.added",
        "response.shell_call_command.delta",
        "response.shell_call_command.done",
        "response.shell_call_output_content.delta",
        "response.shell_call_output_content.done",
        "response.image_generation_call.partial_image",
        "keepalive",
    }
)
"""Their item tells it all when it is done; previews of pictures are as big as pictures."""
_PROGRESS = (".in_progress", ".searching", ".interpreting", ".generating", ".completed", ".failed")
"""How events end that only say how far a tool of the service is: ignored too."""


class OpenAIResponsesAnswer:
    def __init__(
        self,
        unmapped: Unmapped,
        provider: str,
        functions: frozenset[str] = frozenset(),
        *,
        new_id: Callable[[], str] = new_call_id,
    ) -> None:
        """What an answer is read with.

        Args:
            unmapped: counts what is left out.
            provider: the name under which the service gets back what it wants back.
            functions: the names of the tools that were offered.
            new_id: makes an id for a call that comes without.
        """
        self._unmapped = unmapped
        self._provider = provider
        self._items: dict[Any, Speech | Call | None] = {}
        """Those begun and not finished, by `output_index`; None is one that nobody maps."""
        self._empty = True
        """No item has come yet."""
        self._numbers = count()
        self._calls = Calls(provider, functions, unmapped, new_id)
        self._citations = Citations(unmapped)
        self._refused = False
        self._searches = 0

    def read(self, event: Any, out: list[ModelEvent]) -> None:
        kind: str = event["type"]
        if (spoken := _DELTAS.get(kind)) is not None:
            self._speech(event).say(_place(spoken, event), event["delta"], out)
        elif kind in _ARGUMENTS:
            self._calls.argue(self._call(event), event["delta"], out)
        elif kind == "response.output_item.added":
            self._begin(event.get("output_index"), event["item"], out)
        elif kind == "response.output_item.done":
            self._end(event.get("output_index"), event["item"], out)
        elif (spoken := _WHOLES.get(kind)) is not None:
            text = event["refusal" if spoken == "refusal" else "text"]
            self._speech(event).whole(_place(spoken, event), text, out)
        elif kind == "response.output_text.annotation.added":
            self._citations.cite(event["annotation"], out)
        elif kind == "response.function_call_arguments.done":
            self._call(event).pieces = [event["arguments"]]
        elif kind in ("response.completed", "response.incomplete"):
            self._finish(event["response"], out)
        elif kind == "error":
            raise ReportedError(event.get("error") or {"code": event.get("code"), "message": event.get("message")})
        elif kind == "response.failed":
            raise ReportedError(event["response"].get("error") or {})
        elif kind not in _IGNORED and not kind.endswith(_PROGRESS):
            self._unmapped.count(f"openai_responses: event {kind}")

    def finish(self, out: list[ModelEvent]) -> None:
        """The end mark is `response.completed` or `response.incomplete`: `read` would have seen it."""

    def _speech(self, event: Mapping[str, Any]) -> Speech:
        """The item that an event speaks for; not every server announces it."""
        index = event.get("output_index")
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = self._new_speech(event.get("item_id"), None)
        if not isinstance(item, Speech):
            raise TypeError("text in an item that is a call")
        return item

    def _new_speech(self, item_id: str | None, phase: str | None) -> Speech:
        self._empty = False
        return Speech(item_id or "", phase, self._provider, self._numbers)

    def _call(self, event: Mapping[str, Any]) -> Call:
        item = self._items[event.get("output_index")]
        if not isinstance(item, Call):
            raise TypeError("arguments in an item that is no call")
        return item

    def _begin(self, index: Any, item: Mapping[str, Any], out: list[ModelEvent]) -> Speech | Call | None:
        self._empty = False
        if index in self._items:
            raise ValueError("an item that begins before the last one of its place is done")
        kind = item["type"]
        begun: Speech | Call | None = None
        if kind in KINDS:
            begun = self._calls.begin(item, out)
        elif kind in _SPEAKING:
            begun = self._new_speech(item.get("id"), item.get("phase"))
        self._items[index] = begun
        return begun

    def _end(self, index: Any, item: Mapping[str, Any], out: list[ModelEvent]) -> None:
        begun = self._items[index] if index in self._items else self._begin(index, item, out)
        del self._items[index]
        if isinstance(begun, Speech) and item["type"] in _SPEAKING:
            begun.end(item, out)
            self._refused = self._refused or begun.refuses
            for piece in item.get("content") or ():
                for annotation in piece.get("annotations") or ():
                    self._citations.cite(annotation, out)
        elif isinstance(begun, Call) and item["type"] == begun.kind:
            self._calls.end(begun, item, out)
            self._searches += is_search(item)
            self._citations.found(item, out)
        elif begun is not None:
            raise ValueError("an item that ends as another")
        elif item["type"] in OUTPUTS:
            self._calls.output(item, out)
        else:
            self._unmapped.count(f"openai_responses: item {item['type']}")

    def _finish(self, response: Mapping[str, Any], out: list[ModelEvent]) -> None:
        if self._empty:  # some servers stream nothing but the end
            for index, item in enumerate(response.get("output") or ()):
                self._end(index, item, out)
        why = (response.get("incomplete_details") or {}).get("reason")
        whole = why is None and response.get("status") != "incomplete"
        for begun in self._items.values():
            if isinstance(begun, Speech):
                begun.close(out)
                self._refused = self._refused or begun.refuses
            elif isinstance(begun, Call):
                self._calls.give_up(begun, out, whole=whole)
        self._calls.finish(out)
        usage = _total(response.get("usage") or {})
        if self._searches:
            usage = replace(usage, searches=self._searches)
        out.append(ModelFinish(self._reason(why, whole=whole), usage))

    def _reason(self, why: str | None, *, whole: bool) -> FinishReason:
        """The service only says `why` an answer is not `whole`. What was called then may be half a call."""
        if why in _FINISH_REASONS:
            return _FINISH_REASONS[why]
        if self._calls.wait_for_us:
            return "tool-calls"
        if not whole:
            return "other"
        return "content-filter" if self._refused else "stop"


def _place(kind: Kind, event: Mapping[str, Any]) -> Place:
    return kind, event.get("summary_index" if kind == "summary" else "content_index", 0)


def _total(usage: Mapping[str, Any]) -> Usage:
    sent = usage.get("input_tokens_details") or {}
    said = usage.get("output_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("input_tokens") or 0,
        output_tokens=usage.get("output_tokens") or 0,
        reasoning_tokens=said.get("reasoning_tokens"),
        cache_read_tokens=sent.get("cached_tokens"),
        cache_write_tokens=sent.get("cache_write_tokens"),
    )
