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
from app.wire.markdown import render
from app.wire.tool_card import pretty_json, show_name, superseded_card, tool_card
from app.wire.transcript import describe_ending, element_id, shown_parts, timed_parts

LISTED = 40
"""Conversations in the sidebar before "Show more"."""

_OWN_FILE = re.compile(r"/files/[0-9a-f]{64}")
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
        superseded_card=superseded_card,
        tool_card=tool_card,
        tool_name=show_name,
        shown=shown_parts,
        timed_parts=timed_parts,
        preset_title=preset_title,
        preset_model=preset_model,
    )
    environment.tests["inline_image"] = lambda url: _INLINE_IMAGE.fullmatch(url) is not None
    environment.tests["own_file"] = lambda url: _OWN_FILE.fullmatch(url) is not None
    environment.tests["image_type"] = lambda media_type: media_type.lower() in IMAGE_TYPES
    return environment


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
    shown = {**values, "page": await deps.store.page(limit=LISTED), "current": current}
    html = await asyncio.to_thread(deps.templates.get_template(template).render, shown)  # long answers take their time
    return HTMLResponse(html)
