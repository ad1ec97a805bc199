"""A tool call as a card on the page: what it was asked, how far it is, what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from app.core.messages import ToolPart
from app.core.tools import CANCELLED

Condition: TypeAlias = Literal["writing", "running", "asking", "waiting", "done", "failed", "stopped", "denied"]

LABELS: Mapping[Condition, str] = {
    "writing": "Preparing…",
    "running": "Running…",
    "asking": "Asks for your approval",
    "waiting": "No result",
    "done": "Done",
    "failed": "Failed",
    "stopped": "Stopped",
    "denied": "Not allowed",
}

_CONDITIONS: Mapping[str, Condition] = {
    "input-streaming": "waiting",
    "input-available": "waiting",
    "approval-requested": "asking",
    "approval-responded": "waiting",
    "output-available": "done",
    "output-error": "failed",
    "output-denied": "denied",
}

ENDED: frozenset[Condition] = frozenset({"done", "failed"})
"""It ran, and has taken some time."""

MOST_ROWS = 100
MOST_COLUMNS = 10
MOST_CHARACTERS = 100_000
"""Of an output on the page; programs get the whole of it."""


@dataclass(frozen=True, slots=True)
class Table:
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: int = 0
    """Rows that are not shown."""


@dataclass(frozen=True, slots=True)
class ToolCard:
    name: str
    condition: Condition
    input: str
    approval_id: str | None = None
    table: Table | None = None
    """Of an output that is one; else it stands in `text`."""
    text: str = ""
    picture: str = ""
    """A `data:` URL, of an output that is a picture."""
    error: str = ""
    duration: str = ""

    @property
    def label(self) -> str:
        return LABELS[self.condition]


def tool_card(part: ToolPart, duration: str = "") -> ToolCard:
    """The card of a stored call."""
    condition = "waiting" if part.preliminary else _CONDITIONS[part.state]  # it would have gone on
    if condition == "failed" and part.error_text == CANCELLED:
        condition = "stopped"
    if (asking := confirm_card(part.name, part.input, part.asks)) is not None:
        return asking
    done = condition == "done"
    return ToolCard(
        name=part.name,
        condition=condition,
        input=show_input(part.input if "input" in part.model_fields_set else (part.model_extra or {}).get("rawInput")),
        approval_id=part.asks,
        **(shown_output(part.output) if done else {}),
        error=(part.error_text or "The tool failed.") if condition == "failed" else "",
        duration=duration if condition in ENDED else "",
    )


def confirm_card(name: str, value: Any, approval_id: str | None) -> ToolCard | None:
    """The card of a question that an app without requests for approval is asked by a call of `confirm`: here it is the
    call that it is about. None for any other call.
    """
    match value:
        case {"toolName": str(tool_name), "input": asked} if name == "confirm" and approval_id is not None:
            return ToolCard(tool_name, "asking", show_input(asked), approval_id=approval_id)
        case _:
            return None


def superseded_card(part: ToolPart) -> ToolCard:
    """The card of a call that waits, after the user has asked something else instead of answering."""
    return replace(tool_card(part), condition="denied", approval_id=None)


def show_name(name: str) -> str:
    """`files__read_file` is for models, `files: read file` for people."""
    server, separator, tool = name.partition("__")
    return f"{server}: {tool}".replace("_", " ") if separator else name.replace("_", " ")


def show_input(value: Any) -> str:
    """The arguments; empty where there are none."""
    if value is None or value == {}:
        return ""
    return value if isinstance(value, str) else pretty_json(value)


def shown_output(value: Any) -> dict[str, Any]:
    """The fields of a card that show an output: `picture`, `table` or `text`."""
    picture, table = as_picture(value), as_table(value)
    text = "" if picture or table is not None else show_output(value)
    return {"picture": picture, "table": table, "text": text}


def show_output(value: Any) -> str:
    """An output as text; empty where it is nothing."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else pretty_json(value)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"


def as_picture(value: Any) -> str:
    """A picture that a service made itself comes as `{"result": <base64>}` (AI SDK's `image_generation`)."""
    if not isinstance(value, dict) or value.keys() != {"result"} or not isinstance(value["result"], str):
        return ""
    data = value["result"]
    media_type = next((kind for start, kind in _PICTURES.items() if data.startswith(start)), None)
    return f"data:{media_type};base64,{data}" if media_type is not None and _BASE64.fullmatch(data) else ""


_PICTURES: Mapping[str, str] = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "UklGR": "image/webp"}
"""How they begin in base64."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)


def as_table(value: Any) -> Table | None:
    """A list of objects with the same few keys and no values inside values; None for whatever else."""
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(row, dict) for row in value):
        return None
    columns = list(dict.fromkeys(str(key) for row in value for key in row))
    if not 0 < len(columns) <= MOST_COLUMNS:
        return None
    cells = [cell for row in value for cell in row.values()]
    if any(isinstance(cell, dict | list) for cell in cells) or len(cells) * 2 < len(value) * len(columns):
        return None
    rows = [[_cell(row.get(column)) for column in columns] for row in value[:MOST_ROWS]]
    return Table(columns, rows, max(0, len(value) - MOST_ROWS))


def pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value[:1000] if isinstance(value, str) else json.dumps(value)
