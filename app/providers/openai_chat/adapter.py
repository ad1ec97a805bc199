"""OpenAI's chat completions and whoever speaks them, through the official SDK: it builds, signs and sends; the answer
is read as bytes. How a service differs stands in its row of the catalog.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from app.core.errors import ProviderError
from app.core.events import CallWarning
from app.core.model import JsonSchema, ModelRequest, NamedTool, Timeouts
from app.core.values import Thinking
from app.providers.catalog import Service
from app.providers.dialects import Effort
from app.providers.endpoint import Endpoint
from app.providers.exchange import Prepared
from app.providers.failures import Failures
from app.providers.http import translate
from app.providers.openai_chat.answer import OpenAIChatAnswer
from app.providers.openai_chat.messages import chat_messages
from app.providers.openai_client import new_openai_client, posted
from app.providers.openai_models import abilities
from app.providers.reader import Incoming
from app.providers.thinking import nearest_effort
from app.providers.unmapped import Unmapped


class OpenAIChatAdapter:
    def __init__(self, endpoint: Endpoint, unmapped: Unmapped) -> None:
        self._provider = endpoint.provider
        self._service = endpoint.service
        self._unmapped = unmapped
        self._client = new_openai_client(endpoint)

    def prepare(self, request: ModelRequest) -> Prepared:
        return prepared_completion(request, self._provider, self._service)

    def send(self, body: Mapping[str, Any], timeouts: Timeouts) -> AbstractAsyncContextManager[Incoming]:
        return posted(self._client, "/chat/completions", body, timeouts)

    def answer(self, request: ModelRequest) -> OpenAIChatAnswer:
        return OpenAIChatAnswer(self._provider, self._service.dialect, self._unmapped)

    def translate(self, error: Exception, failures: Failures, *, answering: bool) -> ProviderError:
        return translate(error, failures, answering=answering)

    async def close(self) -> None:
        await self._client.close()


def prepared_completion(request: ModelRequest, provider: str, service: Service) -> Prepared:
    """The body of a chat completion for `service`, whose row in the catalog is `provider`."""
    warnings: list[CallWarning] = []
    body: dict[str, Any] = {
        "model": request.model,
        "messages": chat_messages(request, provider, service, warnings),
        **_tools(request, service, warnings),
        **_sampling(request, service, warnings),
        **_effort(request, service, warnings),
    }
    if request.response_format == "json":
        body |= _json_format(request.json_schema, service, warnings)
    if service.dialect.usage_in_stream:
        body["stream_options"] = {"include_usage": True}
    return Prepared(body, tuple(dict.fromkeys(warnings)))


def _json_format(schema: JsonSchema | None, service: Service, warnings: list[CallWarning]) -> dict[str, Any]:
    if schema is not None and service.dialect.json_schema:
        said = {"name": schema.name, "description": schema.description, "strict": schema.strict}
        wanted = {**{key: value for key, value in said.items() if value is not None}, "schema": dict(schema.schema)}
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}
    if schema is not None:
        details = f"{service.title} takes no JSON schema: the model is only told it."
        warnings.append(CallWarning("response_format", details))
    if service.json_mode:
        return {"response_format": {"type": "json_object"}}
    details = f"{service.title} has no JSON mode: the model is only told to answer with JSON."
    warnings.append(CallWarning("response_format", details))
    return {}


def _tools(request: ModelRequest, service: Service, warnings: list[CallWarning]) -> dict[str, Any]:
    tools: list[dict[str, Any]] = []
    if service.dialect.takes_tools:
        for tool in request.tools:
            function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.input_schema)}
            tools.append({"type": "function", "function": function})
    elif request.tools:
        warnings.append(CallWarning("tools", f"{service.title} takes no tools: they were left out."))
    tools += map(dict, request.provider_tools)
    return {"tools": tools, **_calling(request)} if tools else {}


def _calling(request: ModelRequest) -> dict[str, Any]:
    """Whether the model shall call its tools, and how many at once."""
    calling: dict[str, Any] = {}
    if isinstance(request.tool_choice, NamedTool):
        calling["tool_choice"] = {"type": "function", "function": {"name": request.tool_choice.name}}
    elif request.tool_choice is not None:
        calling["tool_choice"] = request.tool_choice
    if request.parallel_tools is not None:
        calling["parallel_tool_calls"] = request.parallel_tools
    return calling


def _sampling(request: ModelRequest, service: Service, warnings: list[CallWarning]) -> dict[str, Any]:
    model = abilities(request.model)
    refused = service.dialect.refuses
    if model.reasons:
        samples = model.sampling and request.thinking in ("off", 0)
        refused |= {"stop"} if samples else {"stop", "temperature", "top_p"}
    said = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop) or None,
        "max_completion_tokens" if model.reasons else "max_tokens": request.max_tokens,
    }
    settings: dict[str, Any] = {}
    for name, value in said.items():
        if value is not None and name in refused:
            who = "This model" if model.reasons else service.title
            warnings.append(CallWarning(name, f"{who} does not take it: it was left out."))
        elif value is not None:
            settings[name] = value
    return settings


def _effort(request: ModelRequest, service: Service, warnings: list[CallWarning]) -> Mapping[str, Any]:
    if request.thinking is None:
        return {}
    model = abilities(request.model)
    efforts = dict(service.dialect.efforts) if model.reasons is not False else {"off": {}}
    if model.least_effort is not None:
        efforts["off"] = {"reasoning_effort": model.least_effort}
    wanted = _wanted(request.thinking)
    effort: Effort = wanted if wanted in efforts or wanted == "off" else "high"
    if effort not in efforts:
        warnings.append(CallWarning("thinking", "How much this model thinks cannot be chosen: it was left out."))
        return {}
    told = efforts[effort].get("reasoning_effort", effort)
    if told != request.thinking and not (effort == "off" and told in ("off", "none")):
        warnings.append(CallWarning("thinking", f"The nearest that this model can be told is the effort {told}."))
    return efforts[effort]


def _wanted(thinking: Thinking) -> Effort:
    """A budget in tokens as an effort."""
    if isinstance(thinking, str):
        return thinking
    return nearest_effort(thinking) if thinking else "off"
