"""Whom a router would choose now, for those who ask before they ask a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.chat.presets import Resolved
from app.chat.tools import choose_tools
from app.core.routing import Occasion, Route
from app.web.deps import Deps


async def route_now(deps: Deps, block_id: str, block: Mapping[str, Any], resolved: Resolved) -> Route | None:
    """For another question like the last one of the conversation; None where the preset is no router.

    Raises:
        UnsupportedContent: none of its candidates could take it.
    """
    if not resolved.candidates:
        return None
    conversation = await deps.store.load(block_id)
    messages = conversation.messages if conversation is not None else ()
    tools = await choose_tools(deps.toolbox, resolved, (), shows_approvals=True)
    occasion = Occasion(tag=block.get("ai:tag"), block_id=block_id)
    return deps.answerers.preview(resolved, messages, tools.specs, occasion)
