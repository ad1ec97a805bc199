"""A request's settings in the terms of Gemini's models (`generationConfig`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.core.events import CallWarning
from app.core.model import ModelRequest
from app.core.values import Thinking
from app.providers.thinking import nearest_effort

_MOST_STOPS = 5

_OLD = re.compile(r"(?:^|/)gemini-[12](?:[.-]|$)")
_THOUGHTLESS = re.compile(r"(?:^|/)gemini-(?:1|2\.0)(?:[.-]|$)")
_BUDGETS: Mapping[str, int] = {"low": 4096, "medium": 12288, "high": 24576}


def is_old_model(model: str) -> bool:
    """Before Gemini 3: no mixing of tools, no JSON mode beside tools, no obligatory signatures."""
    return _OLD.search(model) is not None


def takes_schema(model: str) -> bool:
    """As `responseJsonSchema`: the older field refuses half of what a JSON schema may say."""
    return _THOUGHTLESS.search(model) is None


def generation_config(request: ModelRequest, warnings: list[CallWarning], *, no_json: bool) -> dict[str, Any]:
    """`no_json`: the model takes no JSON mode with the tools that are offered."""
    values = {"temperature": request.temperature, "topP": request.top_p, "maxOutputTokens": request.max_tokens}
    config: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    if request.stop:
        config["stopSequences"] = list(request.stop[:_MOST_STOPS])
    if len(request.stop) > _MOST_STOPS:
        warnings.append(CallWarning("stop", f"Gemini takes {_MOST_STOPS} stop sequences; the others were left out."))
    if request.response_format == "json" and no_json:
        details = "This model has no JSON mode beside tools; it was only asked to answer with JSON."
        warnings.append(CallWarning("response_format", details))
    elif request.response_format == "json":
        config["responseMimeType"] = "application/json"
        if request.json_schema is not None and takes_schema(request.model):
            schema = request.json_schema.schema
            config["responseJsonSchema"] = {name: value for name, value in schema.items() if name != "$schema"}
        elif request.json_schema is not None:
            details = "This model takes no JSON schema; it was only told it."
            warnings.append(CallWarning("response_format", details))
    if request.thinking is not None and (thinking := _thinking(request.model, request.thinking, warnings)):
        config["thinkingConfig"] = thinking
    return config


def _thinking(model: str, thinking: Thinking, warnings: list[CallWarning]) -> dict[str, Any]:
    if _THOUGHTLESS.search(model):
        if thinking not in ("off", 0):
            warnings.append(CallWarning("thinking", "This model does not think."))
        return {}
    if is_old_model(model):
        return _thinking_budget(model, thinking, warnings)
    if thinking in ("off", 0):
        warnings.append(CallWarning("thinking", "This model always thinks; it was asked to think little."))
        return {"thinkingLevel": "low"}
    level = nearest_effort(thinking, _BUDGETS) if isinstance(thinking, int) else thinking
    if level != thinking:
        details = f"This model takes an effort instead of a number of tokens; {level} was used."
        warnings.append(CallWarning("thinking", details))
    return {"thinkingLevel": level, "includeThoughts": True}


def _thinking_budget(model: str, thinking: Thinking, warnings: list[CallWarning]) -> dict[str, Any]:
    """Gemini 2.5 takes tokens, each model from its least to its most."""
    least, most = (128, 32768) if "-pro" in model else (512, 24576) if "-lite" in model else (1, 24576)
    wanted = thinking if isinstance(thinking, int) else _BUDGETS.get(thinking, 0)
    if wanted == 0 and "-pro" not in model:
        return {"thinkingBudget": 0}
    budget = min(max(wanted, least), most)
    if budget != wanted:
        details = f"This model thinks with {least:,} to {most:,} tokens; {budget:,} were used."
        warnings.append(CallWarning("thinking", details))
    return {"thinkingBudget": budget, "includeThoughts": wanted > 0}
