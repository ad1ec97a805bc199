"""Could a preset answer now? For `palaver doctor` and the settings page.

Is the key there, is it accepted, does the service answer, and has it the model? It is asked for its list of models, for
the model by its name where the list does not have it, and where there is no list, something that it must refuse: what
it says to that tells a wrong address from a service that lists nothing. No question costs a token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from app.core.errors import NotConfigured
from app.core.model import Preset
from app.core.services import Check, ListedModel, LocalServer, ServiceFacts
from app.providers.catalog import CATALOG
from app.providers.discover import find_local_server
from app.providers.endpoint import Endpoint, endpoint
from app.providers.model_list import listed_models

if TYPE_CHECKING:
    import httpx2

_CHECK_SECONDS = 5.0
_KEPT_SECONDS = 10.0
_QUESTIONS = {
    "anthropic": "/v1/messages",
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "embeddings": "/embeddings",
}
"""Where an adapter's questions go; an empty one is always refused."""


class ConfiguredServices:
    """Implements `core.services.Services`. What it was told holds for ten seconds."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        own_port: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        local_urls: Mapping[str, str] | None = None,
    ) -> None:
        """`environ` is where keys come from; `local_urls` as in `find_local_server`."""
        self._environ = environ
        self._own_port = own_port
        self._clock = clock
        self._local_urls = local_urls
        self._checks: dict[str, tuple[float, Preset, str | None, asyncio.Task[Check]]] = {}
        self._local: tuple[float, LocalServer | None] | None = None

    def facts(self, preset: Preset) -> ServiceFacts:
        service = CATALOG[preset.provider]
        if service.adapter in ("echo", "router"):
            return ServiceFacts(service.title, "", None, "none", is_demo=service.adapter == "echo")
        try:
            found = endpoint(preset, self._environ)
        except NotConfigured:
            host = Endpoint(preset.provider, service, preset.base_url or service.base_url, None, None).host
            return ServiceFacts(service.title, host, preset.api_key_env or service.key_env, "missing")
        if found.key is not None:
            return ServiceFacts(service.title, found.host, found.key_name, "present")
        return ServiceFacts(service.title, found.host, found.key_name, "optional" if found.key_name else "none")

    def takes(self, preset: Preset) -> Container[str]:
        return CATALOG[preset.provider].takes

    async def check(self, preset: Preset, model: str | None = None) -> Check:
        now = self._clock()
        asked = self._checks.get(preset.name)
        if asked is None or asked[1:3] != (preset, model) or now - asked[0] > _KEPT_SECONDS or asked[3].cancelled():
            task = asyncio.create_task(check(preset, self._environ, model), name=f"check {preset.name}")
            asked = self._checks[preset.name] = (now, preset, model, task)
        return await asyncio.shield(asked[3])

    async def local_server(self) -> LocalServer | None:
        now = self._clock()
        if self._local is None or now - self._local[0] > _KEPT_SECONDS:
            self._local = now, await find_local_server(exclude_port=self._own_port, base_urls=self._local_urls)
        return self._local[1]

    async def close(self) -> None:
        """Nobody waits for what is still being asked."""
        tasks = [task for _, _, _, task in self._checks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def check(preset: Preset, environ: Mapping[str, str], model: str | None = None) -> Check:
    """`model`: the one to look for, instead of the preset's own."""
    service = CATALOG[preset.provider]
    if service.adapter == "echo":
        return Check(True, "Echo needs nothing.")
    if service.adapter == "wave_cloud":
        return Check(True, f"{service.title} has no list of models: only a question would show whether it answers.")
    try:
        found = endpoint(preset, environ)
    except NotConfigured as error:
        return Check(False, error.message)
    import httpx2

    from app.providers.http import new_client

    try:
        async with new_client(found) as client, asyncio.timeout(_CHECK_SECONDS):
            client.headers.update(_headers(found))
            return await _ask(client, found, model or preset.values.model or preset.default_model)
    except (httpx2.TransportError, TimeoutError):
        hint = "Start it, or check" if found.is_loopback else "Check the network and"
        return Check(False, f"{service.title} does not answer at {found.host}. {hint} base_url.")
    except Exception:  # noqa: BLE001 - an address can be wrong in many ways, a port above 65535 among them
        return Check(False, f"{service.title} cannot be asked at this base_url. Check how it is written.")


async def _ask(client: httpx2.AsyncClient, found: Endpoint, model: str | None) -> Check:
    title = found.service.title
    response = await client.get(_models_url(found), params=_MOST_MODELS.get(found.service.adapter))
    if response.status_code in (404, 405):
        return await _ask_nothing(client, found)
    if response.status_code != 200:
        return _refused(found, response.status_code)
    models = listed_models(response.content)
    if model is None or _is_listed(model, models, found) or not models:
        return Check(True, f"{title} answers and lists {len(models)} model{'s' * (len(models) != 1)}.", models)
    named = await client.get(f"{_models_url(found)}/{quote(model, safe='/:')}")
    if named.status_code == 200:
        return Check(True, f"{title} answers and knows the model {model!r}.", models)
    return Check(False, f"{title} answers, but has no model {model!r}. Check model.", models)


async def _ask_nothing(client: httpx2.AsyncClient, found: Endpoint) -> Check:
    """There is no list of models at the address. Is there anything?"""
    title = found.service.title
    wrong = Check(False, f"{title} has nothing at this base_url. Check its path: most end with /v1.")
    if (path := _QUESTIONS.get(found.service.adapter)) is None:
        return wrong
    base_url = found.base_url.removesuffix("/v1") if found.service.adapter == "anthropic" else found.base_url
    status = (await client.post(base_url + path, json={})).status_code
    if status in (404, 405):
        return wrong
    if status in (401, 403, 429) or status >= 500:
        return _refused(found, status)
    return Check(True, f"{title} answers. It has no list of models, so the model could not be checked.")


def _refused(found: Endpoint, status: int) -> Check:
    title = found.service.title
    if status in (401, 403):
        return Check(False, f"{title} refuses the key. Check {found.key_name or 'api_key_env'}.")
    if status >= 500 or status == 429:
        return Check(False, f"{title} answers with status {status}: it has trouble, or too much to do.")
    return Check(False, f"{title} answers with status {status}. Check base_url.")


def _is_listed(model: str, models: tuple[ListedModel, ...], found: Endpoint) -> bool:
    """Ollama leaves `:latest` out of a name, OpenRouter takes `:online` and the like behind one. Azure lists models,
    and is asked for deployments.
    """
    names = {listed.name for listed in models}
    takes_any = found.service.takes_any_model or found.host.endswith(".azure.com")
    return takes_any or not names.isdisjoint({model, f"{model}:latest", model.rpartition(":")[0]})


_MOST_MODELS: Mapping[str, Mapping[str, str]] = {"anthropic": {"limit": "1000"}, "google": {"pageSize": "1000"}}


def _models_url(found: Endpoint) -> str:
    if found.service.adapter == "anthropic":
        return found.base_url.removesuffix("/v1") + "/v1/models"
    return found.base_url + "/models"


def _headers(found: Endpoint) -> dict[str, str]:
    headers: dict[str, str] = {}
    if found.service.adapter == "anthropic":
        headers["anthropic-version"] = "2026-10-21"
    if found.key and found.service.adapter == "google":
        headers["x-goog-api-key"] = found.key
    elif found.key:
        headers["Authorization"] = f"Bearer {found.key}"
    return headers | dict(found.headers)
