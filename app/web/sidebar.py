"""The list of conversations at the side of every page: which ones, in which groups, and which are being answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.chat.search import Found
from app.core.conversations import ConversationPage, ConversationSummary
from app.core.embeddings import SearchMode
from app.core.errors import InvalidRequest
from app.core.ids import is_block_id
from app.web.deps import State
from app.web.requests import deps_of
from app.wire.snippets import plain_snippet

LISTED = 40
"""Conversations in the list before "Show more"."""


async def read_found(request: Request[State], *, limit: int = 50) -> Found:
    """The page of the list that the query asks for: `q`, `cursor`, `limit`, `archived`, `mode`.

    Raises:
        InvalidRequest: it asks for something else.
    """
    parameters = request.query_params
    found = await deps_of(request).search.page(
        query=_words(parameters),
        cursor=parameters.get("cursor"),
        limit=read_limit(parameters.get("limit"), limit),
        archived=_archived(parameters.get("archived")),
        mode=_mode(parameters.get("mode")),
    )
    return replace(found, page=replace(found.page, items=tuple(map(_plain, found.page.items))))


def _plain(item: ConversationSummary) -> ConversationSummary:
    """Found in what somebody wrote, shown as words."""
    if item.match is None:
        return item
    return replace(item, match=replace(item.match, snippet=plain_snippet(item.match.snippet)))


async def sidebar_values(request: Request[State], current: str | None) -> dict[str, Any]:
    """What `sidebar.html` shows. Without a script its search is a form of the start page."""
    if request.url.path == "/":
        page, parameters = (await read_found(request, limit=LISTED)).page, request.query_params
    else:
        page, parameters = await deps_of(request).store.page(limit=LISTED), QueryParams()
    deleted = parameters.get("deleted", "")
    return {**_values(request, page, parameters, current), "deleted": deleted if is_block_id(deleted) else ""}


async def conversation_list_html(request: Request[State]) -> Response:
    """The list, or its next piece. 304 where it is what the page shows already."""
    template = deps_of(request).templates.get_template("conversations.html")
    page = (await read_found(request, limit=LISTED)).page
    values = _values(request, page, request.query_params, _open_block(request))
    html = await asyncio.to_thread(template.render, sidebar=values)
    etag = f'"{sha256(html.encode("utf-8", "replace")).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"etag": etag})
    return HTMLResponse(html.encode("utf-8", "replace"), headers={"etag": etag})


def _values(
    request: Request[State], page: ConversationPage, parameters: QueryParams, current: str | None
) -> dict[str, Any]:
    runs = deps_of(request).runs
    return {
        "page": page,
        "query": _words(parameters),
        "archived": parameters.get("archived") == "true",
        "is_first": "cursor" not in parameters,
        "running": frozenset(item.block_id for item in page.items if runs.running(item.block_id) is not None),
        "current": current,
    }


def by_time(items: Sequence[ConversationSummary]) -> list[tuple[str, list[ConversationSummary]]]:
    """Groups with their headings, by days in UTC: a script on the page knows better which day it is."""
    today = datetime.now(UTC).date()
    return [(name, list(group)) for name, group in groupby(items, lambda item: time_group(item, today))]


def time_group(item: ConversationSummary, today: date) -> str:
    if item.pinned:
        return "Pinned"
    day = datetime.fromisoformat(item.updated_at).date()
    for days, name in ((0, "Today"), (1, "Yesterday"), (7, "Last 7 days"), (30, "Last 30 days")):
        if day >= today - timedelta(days=days):
            return name
    return f"{day:%B}" if day.year == today.year else f"{day:%B %Y}"


def read_limit(value: str | None, default: int = 50) -> int:
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= 200):
        raise InvalidRequest("`limit` must be a number from 1 to 200.", param="limit")
    return int(value)


def _words(parameters: QueryParams) -> str:
    return parameters.get("q", "")[:200]


def _archived(value: str | None) -> bool | None:
    known = {None: False, "false": False, "true": True, "all": None}
    if value not in known:
        raise InvalidRequest("`archived` must be true, false or all.", param="archived")
    return known[value]


def _mode(value: str | None) -> SearchMode | None:
    known: dict[str, SearchMode] = {"text": "text", "semantic": "semantic", "hybrid": "hybrid"}
    if value is not None and value not in known:
        raise InvalidRequest("`mode` must be hybrid, text or semantic.", param="mode")
    return None if value is None else known[value]


def _open_block(request: Request[State]) -> str | None:
    """The conversation that the page shows which asks for the list."""
    folder, _, block_id = urlsplit(request.headers.get("hx-current-url", "")).path.rpartition("/")
    return unquote(block_id) if folder == "/c" else None
