"""The htmx page: one page for a conversation, and its turns as streams of HTML fragments.

Everything here works without JavaScript too: the form is a form, and the page it leads to has the whole answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from functools import partial

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.chat.live import Run
from app.chat.presets import check_block_changes
from app.core.errors import AppError, ApprovalRefused, NotFound, RunInProgress
from app.core.messages import ToolPart, UIMessage
from app.core.ports import Conversation, ConversationPage
from app.web.deps import Deps, State
from app.web.requests import block_id_of, deps_of
from app.web.streaming import next_batch, stream_response
from app.web.templates import LISTED, app_page
from app.web.turn_form import read_fields, turn_of
from app.wire.html import HtmlEncoder
from app.wire.transcript import (
    Place,
    mark_of_messages,
    open_requests,
    places_of,
    render_transcript,
)

FLUSH_SECONDS = 0.03
"""Between two messages of a stream; what the model says in the meantime goes out together."""
_REST = 4
"""Between two messages a stream also rests this many times what the last one cost to render."""


async def get_home(request: Request[State]) -> Response:
    """A new chat. `?preset=` chooses who answers it."""
    deps = deps_of(request)
    return await _page(request, f"chat-{deps.new_id()}", chosen=request.query_params.get("preset"))


async def get_conversation_page(request: Request[State]) -> Response:
    """`?edit=` names a question that the composer shall hold, to be asked differently."""
    return await _page(request, block_id_of(request), editing=request.query_params.get("edit"))


async def post_turn(request: Request[State]) -> Response:
    """A turn, or another branch: for htmx a stream of fragments, for a plain form the page that it leads to."""
    deps = deps_of(request)
    block_id = block_id_of(request)
    live = "hx-request" in request.headers
    if live and "last-event-id" in request.headers:
        return await _attach(deps, block_id)  # htmx lost the connection and sends the same request again
    fields = await read_fields(request)
    running = deps.runs.running(block_id)
    if live and running is not None and running.message_id == fields.get("continue"):
        return await _attach(deps, block_id)  # asked for in another tab too
    _, messages, _ = await _present(deps, block_id)
    behind = _is_behind(messages, fields.get("after"))
    try:
        if (branch := fields.get("branch")) is not None:
            conversation = await _choose(deps, block_id, branch)
            return _stream_whole(deps, conversation) if live else _redirect(block_id)
        turn, question = turn_of(fields, messages)
        await _keep_preset(deps, block_id, fields.get("preset", ""))
        run = await deps.turns.begin(block_id, turn)
    except AppError as error:
        if live and behind and isinstance(error, ApprovalRefused):
            return await _attach(deps, block_id, whole=True)  # answered in another tab: shows what came of it
        if live:
            raise
        page = await _page(
            request, block_id, notice=error.message, text=fields.get("text", ""), editing=fields.get("edit")
        )
        page.status_code = error.status
        return page
    if live:
        superseded = open_requests(messages[-1]) if question is not None and messages else ()
        return _stream(deps, run, question=question, superseded=superseded, whole=behind)
    async with aclosing(deps.runs.read(run)) as events:
        async for _ in events:
            pass
    return _redirect(block_id)


async def get_turn_stream(request: Request[State]) -> Response:
    """Attach to the running turn again, after a reload or a lost connection. With `?after=`, the last message that a
    tab shows: whatever another one has brought since.
    """
    deps = deps_of(request)
    block_id = block_id_of(request)
    if (after := request.query_params.get("after")) is None:
        return await _attach(deps, block_id)
    run, messages, _ = await _present(deps, block_id)
    if run is None and not _is_behind(messages, after):
        return Response(status_code=204)
    return await _attach(deps, block_id, whole=True)


async def transcript_html(request: Request[State], conversation: Conversation) -> HTMLResponse:
    deps = deps_of(request)
    places = await _places(deps, conversation.block_id)
    return HTMLResponse(await asyncio.to_thread(render_transcript, deps.templates, conversation.messages, places))


def conversation_list_html(request: Request[State], page: ConversationPage) -> HTMLResponse:
    template = deps_of(request).templates.get_template("conversations.html")
    return HTMLResponse(template.render(page=page, current=None))


async def _page(
    request: Request[State],
    block_id: str,
    *,
    chosen: str | None = None,
    notice: str = "",
    text: str = "",
    editing: str | None = None,
) -> Response:
    deps = deps_of(request)
    run, messages, title = await _present(deps, block_id)
    edited = next((message for message in messages if message.id == editing and message.role == "user"), None)
    values = {
        "block_id": block_id,
        "title": title,
        "messages": messages,
        "places": await _places(deps, block_id),
        "answer_id": run.message_id if run is not None else None,
        "base": run.base if run is not None else None,
        "growing": None,
        "mark": mark_of_messages(messages),
        "message_id": deps.new_id(),
        "edited": edited,
        "presets": deps.configuration().presets,
        "chosen": chosen or await _chosen_preset(deps, block_id),
        "notice": notice,
        "text": text or (edited.text if edited is not None else ""),
    }
    return await app_page(request, "chat.html", current=block_id, **values)


async def _present(deps: Deps, block_id: str) -> tuple[Run | None, Sequence[UIMessage], str]:
    """The running turn, the messages without its answer, and the title, all of one moment."""
    while True:
        run = deps.runs.running(block_id)
        conversation = await deps.store.load(block_id)
        if deps.runs.running(block_id) is run:
            break
    if conversation is None:
        return run, (), ""
    messages = [message for message in conversation.messages if run is None or message.id != run.message_id]
    return run, messages, conversation.title


def _is_behind(messages: Sequence[UIMessage], after: str | None) -> bool:
    """Whether a page that ends with what `after` says lacks something. One that does not say lacks nothing."""
    return after is not None and after != mark_of_messages(messages)


async def _places(deps: Deps, block_id: str) -> Mapping[str, Place]:
    try:
        return places_of(await deps.store.branches(block_id))
    except NotFound:  # a new chat, or one that was deleted meanwhile
        return {}


async def _chosen_preset(deps: Deps, block_id: str) -> str:
    block = await deps.store.block(block_id)
    return str(block.get("ai:preset") or deps.configuration().preset or "default")


async def _keep_preset(deps: Deps, block_id: str, preset: str) -> None:
    """The picker's choice belongs to the block: it holds for later turns and after a reload."""
    if not preset or preset == await _chosen_preset(deps, block_id):
        return
    await deps.store.patch_block(block_id, check_block_changes(deps.configuration(), {"ai:preset": preset}))


async def _choose(deps: Deps, block_id: str, branch: str) -> Conversation:
    if deps.runs.running(block_id) is not None:
        raise RunInProgress("An answer is still being written in this conversation. Stop it or wait for its end.")
    return await deps.store.choose(block_id, branch)


async def _attach(deps: Deps, block_id: str, *, whole: bool = False) -> Response:
    run = deps.runs.running(block_id)
    if run is not None:
        return _stream(deps, run, whole=whole, timed=False)
    conversation = await deps.store.load(block_id)
    return Response(status_code=204) if conversation is None else _stream_whole(deps, conversation)


def _redirect(block_id: str) -> Response:
    return RedirectResponse(f"/c/{block_id}", status_code=303)


def _stream_whole(deps: Deps, conversation: Conversation) -> Response:
    encoder = HtmlEncoder(deps.templates, "")
    return stream_response(_whole(deps, conversation, encoder), encoder)


async def _whole(deps: Deps, conversation: Conversation, encoder: HtmlEncoder) -> AsyncGenerator[bytes, None]:
    """Nothing runs: the transcript as it is stored."""
    places = await _places(deps, conversation.block_id)
    yield await asyncio.to_thread(encoder.transcript, conversation.messages, places)
    yield encoder.end()


def _stream(
    deps: Deps,
    run: Run,
    *,
    question: UIMessage | None = None,
    superseded: Sequence[ToolPart] = (),
    whole: bool = False,
    timed: bool = True,
) -> Response:
    """The run as it goes on.

    Args:
        deps: where everything is.
        run: what the page shall show.
        question: what the page does not show yet; None where an answer is made anew or gone on with.
        superseded: calls that the page shows with a question for approval, which nobody asks any more.
        whole: the page lacks more than the question and the answer.
        timed: the events come as they happen.
    """
    encoder = HtmlEncoder(deps.templates, run.message_id, base=run.base, timed=timed)
    return stream_response(_fragments(deps, run, encoder, question, superseded, whole=whole), encoder)


async def _fragments(
    deps: Deps,
    run: Run,
    encoder: HtmlEncoder,
    question: UIMessage | None,
    superseded: Sequence[ToolPart],
    *,
    whole: bool,
) -> AsyncGenerator[bytes, None]:
    events = deps.runs.read(run)
    first = asyncio.ensure_future(next_batch(events))  # attached at once: a run without readers may be replaced
    try:
        page = await deps.store.page(limit=LISTED)
        titles = {item.block_id: item.title for item in page.items}
        opening = partial(
            encoder.opening,
            run.user_message_id or "",
            question=question,
            superseded=superseded,
            messages=await _messages(deps, run) if whole else None,
            places=await _places(deps, run.block_id) if question is not None or whole else {},
            title=titles.get(run.block_id) or "New chat",
            message_id=deps.new_id(),
            page=page,
            current=run.block_id,
        )
        yield await asyncio.to_thread(opening)
        batch = await first
        while batch:
            began = time.monotonic()
            fragments = await asyncio.to_thread(encoder.encode, batch)
            if fragments:
                yield fragments
            await asyncio.sleep(max(FLUSH_SECONDS, _REST * (time.monotonic() - began)))
            batch = await next_batch(events)
        places = await _places(deps, run.block_id)
        yield await asyncio.to_thread(encoder.end, places.get(run.message_id))
    finally:
        first.cancel()
        await asyncio.wait([first])
        await events.aclose()


async def _messages(deps: Deps, run: Run) -> Sequence[UIMessage]:
    """What stands above the answer of the run."""
    conversation = await deps.store.load(run.block_id)
    messages = conversation.messages if conversation is not None else ()
    return [message for message in messages if message.id != run.message_id]
