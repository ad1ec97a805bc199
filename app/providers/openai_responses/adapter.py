"""OpenAI's Responses API and whoever speaks it, through the official SDK: it builds, signs and sends; the answer is
read as bytes.

Nothing is kept at the service (`store: false`): the whole conversation goes along each time, and with it what the
service wants back, its thinking in encrypted form.
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
from app.providers.endpoint import Endpoint
from app.providers.exchange import Prepared
from app.providers.failures import Failures
from app.providers.http import translate
from app.providers.openai_client import new_openai_client, posted
from app.providers.openai_models import Abilities, abilities
from app.providers.openai_responses.answer import OpenAIResponsesAnswer
from app.providers.openai_responses.input import input_items
from app.providers.reader import Incoming
from app.providers.thinking import nearest_effort
from app.providers.unmapped import Unmapped

_SMALLEST_LIMIT = 16
"""Tokens of `max_output_tokens`."""


class OpenAIResponsesAdapter:
    def __init__(self, endpoint: Endpoint, unmapped: Unmapped) -> None:
        self._provider = endpoint.provider
        self._service = endpoint.service
        self._unmapped = unmapped
        self._client = new_openai_client(endpoint)

    def prepare(self, request: ModelRequest) -> Prepared:
        return prepared_response(request, self._provider, self._service, self._unmapped)

    def send(self, body: Mapping[str, Any], timeouts: Timeouts) -> AbstractAsyncContextManager[Incoming]:
        return posted(self._client, "/responses", body, timeouts)

    def answer(self, request: ModelRequest) -> OpenAIResponsesAnswer:
        functions = frozenset(tool.name for tool in request.tools)
        return OpenAIResponsesAnswer(self._unmapped, self._provider, functions)

    def translate(self, error: Exception, failures: Failures, *, answering: bool) -> ProviderError:
        return translate(error, failures, answering=answering)

    async def close(self) -> None:
        await self._client.close()


def prepared_response(request: ModelRequest, provider: str, service: Service, unmapped: Unmapped) -> Prepared:
    """The arguments of `responses.create` for `service`, whose row in the catalog is `provider`."""
    model = abilities(request.model)
    warnings: list[CallWarning] = []
    body: dict[str, Any] = {
        "model": request.model,
        "input": input_items(request, provider, unmapped),
        "store": False,
    }
    if tools := _tools(request):
        body |= {"tools": tools, **_calling(request)}
    if include := _include(request, model):
        body["include"] = include
    if request.response_format == "json" and service.json_mode:
        body["text"] = {"format": _json_format(request.json_schema)}
    if request.max_tokens is not None:
        body["max_output_tokens"] = max(request.max_tokens, _SMALLEST_LIMIT)
        if request.max_tokens < _SMALLEST_LIMIT:
            warnings.append(CallWarning("max_tokens", f"The smallest limit is {_SMALLEST_LIMIT} tokens."))
    if request.stop:
        warnings.append(CallWarning("stop", f"{service.title} takes no stop sequences."))
    effort = _effort(request.thinking, model, service, warnings)
    if effort is not None:
        thinks = request.thinking not in ("off", 0)
        body["reasoning"] = {"effort": effort, **({"summary": "auto"} if thinks else {})}
    body |= _sampling(request, model, effort, warnings)
    return Prepared(body, tuple(warnings))


def _tools(request: ModelRequest) -> list[Mapping[str, Any]]:
    """Functions are flat here. Not `strict`: that wants schemas of a special kind."""
    functions: list[Mapping[str, Any]] = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.input_schema,
            "strict": False,
        }
        for tool in request.tools
    ]
    return functions + list(request.provider_tools)


def _calling(request: ModelRequest) -> dict[str, Any]:
    """Whether the model shall call its tools, and how many at once."""
    calling: dict[str, Any] = {}
    if isinstance(request.tool_choice, NamedTool):
        calling["tool_choice"] = {"type": "function", "name": request.tool_choice.name}
    elif request.tool_choice is not None:
        calling["tool_choice"] = request.tool_choice
    if request.parallel_tools is not None:
        calling["parallel_tool_calls"] = request.parallel_tools
    return calling


def _json_format(schema: JsonSchema | None) -> dict[str, Any]:
    if schema is None:
        return {"type": "json_object"}
    said = {"description": schema.description, "strict": schema.strict}
    said = {key: value for key, value in said.items() if value is not None}
    return {"type": "json_schema", "name": schema.name, "schema": dict(schema.schema), **said}


def _include(request: ModelRequest, model: Abilities) -> list[str]:
    include = [] if model.reasons is False else ["reasoning.encrypted_content"]  # refused by those that do not
    if any(tool.get("type") == "code_interpreter" for tool in request.provider_tools):
        include.append("code_interpreter_call.outputs")
    return include


def _effort(thinking: Thinking | None, model: Abilities, service: Service, warnings: list[CallWarning]) -> str | None:
    """`reasoning.effort`; None: leave it to the model."""
    if thinking is None:
        return None
    off = thinking in ("off", 0)
    if model.reasons is False:
        if not off:
            warnings.append(CallWarning("thinking", "This model does not think."))
        return None
    if off:
        least = model.least_effort
        if least is None:
            warnings.append(CallWarning("thinking", f"{service.title} has no word for not thinking."))
        elif least != "none":
            warnings.append(CallWarning("thinking", f"This model always thinks; its effort is {least}."))
        return least
    if isinstance(thinking, str):
        return thinking
    effort = nearest_effort(thinking)
    warnings.append(CallWarning("thinking", f"{service.title} takes no budget of tokens; the effort is {effort}."))
    return effort


def _sampling(
    request: ModelRequest, model: Abilities, effort: str | None, warnings: list[CallWarning]
) -> dict[str, float]:
    values = {"temperature": request.temperature, "top_p": request.top_p}
    said = {name: value for name, value in values.items() if value is not None}
    if model.reasons and not (model.sampling and effort == model.least_effort):
        warnings += (CallWarning(name, f"This model takes no {name} while it thinks.") for name in said)
        return {}
    return said
