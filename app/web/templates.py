"""The page templates, what they may call, and the pages around the sidebar."""

from __future__ import annotations

import asyncio
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from app.core.files import IMAGE_TYPES
from app.core.model import Preset
from app.web.deps import State
from app.web.requests import deps_of
from app.web.sidebar import by_time, sidebar_values
from app.wire.figures import cost_text, exact, short
from app.wire.json import dump_json
from app.wire.sources import Sources, surroundings
from app.wire.surroundings import Surroundings
from app.wire.tool_card import pretty_json, show_name, superseded_card, tool_card
from app.wire.transcript import describe_ending, element_id, shown_parts, timed_parts

_OWN_FILE = re.compile(r"(?:/share/[\w-]{1,64})?/files/[0-9a-f]{64}", re.ASCII)
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
        by_time=by_time,
        markdown=_markdown,
        surroundings=surroundings,
        listed_sources=lambda message: Sources(message.parts).listed,
        element_id=element_id,
        ending=describe_ending,
        pretty_json=pretty_json,
        superseded_card=superseded_card,
        tool_card=tool_card,
        tool_name=show_name,
        shown=shown_parts,
        timed_parts=timed_parts,
        wire_json=lambda messages: dump_json([message.to_wire() for message in messages]).decode(),
        preset_title=preset_title,
        preset_model=preset_model,
        exact=exact,
        cost_text=cost_text,
        short=short,
    )
    environment.tests["inline_image"] = lambda url: _INLINE_IMAGE.fullmatch(url) is not None
    environment.tests["own_file"] = lambda url: _OWN_FILE.fullmatch(url) is not None
    environment.tests["image_type"] = lambda media_type: media_type.lower() in IMAGE_TYPES
    return environment


def _markdown(text: str, around: Surroundings | None = None) -> Markup:
    """The only way into a page for what is not escaped."""
    from app.wire.markdown import render  # with the first text, not with the start

    return Markup(render(text, around))  # noqa: S704  # sanitised


def preset_title(preset: Preset) -> str:
    """Nobody knows a preset called `default`: that one is known by its model."""
    return preset.title or (preset.name if preset.name != "default" else preset_model(preset) or preset.name)


def preset_model(preset: Preset) -> str:
    return preset.values.model or preset.default_model or ""


async def app_page(
    request: Request[State], template: str, *, current: str | None = None, **values: Any
) -> HTMLResponse:
    """A page of the app: `template` extends `app.html`, whose sidebar is filled here; `current` is the open block."""
    deps = deps_of(request)
    shown = {**values, "sidebar": await sidebar_values(request, current)}
    html = await asyncio.to_thread(deps.templates.get_template(template).render, shown)  # long answers take their time
    return HTMLResponse(html)
