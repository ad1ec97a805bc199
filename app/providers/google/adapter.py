"""Google's Gemini API (`models.streamGenerateContent`, v1beta), without an SDK: theirs weighs 75 MB, and its reader
stumbles over comments and event names in the stream.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx2

from app.core.errors import ProviderError
from app.core.events import CallWarning
from app.core.model import ModelRequest, NamedTool, Timeouts
from app.core.tools import ToolSpec
from app.providers.endpoint import Endpoint
from app.providers.exchange import Prepared
from app.providers.failures import Failures
from app.providers.google.answer import GoogleAnswer
from app.providers.google.contents import to_contents
from app.providers.google.settings import generation_config, is_old_model, takes_schema
from app.providers.http import incoming, limits, new_client, translate
from app.providers.reader import Incoming
from app.providers.retry import retry_after
from app.providers.system_prompt import system_prompt
from app.providers.unmapped import Unmapped

_TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")


class GoogleStatusError(Exception):
    """An answer with an error status."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(f"status {response.status_code}")
        body = _decoded(response)
        details = _error_details(body)
        self.body = body
        wrong_key = any(detail.get("reason") == "API_KEY_INVALID" for detail in details)
        self.status = 401 if wrong_key else response.status_code  # Google says 400, as to any wrong argument
        self.retry_after = retry_after(response.headers)
        if self.retry_after is None:
            delays = (_DELAY.fullmatch(str(detail.get("retryDelay"))) for detail in details)
            self.retry_after = next((float(delay[1]) for delay in delays if delay), None)


class GoogleAdapter:
    def __init__(self, endpoint: Endpoint, unmapped: Unmapped) -> None:
        self._unmapped = unmapped
        self._base_url = endpoint.base_url
        self._headers = headers_of(endpoint)
        self._client = new_client(endpoint)

    def prepare(self, request: ModelRequest) -> Prepared:
        return prepared_generation(request, self._unmapped)

    @asynccontextmanager
    async def send(self, body: Mapping[str, Any], timeouts: Timeouts) -> AsyncGenerator[Incoming, None]:
        url = f"{self._base_url}/{model_path(body['model'])}:streamGenerateContent?alt=sse"
        content = {name: value for name, value in body.items() if name != "model"}
        stream = self._client.stream("POST", url, headers=self._headers, json=content, timeout=limits(timeouts))
        async with stream as response:
            if not response.is_success:
                await response.aread()
                raise GoogleStatusError(response)
            yield incoming(response)

    def answer(self, request: ModelRequest) -> GoogleAnswer:
        return GoogleAnswer(self._unmapped)

    def translate(self, error: Exception, failures: Failures, *, answering: bool) -> ProviderError:
        return translate_google(error, failures, answering=answering)

    async def close(self) -> None:
        await self._client.aclose()


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    key = {"x-goog-api-key": endpoint.key} if endpoint.key else {}
    return {**dict(endpoint.headers), **key}


def translate_google(error: Exception, failures: Failures, *, answering: bool) -> ProviderError:
    if isinstance(error, GoogleStatusError):
        return failures.status(error.status, error.body, error.retry_after)
    return translate(error, failures, answering=answering)


def model_path(model: str) -> str:
    """The model's place below the base URL; whatever else its name holds, it leads nowhere else."""
    folder, _, name = model.partition("/")
    if not name or folder not in ("models", "tunedModels"):
        folder, name = "models", model
    return f"{folder}/{quote(name, safe=':;=,@+~')}"


def prepared_generation(request: ModelRequest, unmapped: Unmapped) -> Prepared:
    """The body of `streamGenerateContent`, and with it the `model`, which stands in the address."""
    warnings: list[CallWarning] = []
    is_old = is_old_model(request.model)
    tools = _tools(request, is_old, warnings)
    no_json = bool(tools) and is_old
    config = generation_config(request, warnings, no_json=no_json)
    system = system_prompt(request, tells_schema=no_json or not takes_schema(request.model))
    body = {
        "model": request.model,
        **tools,
        **({"systemInstruction": {"parts": [{"text": system}]}} if system else {}),
        "contents": to_contents(request.messages, unmapped, sign_calls=not is_old),
        **({"generationConfig": config} if config else {}),
    }
    return Prepared(body, tuple(warnings))


def _tools(request: ModelRequest, is_old: bool, warnings: list[CallWarning]) -> dict[str, Any]:
    """`tools`, whether they shall be called, and what mixing ours with Google's own needs."""
    declared = [spec for spec in request.tools if _TOOL_NAME.fullmatch(spec.name)]
    for spec in request.tools:
        if spec not in declared:
            details = f"Gemini takes no tool whose name begins with a digit or a hyphen; {spec.name} was left out."
            warnings.append(CallWarning("tools", details))
    own: Sequence[Mapping[str, Any]] = request.provider_tools
    if own and declared and is_old:
        warnings.append(CallWarning("provider_tools", "This model takes no tools of Google's own beside others."))
        own = ()
    tools = [dict(tool) for tool in own]
    if declared:
        tools.append({"functionDeclarations": [_declaration(spec) for spec in declared]})
    if not tools:
        return {}
    config: dict[str, Any] = {}
    if declared and (calling := _calling(request, declared)):
        config["functionCallingConfig"] = calling
    if own and declared:
        config = {"functionCallingConfig": {"mode": "VALIDATED"}, **config, "includeServerSideToolInvocations": True}
    if declared and request.parallel_tools is False:
        warnings.append(CallWarning("parallel_tools", "Gemini cannot be told to call one tool at a time."))
    return {"tools": tools, **({"toolConfig": config} if config else {})}


def _calling(request: ModelRequest, declared: Sequence[ToolSpec]) -> dict[str, Any]:
    match request.tool_choice:
        case NamedTool(name) if any(spec.name == name for spec in declared):
            return {"mode": "ANY", "allowedFunctionNames": [name]}
        case "required":
            return {"mode": "ANY"}
        case "none":
            return {"mode": "NONE"}
        case _:
            return {}


def _declaration(spec: ToolSpec) -> dict[str, Any]:
    """`parametersJsonSchema` takes JSON schemas as they are; `parameters`, the older field, refuses half of them."""
    schema = {name: value for name, value in spec.input_schema.items() if name != "$schema"}
    return {"name": spec.name, "description": spec.description, "parametersJsonSchema": schema}


def _decoded(response: httpx2.Response) -> object:
    """An error's body. Without `alt=sse` reaching the service it stands in a list."""
    try:
        body = response.json()
    except ValueError:
        return response.text
    return body[0] if isinstance(body, list) and body else body


def _error_details(body: object) -> list[Mapping[str, Any]]:
    """The typed `details` of Google's errors: why it failed, when to try again."""
    error = body.get("error") if isinstance(body, Mapping) else None
    details = error.get("details") if isinstance(error, Mapping) else None
    return [detail for detail in details if isinstance(detail, Mapping)] if isinstance(details, list) else []
