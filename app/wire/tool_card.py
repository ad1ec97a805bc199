"""A tool call as a card on the page: what it was asked, how far it is, what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from app.core.messages import ToolPart

Condition: TypeAlias = Literal["writing", "running", "asking", "waiting", "done", "failed", "denied"]

LABELS: Mapping[Condition, str] = {
    "writing": "Preparing…",
    "running": "Running…",
    "asking": "Asks for your approval",
    "waiting": "No result",
    "done": "Done",
    "failed": "Failed",
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
    error: str = ""
    duration: str = ""

    @property
    def label(self) -> str:
        return LABELS[self.condition]


def tool_card(part: ToolPart, duration: str = "") -> ToolCard:
    """The card of a stored call."""
    condition = _CONDITIONS[part.state]
    done = condition == "done"
    return ToolCard(
        name=part.name,
        condition=condition,
        input=show_input(part.input if "input" in part.model_fields_set else (part.model_extra or {}).get("rawInput")),
        approval_id=part.approval.id if part.approval is not None and condition == "asking" else None,
        table=as_table(part.output) if done else None,
        text=show_output(part.output) if done else "",
        error=(part.error_text or "The tool failed.") if condition == "failed" else "",
        duration=duration if condition in ENDED else "",
    )


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


def show_output(value: Any) -> str:
    """An output as text; empty where it is a table or nothing."""
    if value is None or as_table(value) is not None:
        return ""
    text = value if isinstance(value, str) else pretty_json(value)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"


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
