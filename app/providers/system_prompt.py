"""The system prompt as it is sent."""

from __future__ import annotations

from app.core.model import ModelRequest

JSON_INSTRUCTION = "Answer with one valid JSON value and nothing else: no explanation and no Markdown fence."
"""Some services have no JSON mode, and those that have one want the word in the prompt."""


def system_prompt(request: ModelRequest) -> str | None:
    """The request's own prompt, and what its response format needs."""
    texts = [request.system.strip()] if request.system and request.system.strip() else []
    if request.response_format == "json":
        texts.append(JSON_INSTRUCTION)
    return "\n\n".join(texts) or None
