"""The tools that come with Palaver, safe by default: what reaches out asks first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from app.core.conversations import ConversationStore
from app.core.ports import Files
from app.core.tools import Tool
from app.tools.calculate import calculate
from app.tools.current_time import current_time_tool
from app.tools.fetch_page import fetch_page_tool
from app.tools.functions import tool_from
from app.tools.public_http import PublicWeb
from app.tools.read_attachment import read_attachment_tool
from app.tools.search_conversations import search_conversations_tool


def built_in_tools(
    now: Callable[[], datetime], store: ConversationStore, files: Files, web: PublicWeb
) -> tuple[Tool, ...]:
    return (
        tool_from(current_time_tool(now)),
        tool_from(calculate),
        tool_from(fetch_page_tool(web), policy="ask"),
        tool_from(search_conversations_tool(store)),
        tool_from(read_attachment_tool(store, files)),
    )
