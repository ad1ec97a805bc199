"""`/api/ai/templates`: prompt templates, their versions, filled in, and as files."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import InvalidRequest, NotFound
from app.core.prompt_templates import StoredTemplate
from app.web.body import read_object
from app.web.deps import State
from app.web.requests import deps_of, if_match_of
from app.web.responses import JSONAnswer
from app.wire.json import parse_json
from app.wire.prompt_templates import (
    read_file,
    read_template,
    read_variables,
    to_filled,
    to_listed,
    to_wire,
    write_file,
)


async def get_templates(request: Request[State]) -> Response:
    stored = await deps_of(request).prompts.store.all()
    return JSONAnswer({"templates": [to_listed(template) for template in stored]})


async def get_template(request: Request[State]) -> Response:
    """The newest version, or `?version=`."""
    stored = await deps_of(request).prompts.find(name_of(request), version_of(request))
    return _answer(stored)


async def put_template(request: Request[State]) -> Response:
    """A new version, or a new template."""
    store = deps_of(request).prompts.store
    template = read_template(await read_object(request), name_of(request))
    stored = await store.save(template, if_version=if_match_of(request))
    return _answer(stored, status=201 if stored.version == 1 else 200)


async def delete_template(request: Request[State]) -> Response:
    if not await deps_of(request).prompts.store.delete(name_of(request), if_version=if_match_of(request)):
        raise NotFound("There is no such template.")
    return Response(status_code=204)


async def get_versions(request: Request[State]) -> Response:
    """Newest first. To restore one, load it and save it again."""
    versions = await deps_of(request).prompts.store.versions(name_of(request))
    if not versions:
        raise NotFound("There is no such template.")
    return JSONAnswer({"versions": [{"version": each.version, "savedAt": each.saved_at} for each in versions]})


async def post_render(request: Request[State]) -> Response:
    variables = read_variables(await read_object(request))
    stored = await deps_of(request).prompts.find(name_of(request))
    return JSONAnswer(to_filled(stored.template.filled(variables)))


async def get_export(request: Request[State]) -> Response:
    """A file to download: all templates, or the one that `?name=` says."""
    prompts = deps_of(request).prompts
    name = request.query_params.get("name")
    stored = await prompts.store.all() if name is None else [await prompts.find(name)]
    file_name = "palaver-templates.json" if name is None else f"palaver-template-{stored[0].template.name}.json"
    content = write_file(template.template for template in stored)
    headers = {"content-disposition": f'attachment; filename="{file_name}"'}
    return Response(content, media_type="application/json", headers=headers)


async def post_import(request: Request[State]) -> Response:
    return JSONAnswer(await import_templates(request, await request.body()))


async def import_templates(request: Request[State], content: bytes) -> dict[str, Any]:
    """Save what the file holds: what is there under the same name gets a new version, and keeps its old ones."""
    store = deps_of(request).prompts.store
    file = await asyncio.to_thread(lambda: read_file(parse_json(content)))
    imported = []
    for _, template in file.templates:
        stored = await store.save(template)
        imported.append({"name": template.name, "version": stored.version})
    return {"imported": imported, "skipped": [{"index": index, "why": why} for index, why in file.skipped]}


def name_of(request: Request[State]) -> str:
    return str(request.path_params["name"])


def _answer(stored: StoredTemplate, *, status: int = 200) -> Response:
    return JSONAnswer(to_wire(stored), status_code=status, headers={"etag": f'"{stored.version}"'})


def version_of(request: Request[State]) -> int | None:
    """`?version=`."""
    value = request.query_params.get("version")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise InvalidRequest("`version` must be a number.", param="version")
    return int(value)
