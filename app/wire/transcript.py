"""What a transcript on a page tells of stored messages: values that the templates show, and the transcript itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from jinja2 import Environment

from app.core.conversations import Branch
from app.core.messages import FilePart, Part, ReasoningPart, TextPart, ToolPart, UIMessage

_PLAIN_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


def element_id(message_id: str, prefix: str = "m") -> str:
    """The id of a message's element, or with another prefix of something else that has an id: safe in attributes and
    selectors whatever a client or a model chose.
    """
    if _PLAIN_ID.fullmatch(message_id):
        return f"{prefix}-{message_id}"
    return f"{prefix}-{sha256(message_id.encode('utf-8', 'replace')).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Ending:
    """What a finished answer's metadata has to tell people."""

    summary: str = ""
    """Model, tokens and time on one line."""
    detail: str = ""
    note: str = ""
    error: str = ""
    notes: tuple[str, ...] = ()
    """What was left out of the request or mended in the history, a sentence each."""
    is_cut: bool = False
    """There would have been more to say."""

    def without(self, told: Sequence[str]) -> Ending:
        """The notes are not said again where the answer before had the same."""
        return replace(self, notes=()) if self.notes and self.notes == tuple(told) else self


def describe_ending(metadata: Any) -> Ending:
    """Metadata may be a client's own: whatever has not the shape we write is left out."""
    said = metadata if isinstance(metadata, Mapping) else {}
    usage = said["usage"] if isinstance(said.get("usage"), Mapping) else {}
    error = said["error"] if isinstance(said.get("error"), Mapping) else {}
    model, duration = said.get("model"), said.get("durationMs")
    tokens_in, tokens_out = usage.get("inputTokens"), usage.get("outputTokens")
    summary = [model] if isinstance(model, str) else []
    if isinstance(tokens_out, int) and tokens_out > 0:
        summary.append("1 token" if tokens_out == 1 else f"{tokens_out:,} tokens")
    if isinstance(duration, int | float):
        summary.append(show_seconds(duration / 1000))
    if isinstance(cost := said.get("costUsd"), int | float) and cost > 0:
        summary.append(f"${cost:.4f}" if cost >= 0.0001 else "<$0.0001")
    status, reason = str(said.get("status")), str(said.get("finishReason"))
    explanation = said.get("explanation")
    return Ending(
        summary=" · ".join(summary),
        detail=_tokens(usage) if _both_numbers(tokens_in, tokens_out) else "",
        note=" ".join(filter(None, (_NOTES.get(status) or _NOTES.get(reason), _text(explanation)))),
        notes=tuple(_warnings(said.get("warnings"))),
        error=str(error.get("text") or "The answer failed.") if status == "error" else "",
        is_cut=status in ("stopped", "interrupted", "error") or reason == "length",
    )


def _tokens(usage: Mapping[str, Any]) -> str:
    said = f"{usage['inputTokens']:,} tokens in"
    if isinstance(cached := usage.get("cachedInputTokens"), int) and cached > 0:
        said += f" ({cached:,} from the cache)"
    return f"{said}, {usage['outputTokens']:,} out"


def _warnings(warnings: Any) -> list[str]:
    items = warnings if isinstance(warnings, list | tuple) else ()
    return [text for item in items if isinstance(item, Mapping) and (text := _text(item.get("details")))]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _both_numbers(first: Any, second: Any) -> bool:
    return isinstance(first, int) and isinstance(second, int)


_NOTES: Mapping[str, str] = {
    "stopped": "Stopped.",
    "interrupted": "Interrupted: the server went away before the end.",
    "length": "Cut off: the answer reached its token limit.",
    "content-filter": "Cut off by a content filter of the model service.",
}


def show_duration(seconds: float) -> str:
    """Empty where it was no time that anybody noticed."""
    return show_seconds(seconds) if seconds >= 0.05 else ""


def show_seconds(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def shown_parts(parts: Sequence[Part]) -> Sequence[Part]:
    """What stands in an answer, one below the other. Texts with nothing between them are one text: an answer that was
    continued goes on in mid-sentence.
    """
    shown: list[Part] = []
    for part in parts:
        if isinstance(part, TextPart) and shown and isinstance(shown[-1], TextPart):
            shown[-1] = TextPart(type="text", text=shown[-1].text + part.text)
        elif isinstance(part, TextPart | ReasoningPart | FilePart | ToolPart):
            shown.append(part)
    return shown


def open_requests(message: UIMessage) -> Sequence[ToolPart]:
    """The calls that wait for the user's yes."""
    return [part for part in message.parts if isinstance(part, ToolPart) and part.state == "approval-requested"]


def mark_of(last_id: str, requests: int) -> str:
    """What a page shows at its end, to be compared: the last message, and how many open requests for approval it has.
    Another tab may have answered one.
    """
    return last_id + "?" * requests


def mark_of_messages(messages: Sequence[UIMessage]) -> str:
    return mark_of(messages[-1].id, len(open_requests(messages[-1]))) if messages else ""


def timed_parts(message: UIMessage) -> Sequence[tuple[Part, str]]:
    """What stands in an answer, each with the time that it took where that is known."""
    thoughts, tools = _durations(message.metadata, "thinkingMs"), _durations(message.metadata, "toolMs")
    number = 0
    timed: list[tuple[Part, str]] = []
    for part in shown_parts(message.parts):
        if isinstance(part, ReasoningPart):
            timed.append((part, thoughts.get(str(number), "")))
            number += 1
        else:
            timed.append((part, tools.get(part.tool_call_id, "") if isinstance(part, ToolPart) else ""))
    return timed


def _durations(metadata: Any, name: str) -> Mapping[str, str]:
    said = metadata.get(name) if isinstance(metadata, Mapping) else None
    items = said.items() if isinstance(said, Mapping) else ()
    return {key: show_duration(ms / 1000) for key, ms in items if isinstance(ms, int)}


def render_transcript(templates: Environment, values: Mapping[str, object]) -> str:
    """Messages as they are stored; `values` are those of `transcript.html`."""
    return templates.get_template("transcript.html").render(values)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands among all that were said in its place: 2 of 3."""

    key: str
    """Stays the same whichever version is chosen: the handle of the first."""
    number: int
    count: int
    earlier: str | None
    """The handle of the branch before this one."""
    later: str | None


def places_of(branches: Sequence[Sequence[Branch]]) -> Mapping[str, Place]:
    """By message id, from what `ConversationStore.branches` answers."""
    places: dict[str, Place] = {}
    for choices in branches:
        here = next(i for i, branch in enumerate(choices) if branch.active)
        handles = [None, *(branch.handle for branch in choices), None]
        key, earlier, later = choices[0].handle, handles[here], handles[here + 2]
        places[choices[here].message_id] = Place(key, here + 1, len(choices), earlier, later)
    return places
