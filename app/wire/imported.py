"""A conversation that an import brings, whichever service wrote it, and what the readers of the formats share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import groupby
from typing import Any

from app.core.conversations import Dates
from app.core.errors import InvalidRequest
from app.core.feedback import Feedback
from app.core.messages import UIMessage, parse_messages
from app.core.times import written
from app.wire.chat_request import MAX_MESSAGES

LONGEST_TITLE = 200
_LONGEST_ID = 100
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_.:-]")


@dataclass(frozen=True, slots=True)
class ImportedConversation:
    block_id: str
    title: str
    """Empty where the export has none."""
    messages: tuple[UIMessage, ...]
    dates: Dates | None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Of the block, not yet checked."""
    feedback: Mapping[str, Feedback] = field(default_factory=dict)
    """On answers, by message id."""


def foreign_conversation(
    service: str, service_id: Any, title: Any, messages: Sequence[Mapping[str, Any]], created_at: Any, updated_at: Any
) -> ImportedConversation:
    """What another service's export says, its id under the service's name: two services may use the same one.

    Raises:
        InvalidRequest: there is nothing in it that could be kept.
    """
    if not messages:
        raise InvalidRequest("The conversation has no messages that could be kept.")
    if len(messages) > MAX_MESSAGES:
        raise InvalidRequest(f"A conversation may have at most {MAX_MESSAGES} messages.")
    name = _NOT_IN_AN_ID.sub("-", service_id)[:_LONGEST_ID] if isinstance(service_id, str) else ""
    return ImportedConversation(
        block_id=f"{service}-{name or digest_of(messages)}",
        title=" ".join(title.split())[:LONGEST_TITLE] if isinstance(title, str) else "",
        messages=parse_messages(_with_ids([{**said, "parts": _arranged(said["parts"])} for said in messages])),
        dates=read_dates(created_at, updated_at),
    )


def _with_ids(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Each with an id of its own; where the export has none, it follows from place and content."""
    named: dict[str, Mapping[str, Any]] = {}
    for index, said in enumerate(messages):
        message_id = said["id"]
        if not isinstance(message_id, str) or not 0 < len(message_id) <= _LONGEST_ID or message_id in named:
            message_id = digest_of([index, said["role"], said["parts"]])
        named[message_id] = {**said, "id": message_id}
    return list(named.values())


def _arranged(parts: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Texts that follow each other are paragraphs of one, as an answer of ours would have them; sources come last."""
    arranged: list[Mapping[str, Any]] = []
    sources = {part["url"]: part for part in reversed(parts) if part["type"] == "source-url"}
    said = (part for part in parts if part["type"] != "source-url")
    for is_text, run in groupby(said, lambda part: part["type"] == "text"):
        together = list(run)
        if is_text:
            together = [text_part("\n\n".join(part["text"].strip("\n") for part in together))]
        arranged += together
    return [*arranged, *reversed(sources.values())]


def digest_of(value: Any) -> str:
    """The same for the same JSON, so that what has no id gets the same one with every import."""
    canonical = json.dumps(value, sort_keys=True).encode()
    return blake2b(canonical, digest_size=12).hexdigest()


def read_dates(created_at: Any, updated_at: Any) -> Dates | None:
    created, updated = read_date(created_at), read_date(updated_at)
    return Dates(created or updated or "", updated or created or "") if created or updated else None


def read_date(value: Any) -> str | None:
    """ISO 8601, UTC, to the microsecond, from the same or from seconds since 1970; None for anything else."""
    try:
        if isinstance(value, str):
            date = datetime.fromisoformat(value)
            date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            date = datetime.fromtimestamp(value, UTC)
        else:
            return None
        return written(date)
    except (ValueError, OverflowError, OSError):
        return None


def follow_branch(leaf: str | None, parent_of: Callable[[str], str | None], known: Mapping[str, Any]) -> Sequence[str]:
    """The ids from the root, or the first that is not `known`, to `leaf`. Whatever is no id ends the way."""
    branch: list[str] = []
    seen: set[str] = set()
    while isinstance(leaf, str) and leaf in known and leaf not in seen:
        seen.add(leaf)
        branch.append(leaf)
        leaf = parent_of(leaf)
    return branch[::-1]


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def reasoning_part(text: str) -> dict[str, Any]:
    return {"type": "reasoning", "text": text, "state": "done"}


def source_part(url: Any, title: Any) -> dict[str, Any] | None:
    """None for what is no web address."""
    if not (isinstance(url, str) and url.startswith(("https://", "http://"))):
        return None
    titled = {"title": title} if isinstance(title, str) and title else {}
    return {"type": "source-url", "sourceId": digest_of(url), "url": url, **titled}


def placeholder_part(kind: str, name: Any = None) -> dict[str, Any]:
    """What stands for a file that the export only mentions."""
    return text_part(f"[{kind}: {name}]" if isinstance(name, str) and name else f"[{kind}]")


def message(
    message_id: Any, role: str, parts: Sequence[Mapping[str, Any]], created: Any = None, model: Any = None
) -> dict[str, Any]:
    """A UIMessage in wire form, perhaps without an id."""
    metadata = {"model": model if isinstance(model, str) and model else None, "createdAt": read_date(created)}
    return {
        "id": message_id,
        "role": role,
        "parts": list(parts),
        "metadata": {key: value for key, value in metadata.items() if value is not None},
    }


def records(value: Any) -> Sequence[Mapping[str, Any]]:
    """The objects in what should be a list of objects."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def record(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
