"""`/temporary/{blockId}`: a chat of which the server keeps nothing. What was said comes with the form, as `history`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from app.chat.history import choose_history
from app.chat.live import LiveRuns, Run
from app.core.errors import AppError, InvalidRequest
from app.core.fold import Draft
from app.core.messages import UIMessage
from app.core.model import TurnRequest
from app.web.deps import Deps, State
from app.web.pages import chat_page, turn_stream
from app.web.requests import block_id_of, deps_of, preset_of
from app.web.turn_form import read_form, turn_of
from app.wire.chat_request import read_messages
from app.wire.json import parse_json
from app.wire.transcript import open_requests


async def get_temporary(request: Request[State]) -> Response:
    """A new chat each time: whoever loads it again begins anew. Of a block that is temporary by its metadata, what was
    stored before shows.
    """
    deps = deps_of(request)
    block_id = block_id_of(request) if request.path_params else f"temporary-{deps.new_id()}"
    conversation = await deps.store.load(block_id)
    messages = conversation.messages if conversation is not None else ()
    return await chat_page(request, block_id, chosen=request.query_params.get("preset"), history=messages)


async def post_temporary(request: Request[State]) -> Response:
    """A turn: for htmx a stream of fragments, for a plain form the page with the whole answer."""
    deps, block_id = deps_of(request), block_id_of(request)
    form = await read_form(request)
    messages = _read_history(deps, form.fields)
    preset = preset_of(request) or form.fields.get("preset") or None
    try:
        turn, question = turn_of(form, messages)
        turn = _with_history(turn, messages, preset)
        run = await deps.turns.begin(block_id, turn)
    except AppError as error:
        if "hx-request" in request.headers:
            raise
        editing = form.fields.get("edit")
        page = await chat_page(
            request, block_id, chosen=preset, notice=error.message, refused=form, editing=editing, history=messages
        )
        page.status_code = error.status
        return page
    history = partial(_history_after, deps.runs, run, turn.messages)
    if "hx-request" in request.headers:
        superseded = open_requests(messages[-1]) if question is not None and messages else ()
        return turn_stream(deps, run, question=question, superseded=superseded, history=history)
    return await chat_page(request, block_id, chosen=preset, history=await history())


def _read_history(deps: Deps, fields: Mapping[str, str]) -> Sequence[UIMessage]:
    """Raises InvalidRequest where it is no list of messages."""
    said = parse_json(fields.get("history", "[]").encode("utf-8", "replace"))
    if not isinstance(said, list):
        raise InvalidRequest("`history` must be a list of messages.", param="history")
    return read_messages(said, "history", deps.new_id)[0] if said else ()


def _with_history(turn: TurnRequest, history: Sequence[UIMessage], preset: str | None) -> TurnRequest:
    """The same turn with everything in it that the server would know of a conversation that it stores.

    Raises:
        InvalidRequest: there is nothing to answer.
    """
    messages = tuple(choose_history(turn, history).messages)
    answer_id = turn.message_id if turn.approvals else None
    return replace(
        turn,
        messages=messages,
        message_only=False,
        message_id=answer_id,
        store=False,
        preset=preset,
    )


async def _history_after(runs: LiveRuns, run: Run, asked: Sequence[UIMessage]) -> Sequence[UIMessage]:
    """What was said when the run has ended."""
    draft = Draft(run.base)
    async with aclosing(runs.read(run)) as batches:
        async for batch in batches:
            for event in batch:
                draft.apply(event)
    answer = draft.message()
    before = [message for message in asked if message.id != run.message_id]
    return before if answer is None else [*before, answer]
