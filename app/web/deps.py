"""What endpoints may use: built once by `app.main`, read as `request.state["deps"]`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from jinja2 import Environment

from app.chat.attachments import Attachments
from app.chat.live import LiveRuns
from app.chat.turns import Turns
from app.core.model import Configuration
from app.core.ports import ConversationStore, Files, ToolBox, UsageLedger


@dataclass(frozen=True, slots=True)
class Deps:
    turns: Turns
    runs: LiveRuns
    store: ConversationStore
    files: Files
    attachments: Attachments
    toolbox: ToolBox
    usage_ledger: UsageLedger
    public_url: str | None
    """The origin under which people reach the server, where a proxy stands before it."""
    configuration: Callable[[], Configuration]
    """The configuration as it is now; a changed file replaces it."""
    configuration_problem: Callable[[], str | None]
    """What is wrong with the file as it is now, while an older state of it is in use."""
    templates: Environment
    new_id: Callable[[], str]


class State(TypedDict):
    deps: Deps
