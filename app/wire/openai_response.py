"""A whole answer as OpenAI's Responses API has it: a `response` whose `output` is a list of items.

What a service wants back of its thinking and its calls stands in `encrypted_content` of reasoning items, which clients
send back with the rest. One that is there for a call stands behind it and says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.core.errors import ProviderBroken
from app.core.events import CallWarning, FinishReason, ModelFinish, SourceUrl, Usage
from app.core.gateway import Answered
from app.core.messages import ProviderMetadata
from app.core.model import Content, Media, Reasoning, Text, ToolCall
from app.wire.json import dump_json
from app.wire.metadata_text import call_text, metadata_text

COMPLETED = "completed"
INCOMPLETE = "incomplete"

_WHY_INCOMPLETE: Mapping[FinishReason, str] = {"length": "max_output_tokens", "content-filter": "content_filter"}

_PREFIXES: Mapping[str, str] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "image_generation_call": "ig",
}
"""Type of an item → how its id begins."""

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """What the answer says of itself, from its first word on."""

    id: str
    created: int
    """Seconds since 1970."""
    model: str
    repeated: Mapping[str, Any]
    """Of the request."""

    def to_wire(self, status: str, output: Sequence[Item] = (), **more: Any) -> dict[str, Any]:
        return {
            "id": f"resp_{self.id}",
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": list(output),
            "usage": None,
            **self.repeated,
            **more,
        }

    def numbered(self, item: Item, index: int) -> Item:
        """The item at that place of the output, by the name that clients know it by."""
        return {"id": f"{_PREFIXES[item['type']]}_{self.id}_{index}", **item}


def to_response(answered: Answered, head: Head, notes: Sequence[CallWarning]) -> dict[str, Any]:
    """The whole answer. `notes`: what of the request was left out before it was sent.

    Raises:
        ProviderBroken: the model ended in an error.
    """
    head = replace(head, model=answered.model or head.model)
    warnings = [*notes, *answered.warnings]
    return ended(head, _output(answered, head), answered.finish, warnings, refuses=answered.refusal is not None)


def ended(
    head: Head, output: Sequence[Item], finish: ModelFinish, warnings: Sequence[CallWarning], *, refuses: bool
) -> dict[str, Any]:
    """The answer at its end. `refuses`: it says why it is none, or no more, so it is complete.

    Raises:
        ProviderBroken: the model ended in an error.
    """
    if finish.reason == "error":
        raise ProviderBroken(finish.explanation or "The model ended its answer with an error. Try again.")
    told = [{"setting": warning.setting, "details": warning.details} for warning in dict.fromkeys(warnings)]
    status = status_of(finish, refuses=refuses)
    why = _WHY_INCOMPLETE[finish.reason] if status == INCOMPLETE else None
    details = None if why is None else {"reason": why}
    more = {"incomplete_details": details, "usage": to_usage(finish.usage), **({"warnings": told} if told else {})}
    return head.to_wire(status, output, **more)


def status_of(finish: ModelFinish, *, refuses: bool) -> str:
    return INCOMPLETE if finish.reason in _WHY_INCOMPLETE and not refuses else COMPLETED


def to_usage(usage: Usage) -> dict[str, Any]:
    """The SDKs want every figure."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens,
    }


# Items, which get their id from their place, and their parts


def message(parts: Sequence[Item], status: str, phase: str | None = None) -> Item:
    item = {"type": "message", "status": status, "role": "assistant", "content": list(parts)}
    return item if phase is None else {**item, "phase": phase}


def text_part(text: str, sources: Sequence[SourceUrl] = ()) -> Item:
    return {"type": "output_text", "text": text, "annotations": [*map(annotation, sources)], "logprobs": []}


def refusal_part(refusal: str) -> Item:
    return {"type": "refusal", "refusal": refusal}


def annotation(source: SourceUrl) -> Item:
    """Of the whole answer: few services say which of its words a source is for."""
    title = source.title or source.url
    return {"type": "url_citation", "url": source.url, "title": title, "start_index": 0, "end_index": 0}


def phase_of(metadata: ProviderMetadata | None) -> str | None:
    """What OpenAI's own models say a text is."""
    return next((own["phase"] for own in (metadata or {}).values() if isinstance(own.get("phase"), str)), None)


def thought(text: str, metadata: ProviderMetadata | None) -> Item:
    item = {"type": "reasoning", "summary": [summary_part(text)] if text else []}
    return {**item, "encrypted_content": metadata_text(metadata)} if metadata else item


def summary_part(text: str) -> Item:
    return {"type": "summary_text", "text": text}


def call(call_id: str, name: str, arguments: str, status: str) -> Item:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, "status": status}


def kept_with_call(call_id: str, metadata: ProviderMetadata | None) -> Sequence[Item]:
    """Thinking without a word, with what is wanted back with the call; nothing where nothing is."""
    kept = call_text(call_id, metadata)
    return [] if kept is None else [{"type": "reasoning", "summary": [], "encrypted_content": kept}]


def pictures(media_type: str, data: str) -> Sequence[Item]:
    """What a model has made, `data` in base64; no item is for files of other kinds."""
    is_picture = media_type.startswith("image/")
    return [{"type": "image_generation_call", "status": COMPLETED, "result": data}] if is_picture else []


def arguments_of(value: Any) -> str:
    """A text is what the model wrote and nobody could read."""
    return value if isinstance(value, str) else dump_json(value).decode()


# A whole answer


def _output(answered: Answered, head: Head) -> list[Item]:
    """Texts that nothing stands between are one message."""
    items: list[Item] = []
    texts: list[str] = []

    def end_message(phase: str | None = None) -> None:
        if text := "".join(texts):
            items.append(message([text_part(text)], COMPLETED, phase))
        texts.clear()

    for content in answered.content:
        if isinstance(content, Text):
            texts.append("" if content.refuses else content.text)
            if (phase := phase_of(content.provider_metadata)) is not None:
                end_message(phase)
        elif made := _items(content):
            end_message()
            items += made
    end_message()
    _add_to_message(items, answered)
    return [head.numbered(item, index) for index, item in enumerate(items)]


def _items(content: Content) -> Sequence[Item]:
    """What is told of a piece of the answer that is no text."""
    match content:
        case Reasoning(text, metadata) if text or metadata:
            return [thought(text, metadata)]
        case ToolCall(provider_executed=False):
            status = INCOMPLETE if isinstance(content.input, str) else COMPLETED
            made = call(content.id, content.name, arguments_of(content.input), status)
            return [made, *kept_with_call(content.id, content.provider_metadata)]
        case Media(media_type, data):
            return pictures(media_type, data)
        case _:
            return []


def _add_to_message(items: list[Item], answered: Answered) -> None:
    """The last message has the sources. One at the end has the refusal and the status of the whole answer."""
    said = next((item for item in reversed(items) if item["type"] == "message"), None)
    for part in said["content"] if said is not None else ():
        part["annotations"] = [*map(annotation, answered.sources)]
    if (refusal := answered.refusal) is not None:
        if said is None or items[-1] is not said:
            items.append(message([], COMPLETED))
        items[-1]["content"].append(refusal_part(refusal))
    if items and items[-1]["type"] == "message":
        items[-1]["status"] = status_of(answered.finish, refuses=refusal is not None)
