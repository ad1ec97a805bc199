"""The htmx page: one page for a conversation, and its turns as streams of HTML fragments.

Everything here works without JavaScript too: the form is a form, and the page it leads to has the whole answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.chat.live import Run
from app.chat.presets import check_block_changes
from app.core.conversations import Conversation
from app.core.errors import AppError, ApprovalRefused, NotFound, RunInProgress
from app.core.events import StreamEvent
from app.core.messages import ToolPart, UIMessage
from app.core.prompt_templates import Content
from app.web.composer import composer_values
from app.web.deps import Deps, State
from app.web.requests import block_id_of, deps_of, preset_of
from app.web.streaming import next_batch, stream_response
from app.web.templates import app_page
from app.web.transcripts import Transcript, load_part, load_transcript
from app.web.turn_form import TurnForm, read_form, turn_of
from app.web.welcome import welcome_values
from app.wire.html import HtmlEncoder
from app.wire.transcript import mark_of_messages, open_requests, render_transcript

FLUSH_SECONDS = 0.03
"""Between two messages of a stream; what the model says in the meantime goes out together."""
AT_ONCE_SECONDS = 1.0
"""How long a plain form waits for the whole answer. The page that it leads to then loads itself until it is there."""
TEMPORARY = "Temporary chat"

_REST = 4
"""Between two messages a stream also rests this many times what the last one cost to render."""
_FEW, _LITTLE = 20, 400
"""Events and characters that are encoded at once; for more it is done in a thread."""


async def get_home(request: Request[State]) -> Response:
    """A new chat. `?preset=` chooses who answers it, `?template=` or `?text=` what stands in the box."""
    deps = deps_of(request)
    if (name := request.query_params.get("template")) is not None:
        template = (await deps.prompts.find(name)).template
        if not isinstance(template.content, str) or any(variable.required for variable in template.variables):
            return RedirectResponse(f"/templates/{name}#try", status_code=303)
        return await begin_with(request, template.filled({}))
    refused = TurnForm({"text": text}) if (text := request.query_params.get("text")) else None
    return await chat_page(request, f"chat-{deps.new_id()}", chosen=request.query_params.get("preset"), refused=refused)


async def begin_with(request: Request[State], content: Content) -> Response:
    """A new chat with a filled template: its last message is in the box, others have been said already."""
    deps = deps_of(request)
    block_id = f"chat-{deps.new_id()}"
    *before, last = deps.prompts.messages(content)
    if before:
        await deps.store.save(block_id, before, placement="branch")
    return await chat_page(request, block_id, refused=TurnForm({"text": last.text}))


async def get_conversation_page(request: Request[State]) -> Response:
    """`?edit=` names a question that the composer shall hold, to be asked differently; `?before=` shows the messages
    above those of the page that gave it, with `?at=` those from that one on, with `?after=` those behind it; `?branch=`
    offers to show another version, where a search has found something, and `?removed=` to bring back what was deleted
    just now.
    """
    deps, block_id = deps_of(request), block_id_of(request)
    if (await deps.store.block(block_id)).get("ai:store") is False:
        return RedirectResponse(f"/temporary/{block_id}", status_code=303)
    if (before := request.query_params.get("before")) is not None:
        return await _earlier_page(request, block_id, before)
    if await deps.trash.holds(block_id):
        return await chat_page(request, f"chat-{deps.new_id()}", deleted=block_id)
    query = request.query_params
    return await chat_page(
        request, block_id, editing=query.get("edit"), found=query.get("branch"), removed=query.get("removed")
    )


async def _earlier_page(request: Request[State], block_id: str, before: str) -> Response:
    """The messages above those that a page shows: for htmx what is put there, else a page of their own."""
    deps = deps_of(request)
    at, after = request.query_params.get("at"), request.query_params.get("after")
    transcript = await load_part(deps, block_id, before=before, at=at, after=after) if at or after else None
    if (transcript := transcript or await load_transcript(deps, block_id, before=before)) is None:
        raise NotFound("There is no such conversation.")
    if "hx-request" in request.headers:
        return HTMLResponse(await asyncio.to_thread(render_transcript, deps.templates, transcript.values))
    values = {**transcript.values, "title": transcript.title, "block_id": block_id}
    return await app_page(request, "earlier.html", current=block_id, **values)


async def post_turn(request: Request[State]) -> Response:
    """A turn, or another branch: for htmx a stream of fragments, for a plain form the page that it leads to. `?preset=`
    says who answers this once, the form's field who answers from now on.
    """
    deps = deps_of(request)
    block_id = block_id_of(request)
    live = "hx-request" in request.headers
    if live and "last-event-id" in request.headers:
        return await _attach(deps, block_id)  # htmx lost the connection and sends the same request again
    form = await read_form(request)
    fields = form.fields
    running = deps.runs.running(block_id)
    if live and running is not None and running.message_id == fields.get("continue"):
        return await _attach(deps, block_id)  # asked for in another tab too
    messages: Sequence[UIMessage] = ()
    behind = False
    try:
        messages = await _shown_messages(deps, block_id, fields.get("after"))
        behind = _is_behind(messages, fields.get("after"))
        if (branch := fields.get("branch")) is not None:
            conversation = await _choose(deps, block_id, branch)
            return stream_whole(deps, conversation) if live else _redirect(block_id)
        turn, question = turn_of(form, await _with_edited(deps, block_id, messages, fields.get("edit")))
        turn = replace(turn, preset=preset_of(request))
        if turn.preset is None:
            await _keep_preset(deps, block_id, fields.get("preset", ""))
        run = await deps.turns.begin(block_id, turn)
    except AppError as error:
        if live and behind and isinstance(error, ApprovalRefused):
            return await _attach(deps, block_id, whole=True)  # answered in another tab: shows what came of it
        if live:
            raise
        page = await chat_page(request, block_id, notice=error.message, refused=form, editing=fields.get("edit"))
        page.status_code = error.status
        return page
    if live:
        superseded = open_requests(messages[-1]) if question is not None and messages else ()
        return turn_stream(deps, run, question=question, superseded=superseded, whole=behind)
    with suppress(TimeoutError):
        async with asyncio.timeout(AT_ONCE_SECONDS), aclosing(deps.runs.read(run)) as events:
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
    run, transcript = await _present(deps, block_id)
    if run is None and not _is_behind(transcript.messages, after):
        return Response(status_code=204)
    return await _attach(deps, block_id, whole=True)


async def post_stop(request: Request[State]) -> Response:
    """Stop the running turn, for browsers without JavaScript."""
    block_id = block_id_of(request)
    await deps_of(request).turns.stop(block_id)
    return _redirect(block_id)


async def transcript_html(request: Request[State], conversation: Conversation) -> HTMLResponse:
    deps = deps_of(request)
    transcript = await load_transcript(deps, conversation.block_id) or Transcript()
    return HTMLResponse(await asyncio.to_thread(render_transcript, deps.templates, transcript.values))


async def chat_page(
    request: Request[State],
    block_id: str,
    *,
    history: Sequence[UIMessage] | None = None,
    chosen: str | None = None,
    notice: str = "",
    refused: TurnForm | None = None,
    editing: str | None = None,
    found: str | None = None,
    removed: str | None = None,
    deleted: str | None = None,
) -> Response:
    deps = deps_of(request)
    run, transcript = await _present(deps, block_id)
    if history is not None:
        run, transcript = None, Transcript(history, title=TEMPORARY)
    messages = transcript.messages
    known = await _with_edited(deps, block_id, messages, editing)
    edited = next((message for message in known if message.id == editing and message.role == "user"), None)
    chosen = chosen or await _chosen_preset(deps, block_id)
    values = {
        **transcript.values,
        "block_id": block_id,
        "title": transcript.title,
        "answer_id": run.message_id if run is not None else None,
        "base": run.base if run is not None else None,
        "mark": mark_of_messages(messages),
        "message_id": deps.new_id(),
        "edited": edited,
        "history": history,
        "presets": deps.configuration().chats(chosen),
        "chosen": chosen,
        "notice": notice,
        "found": found,
        "removed": removed,
        "deleted": deleted,
        **composer_values(deps, refused, edited),
        **(await welcome_values(deps, chosen) if not messages else {}),
    }
    return await app_page(request, "chat.html", current=block_id, **values)


async def _present(deps: Deps, block_id: str) -> tuple[Run | None, Transcript]:
    """The running turn, and the last messages without its answer, both of one moment."""
    while True:
        run = deps.runs.running(block_id)
        transcript = await load_transcript(deps, block_id, without=run.message_id if run is not None else None)
        if deps.runs.running(block_id) is run:
            return run, transcript or Transcript()


async def _shown_messages(deps: Deps, block_id: str, after: str | None) -> Sequence[UIMessage]:
    """What a page that ends with what `after` says goes on with. Deleted in another tab meanwhile, it is brought back:
    otherwise the turn would begin a new conversation in its place.
    """
    messages = (await _present(deps, block_id))[1].messages
    if messages or not after:
        return messages
    if not await deps.trash.restore(block_id):
        raise NotFound("This conversation has been deleted. Your message is still in the box: send it in a new chat.")
    return (await _present(deps, block_id))[1].messages


async def _with_edited(
    deps: Deps, block_id: str, messages: Sequence[UIMessage], edited_id: str | None
) -> Sequence[UIMessage]:
    """All messages, where the one to ask differently is not among the last."""
    if edited_id is None or any(message.id == edited_id for message in messages):
        return messages
    conversation = await deps.store.load(block_id)
    return conversation.messages if conversation is not None else ()


def _is_behind(messages: Sequence[UIMessage], after: str | None) -> bool:
    """Whether a page that ends with what `after` says lacks something. One that does not say lacks nothing."""
    return after is not None and after != mark_of_messages(messages)


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
        return turn_stream(deps, run, whole=whole, timed=False)
    conversation = await deps.store.load(block_id, limit=1)
    return Response(status_code=204) if conversation is None else stream_whole(deps, conversation)


def _redirect(block_id: str) -> Response:
    return RedirectResponse(f"/c/{block_id}", status_code=303)


def stream_whole(deps: Deps, conversation: Conversation, removed: str | None = None) -> Response:
    """The transcript where nothing runs; `removed` as `HtmlEncoder.transcript` has it."""
    encoder = HtmlEncoder(deps.templates, "")
    return stream_response(_whole(deps, conversation, encoder, removed), encoder)


async def _whole(
    deps: Deps, conversation: Conversation, encoder: HtmlEncoder, removed: str | None
) -> AsyncGenerator[bytes, None]:
    transcript = await load_transcript(deps, conversation.block_id) or Transcript()
    mark = mark_of_messages(transcript.messages)
    yield await asyncio.to_thread(encoder.transcript, transcript.values, mark, removed)
    yield encoder.end()


def turn_stream(
    deps: Deps,
    run: Run,
    *,
    question: UIMessage | None = None,
    superseded: Sequence[ToolPart] = (),
    whole: bool = False,
    timed: bool = True,
    history: Callable[[], Awaitable[Sequence[UIMessage]]] | None = None,
) -> Response:
    """The run as it goes on.

    Args:
        deps: where everything is.
        run: what the page shall show.
        question: what the page does not show yet; None where an answer is made anew or gone on with.
        superseded: calls that the page shows with a question for approval, which nobody asks any more.
        whole: the page lacks more than the question and the answer.
        timed: the events come as they happen.
        history: gives what the page of a temporary chat keeps, when the run has ended.
    """
    encoder = HtmlEncoder(deps.templates, run.message_id, base=run.base, timed=timed)
    return stream_response(_fragments(deps, run, encoder, question, superseded, whole=whole, history=history), encoder)


async def _fragments(
    deps: Deps,
    run: Run,
    encoder: HtmlEncoder,
    question: UIMessage | None,
    superseded: Sequence[ToolPart],
    *,
    whole: bool,
    history: Callable[[], Awaitable[Sequence[UIMessage]]] | None,
) -> AsyncGenerator[bytes, None]:
    events = deps.runs.read(run)
    first = asyncio.ensure_future(next_batch(events))  # attached at once: a run without readers may be replaced
    try:
        transcript = await load_transcript(deps, run.block_id, without=run.message_id) or Transcript()
        shown = transcript.values if whole else {"messages": None, "places": transcript.places or {}}
        opening = partial(
            encoder.opening,
            run.user_message_id or "",
            question=question,
            superseded=superseded,
            **shown,
            title=TEMPORARY if history is not None else transcript.title or "New chat",
            message_id=deps.new_id(),
        )
        yield await asyncio.to_thread(opening)
        batch = await first
        while batch:
            began = time.monotonic()
            fragments = await _encoded(encoder, batch)
            if fragments:
                yield fragments
            await asyncio.sleep(max(FLUSH_SECONDS, _REST * (time.monotonic() - began)))
            batch = await next_batch(events)
        ended = await load_transcript(deps, run.block_id) or Transcript()
        if not encoder.has_begun and ended.messages and ended.messages[-1].id != run.user_message_id:
            # Nothing came of it: what the page showed below the question stands there again.
            yield await asyncio.to_thread(encoder.transcript, ended.values, mark_of_messages(ended.messages))
        place, told = (ended.places or {}).get(run.message_id), ended.told_before(run.message_id)
        said = await history() if history is not None else None
        rated = ended.ratings.get(run.message_id)
        yield await asyncio.to_thread(partial(encoder.end, place, told, rated=rated, history=said))
    finally:
        first.cancel()
        await asyncio.wait([first])
        await events.aclose()


async def _encoded(encoder: HtmlEncoder, batch: Sequence[StreamEvent]) -> bytes:
    """A thread costs more than a few words do."""
    if len(batch) <= _FEW and encoder.work < _LITTLE:
        return encoder.encode(batch)
    return await asyncio.to_thread(encoder.encode, batch)
