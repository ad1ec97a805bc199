"""The page templates, what they may call, and the pages around the sidebar."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from app.core.files import IMAGE_TYPES
from app.core.model import Configuration, Preset
from app.web.deps import State
from app.web.requests import deps_of
from app.web.sidebar import by_time, sidebar_values
from app.web.static import accepts_gzip, assets_of
from app.wire.figures import cost_text, exact, short
from app.wire.json import dump_json
from app.wire.sources import Sources, surroundings
from app.wire.surroundings import Surroundings
from app.wire.tool_card import pretty_json, show_name, superseded_card, tool_card
from app.wire.transcript import describe_ending, element_id, shown_parts, timed_parts

_QUICK = 4
"""A level of compression."""
_OWN_FILE = re.compile(r"(?:/share/[\w-]{1,64})?/files/[0-9a-f]{64}", re.ASCII)
_INLINE_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+", re.ASCII)


def create_templates(folder: Path, static_folder: Path) -> Environment:
    """The templates of `folder`; `static('a.css', 'b.css')` in them is the URL of these files as one."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    environment.globals["static"] = assets_of(static_folder).address
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


def preset_titles(configuration: Configuration) -> Mapping[str, str]:
    """By name."""
    return {name: preset_title(preset) for name, preset in configuration.presets.items()}


def preset_model(preset: Preset) -> str:
    return preset.values.model or preset.default_model or ""


async def app_page(
    request: Request[State], template: str, *, current: str | None = None, **values: Any
) -> HTMLResponse:
    """A page of the app: `template` extends `app.html`, whose sidebar is filled here; `current` is the open block."""
    deps = deps_of(request)
    shown = {**values, "sidebar": await sidebar_values(request, current)}
    return await asyncio.to_thread(_page, request, deps.templates.get_template(template), shown)  # long ones take long


def _page(request: Request[State], template: Template, values: Mapping[str, object]) -> HTMLResponse:
    """Compressed, unless another site leads here: how long a page is would tell it what stands in it."""
    html = template.render(values)
    headers = {"vary": "accept-encoding, sec-fetch-site"}
    if not accepts_gzip(request) or request.headers.get("sec-fetch-site") == "cross-site":
        return HTMLResponse(html, headers=headers)
    headers["content-encoding"] = "gzip"
    return HTMLResponse(gzip.compress(html.encode(), _QUICK), headers=headers)
