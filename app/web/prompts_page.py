"""`/templates`: the pages of prompt templates. Plain forms; where there are scripts, the preview follows the typing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.chat.prompt_examples import EXAMPLES
from app.core.errors import AppError, NotFound
from app.core.prompt_templates import PromptMessage, PromptTemplate, StoredTemplate, check_template
from app.web.deps import State
from app.web.pages import begin_with
from app.web.prompts_api import import_templates, name_of, version_of
from app.web.prompts_form import Draft, draft_of, read_draft, try_draft
from app.web.requests import deps_of
from app.web.templates import app_page

_PAGE = "/templates"


async def get_list(request: Request[State]) -> Response:
    return await _list(request)


async def get_new(request: Request[State]) -> Response:
    """An empty form, or `?from=`: a copy to change."""
    if (source := request.query_params.get("from")) is None:
        return await _editor(request, Draft())
    copy = draft_of(await deps_of(request).prompts.find(source), 0)
    title = f"{copy.title} (copy)" if copy.title else ""
    return await _editor(request, replace(copy, name=f"{copy.name[:59]}-copy", title=title))


async def get_editor(request: Request[State]) -> Response:
    """A template to look at, try and change; `?version=` an older one, which is brought back by saving it."""
    prompts, name = deps_of(request).prompts, name_of(request)
    versions = await prompts.store.versions(name)
    if not versions:
        raise NotFound("There is no such template.")
    stored = await prompts.find(name, version_of(request))
    draft = draft_of(stored, versions[0].version)
    return await _editor(request, draft, versions, version=stored.version)


async def post_new(request: Request[State]) -> Response:
    draft, _ = await read_draft(request)
    return await _save(request, draft)


async def post_editor(request: Request[State]) -> Response:
    """Save, or delete where the button says so."""
    draft, fields = await read_draft(request, name_of(request))
    if "delete" in fields:
        await deps_of(request).prompts.store.delete(draft.name)
        return _to(_PAGE)
    return await _save(request, draft)


async def post_preview(request: Request[State]) -> Response:
    """The form tried out: for htmx what changes, else the whole page. `add` adds a message to the form."""
    draft, fields = await read_draft(request)
    if "hx-request" in request.headers:
        trial = try_draft(draft)
        template = deps_of(request).templates.get_template("prompt_trial.html")
        return HTMLResponse(
            template.render(hx=True, draft=draft, trial=trial, changed=fields.get("shown") != trial.names)
        )
    if "add" in fields:
        draft = replace(draft, messages=[*draft.messages, PromptMessage("user", "")])
    return await _editor(request, draft)


async def post_use(request: Request[State]) -> Response:
    """A new chat that begins with what the form says, filled in."""
    draft, _ = await read_draft(request)
    try:
        template = check_template(replace(draft.template, name=draft.name or "unnamed"))
        content = template.filled(draft.given)
    except AppError as error:
        return await _editor(request, draft, notice=error)
    return await begin_with(request, content)


async def post_examples(request: Request[State]) -> Response:
    """Add the examples that are not there yet."""
    store = deps_of(request).prompts.store
    for example in EXAMPLES:
        if await store.load(example.name) is None:
            await store.save(example)
    return _to(_PAGE)


async def post_import(request: Request[State]) -> Response:
    async with request.form(max_fields=4, max_files=1) as form:
        file = form.get("file")
        content = await file.read() if isinstance(file, UploadFile) else b""
    try:
        result = await import_templates(request, content)
    except AppError as error:
        return await _list(request, notice=error)
    return await _list(request, result=result)


async def _list(
    request: Request[State], *, notice: AppError | None = None, result: Mapping[str, Any] | None = None
) -> Response:
    query = request.query_params.get("q", "")[:200]
    stored = await deps_of(request).prompts.store.all()
    names = {each.template.name for each in stored}
    page = await app_page(
        request,
        "prompt_templates.html",
        query=query,
        templates=[each.template for each in stored if _is_found(each.template, query)],
        count=len(stored),
        has_examples=names.issuperset(example.name for example in EXAMPLES),
        notice=notice.message if notice is not None else "",
        result=result,
    )
    page.status_code = notice.status if notice is not None else 200
    return page


def _is_found(template: PromptTemplate, query: str) -> bool:
    text = f"{template.name} {template.title} {template.description}".casefold()
    return all(word in text for word in query.casefold().split())


async def _save(request: Request[State], draft: Draft) -> Response:
    """Nobody's change is lost: one that was made since the form was loaded is told, and what was typed stays."""
    try:
        await deps_of(request).prompts.store.save(check_template(draft.template), if_version=draft.version)
    except AppError as error:
        return await _editor(request, draft, notice=error)
    return _to(f"{_PAGE}/{draft.name}?saved=true")


async def _editor(
    request: Request[State],
    draft: Draft,
    versions: Sequence[StoredTemplate] = (),
    *,
    version: int | None = None,
    notice: AppError | None = None,
) -> Response:
    if draft.version and not versions:
        versions = await deps_of(request).prompts.store.versions(draft.name)
    page = await app_page(
        request,
        "prompt_template.html",
        draft=draft,
        trial=try_draft(draft),
        hx=False,
        versions=versions,
        version=version or draft.version,
        is_saved="saved" in request.query_params,
        notice=notice.message if notice is not None else "",
    )
    page.status_code = notice.status if notice is not None else 200
    return page


def _to(address: str) -> Response:
    return RedirectResponse(address, status_code=303)
