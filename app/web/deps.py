"""What endpoints may use: built once by `app.main`, read as `request.state["deps"]`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from jinja2 import Environment

from app.chat.answerers import Answerers
from app.chat.attachments import Attachments
from app.chat.completions import Completions
from app.chat.embedding import Embeddings
from app.chat.gateway_keys import GatewayKeys
from app.chat.live import LiveRuns
from app.chat.messages import Messages
from app.chat.prompts import Prompts
from app.chat.search import Search
from app.chat.search_index import SearchIndex
from app.chat.shares import Shares
from app.chat.trash import Trash
from app.chat.turns import Turns
from app.core.conversations import ConversationStore
from app.core.feedback import FeedbackStore
from app.core.model import Configuration
from app.core.ports import Files, ToolBox
from app.core.services import Services
from app.core.usage import UsageLedger


@dataclass(frozen=True, slots=True)
class Deps:
    turns: Turns
    runs: LiveRuns
    answerers: Answerers
    completions: Completions
    embeddings: Embeddings
    search: Search
    search_index: SearchIndex
    gateway_keys: GatewayKeys
    trash: Trash
    store: ConversationStore
    messages: Messages
    feedback: FeedbackStore
    prompts: Prompts
    shares: Shares
    files: Files
    attachments: Attachments
    toolbox: ToolBox
    usage_ledger: UsageLedger
    services: Services
    public_url: str | None
    """The origin under which people reach the server, where a proxy stands before it."""
    configuration: Callable[[], Configuration]
    """The configuration as it is now; a changed file replaces it."""
    configuration_problem: Callable[[], str | None]
    """What is wrong with the file as it is now, while an older state of it is in use."""
    configuration_file: str | None
    """The name of the file or folder that the configuration is read from, without the way to it."""
    data_size: Callable[[], int]
    """Bytes on the disk. Looks at every file: not for the event loop."""
    templates: Environment
    new_id: Callable[[], str]


class State(TypedDict):
    deps: Deps
