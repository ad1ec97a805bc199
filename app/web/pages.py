"""The htmx page: one page for a conversation, and its turns as streams of HTML fragments.

Everything here works without JavaScript too: the form is a form, and the page it leads to has the whole answer.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.chat.live import Run
from app.chat.presets import check_block_changes
from app.core.errors import AppError, InvalidRequest
from app.core.events import StreamEvent
from app.core.messages import TextPart, UIMessage
from app.core.model import Preset, TurnRequest
from app.core.ports import Conversation, ConversationPage
from app.web.deps import Deps, State
from app.web.requests import block_id_of, deps_of
from app.web.streaming import stream_response
from app.wire.html import HtmlEncoder, describe_ending, element_id, pretty_json
from app.wire.markdown import render

LISTED = 40
"""Conversations in the sidebar before "Show more"."""
FLUSH_SECONDS = 0.03
"""Between two messages of a stream; what the model says in the meantime goes out together."""
_REST = 4
"""Between two messages a stream also rests this many times what the last one cost to render."""

_MESSAGE_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_INLINE_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+", re.ASCII)


def create_templates(folder: Path, static_folder: Path) -> Environment:
    """The templates of `folder`; `static('app.css')` in them is the file's URL with a hash of its content."""
    hashes = {
        path.relative_to(static_folder).as_posix(): sha256(path.read_bytes()).hexdigest()[:12]
        for path in static_folder.rglob("*")
        if path.is_file()
    }
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    environment.globals["static"] = lambda name: f"/static/{name}?v={hashes[name]}"
    environment.filters.update(
        markdown=lambda text: Markup(render(text)),  # noqa: S704  # sanitised; nothing else is inserted unescaped
        element_id=element_id,
        ending=describe_ending,
        pretty_json=pretty_json,
        preset_title=preset_title,
        preset_model=preset_model,
    )
    environment.tests["inline_image"] = lambda url: _INLINE_IMAGE.fullmatch(url) is not None
    return environment


def preset_title(preset: Preset) -> str:
    """Nobody knows a preset called `default`: that one is known by its model."""
    return preset.title or (preset.name if preset.name != "default" else preset_model(preset) or preset.name)


def preset_model(preset: Preset) -> str:
    return preset.values.model or preset.default_model or ""


async def get_home(request: Request[State]) -> Response:
    """A new chat. `?preset=` chooses who answers it."""
    deps = deps_of(request)
    return await _page(request, f"chat-{deps.new_id()}", chosen=request.query_params.get("preset"))


async def get_conversation_page(request: Request[State]) -> Response:
    return await _page(request, block_id_of(request))


async def post_turn(request: Request[State]) -> Response:
    """A turn: for htmx a stream of fragments, for a plain form the page with the whole answer."""
    deps = deps_of(request)
    block_id = block_id_of(request)
    live = "hx-request" in request.headers
    if live and "last-event-id" in request.headers:
        return await _attach(deps, block_id)  # htmx lost the connection and sends the same request again
    form = await _read_form(request)
    try:
        await _keep_preset(deps, block_id, form.preset)
        run = await deps.turns.begin(block_id, form.turn)
    except AppError as error:
        if live:
            raise
        page = await _page(request, block_id, notice=error.message, text=form.text)
        page.status_code = error.status
        return page
    events = deps.runs.read(run)
    if live:
        encoder = HtmlEncoder(deps.templates, run.message_id)
        return stream_response(_fragments(deps, run, events, encoder, form.question), encoder)
    async with aclosing(events):
        async for _ in events:
            pass
    return RedirectResponse(f"/c/{block_id}", status_code=303)


async def get_turn_stream(request: Request[State]) -> Response:
    """Attach to the running turn again, after a reload or a lost connection."""
    return await _attach(deps_of(request), block_id_of(request))


def transcript_html(request: Request[State], conversation: Conversation) -> HTMLResponse:
    template = deps_of(request).templates.get_template("transcript.html")
    return HTMLResponse(template.render(messages=conversation.messages, answer_id=None))


def conversation_list_html(request: Request[State], page: ConversationPage) -> HTMLResponse:
    template = deps_of(request).templates.get_template("conversations.html")
    return HTMLResponse(template.render(page=page, current=None))


async def _page(
    request: Request[State], block_id: str, *, chosen: str | None = None, notice: str = "", text: str = ""
) -> Response:
    deps = deps_of(request)
    # In this order: a run that ends in between has its answer in the conversation.
    run = deps.runs.running(block_id)
    conversation = await deps.store.load(block_id)
    messages = conversation.messages if conversation is not None else ()
    if run is not None and any(message.id == run.message_id for message in messages):
        run = None
    values = {
        "block_id": block_id,
        "title": conversation.title if conversation is not None else "",
        "messages": messages,
        "answer_id": run.message_id if run is not None else None,
        "message_id": deps.new_id(),
        "presets": deps.configuration().presets,
        "chosen": chosen or await _chosen_preset(deps, block_id),
        "page": await deps.store.page(limit=LISTED),
        "current": block_id,
        "notice": notice,
        "text": text,
    }
    template = deps.templates.get_template("chat.html")
    return HTMLResponse(await asyncio.to_thread(template.render, values))  # long answers take their time


async def _chosen_preset(deps: Deps, block_id: str) -> str:
    block = await deps.store.block(block_id)
    return str(block.get("ai:preset") or deps.configuration().preset or "default")


async def _keep_preset(deps: Deps, block_id: str, preset: str) -> None:
    """The picker's choice belongs to the block: it holds for later turns and after a reload."""
    if not preset or preset == await _chosen_preset(deps, block_id):
        return
    await deps.store.patch_block(block_id, check_block_changes(deps.configuration(), {"ai:preset": preset}))


@dataclass(frozen=True, slots=True)
class _Form:
    text: str
    preset: str
    turn: TurnRequest
    question: UIMessage | None
    """The message that the page does not show yet; None where an answer is made anew."""


async def _read_form(request: Request[State]) -> _Form:
    """The fields `text` or `starter`, `preset`, `message_id`; or `regenerate`: the answer to make anew, empty for the
    one that the last message never got.
    """
    async with request.form(max_files=0, max_fields=20) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if any("\0" in value for value in fields.values()):
        raise InvalidRequest("The form holds a NUL character, which cannot be stored.")
    message_id = fields.get("message_id") or deps_of(request).new_id()
    if _MESSAGE_ID.fullmatch(message_id) is None:
        raise InvalidRequest("`message_id` must be 1 to 64 letters, digits, `_` or `-`.", param="message_id")
    text = (fields.get("starter") or fields.get("text", "")).replace("\r\n", "\n").strip("\n").rstrip()
    preset = fields.get("preset", "")
    if (answer_id := fields.get("regenerate")) is not None:
        again = TurnRequest((), message_only=True, trigger="regenerate-message", message_id=answer_id or None)
        return _Form(text, preset, again, None)
    question = UIMessage(id=message_id, role="user", parts=(TextPart(type="text", text=text),))
    return _Form(text, preset, TurnRequest((question,), message_only=True), question)


async def _attach(deps: Deps, block_id: str) -> Response:
    run = deps.runs.running(block_id)
    if run is not None:
        encoder = HtmlEncoder(deps.templates, run.message_id, timed=False)
        return stream_response(_fragments(deps, run, deps.runs.replay(run), encoder, None), encoder)
    conversation = await deps.store.load(block_id)
    if conversation is None:
        return Response(status_code=204)
    encoder = HtmlEncoder(deps.templates, "")
    return stream_response(_whole(deps, conversation, encoder), encoder)


async def _whole(deps: Deps, conversation: Conversation, encoder: HtmlEncoder) -> AsyncGenerator[bytes, None]:
    """The run ended before the page came back: the transcript as it is stored."""
    yield await asyncio.to_thread(encoder.transcript, conversation.messages)
    yield encoder.end()


async def _fragments(
    deps: Deps,
    run: Run,
    events: AsyncGenerator[Sequence[StreamEvent], None],
    encoder: HtmlEncoder,
    question: UIMessage | None,
) -> AsyncGenerator[bytes, None]:
    first = asyncio.ensure_future(anext(events, []))  # attached at once: a run without readers may be replaced
    try:
        page = await deps.store.page(limit=LISTED)
        titles = {item.block_id: item.title for item in page.items}
        yield encoder.opening(
            question=question,
            question_id=run.user_message_id or "",
            title=titles.get(run.block_id) or "New chat",
            message_id=deps.new_id(),
            page=page,
            current=run.block_id,
        )
        batch = await first
        while batch:
            began = time.monotonic()
            fragments = await asyncio.to_thread(encoder.encode, batch)
            if fragments:
                yield fragments
            await asyncio.sleep(max(FLUSH_SECONDS, _REST * (time.monotonic() - began)))
            batch = await anext(events, [])
        yield encoder.end()
    finally:
        first.cancel()
        await asyncio.wait([first])
        await events.aclose()
