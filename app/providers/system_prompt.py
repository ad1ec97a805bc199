"""The system prompt as it is sent."""

from __future__ import annotations

import json

from app.core.model import ModelRequest

JSON_INSTRUCTION = "Answer with one valid JSON value and nothing else: no explanation and no Markdown fence."
"""Some services have no JSON mode, and those that have one want the word in the prompt."""


_SCHEMA_INSTRUCTION = "It must fit this JSON schema:"


def system_prompt(request: ModelRequest, *, tells_schema: bool = False) -> str | None:
    """The request's own prompt, and what its response format needs.

    Args:
        request: what is asked.
        tells_schema: the service has no other way to be told what the answer must look like.
    """
    texts = [request.system.strip()] if request.system and request.system.strip() else []
    if request.response_format == "json":
        texts.append(JSON_INSTRUCTION)
        if tells_schema and request.json_schema is not None:
            schema = json.dumps(request.json_schema.schema, ensure_ascii=False)
            texts.append(f"{_SCHEMA_INSTRUCTION}\n{schema}")
    return "\n\n".join(texts) or None
