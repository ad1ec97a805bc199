"""The model services that a preset may name, and how they differ. Facts only, no behaviour.

One row per service. What a service does differently on the wire stands here as a field that its adapter reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.core.files import IMAGE_TYPES
from app.core.model import Timeouts

_CUSTOMARY = Timeouts()
_PATIENT = Timeouts(first_event=600.0)
"""For the first answer of a model that has to be loaded from disk."""


@dataclass(frozen=True, slots=True)
class Service:
    title: str
    adapter: Literal["anthropic", "openai_chat", "echo"]
    base_url: str = ""
    key_env: str | None = None
    """The customary variable of its key; None for a service that needs none."""
    default_model: str | None = None
    """None: the preset must name one, or the service is asked what it has loaded."""
    local: bool = False
    """Runs on the user's own machine: probed at start, no key, may take minutes to load a model."""
    usage_in_stream: bool = True
    """Honours `stream_options.include_usage`; others send usage unasked."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    takes_effort: bool = True
    """Takes `reasoning_effort`: low, medium or high."""
    no_effort: str | None = None
    """The `reasoning_effort` that means: do not think. None: there is none, the field is left out."""
    json_mode: bool = True
    """Takes `response_format: {"type": "json_object"}`; others get the instruction alone."""
    citations: bool = False
    """Top-level `citations` on the chunks are sources."""
    takes: frozenset[str] = IMAGE_TYPES
    """Media types that may stand in a prompt. Whether a model behind the address takes them is for it to say."""
    timeouts: Timeouts = _CUSTOMARY


CATALOG: Mapping[str, Service] = {
    "anthropic": Service(
        "Anthropic", "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", "claude-sonnet-5-5"
    ),
    "openai": Service(
        "OpenAI",
        "openai_chat",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        "gpt-6.1-terra",
        max_tokens_field="max_completion_tokens",
        no_effort="none",
    ),
    "openai-chat": Service(
        "OpenAI-compatible server",
        "openai_chat",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
    ),
    "groq": Service(
        "Groq",
        "openai_chat",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        "openai/gpt-oss-120b",
        usage_in_stream=False,
    ),
    "perplexity": Service(
        "Perplexity",
        "openai_chat",
        "https://api.perplexity.ai",
        "PERPLEXITY_API_KEY",
        "sonar",
        usage_in_stream=False,
        takes_effort=False,
        json_mode=False,
        citations=True,
    ),
    "openrouter": Service(
        "OpenRouter",
        "openai_chat",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        no_effort="none",
    ),
    "ollama": Service(
        "Ollama", "openai_chat", "http://127.0.0.1:11434/v1", local=True, no_effort="none", timeouts=_PATIENT
    ),
    "lmstudio": Service(
        "LM Studio", "openai_chat", "http://127.0.0.1:1234/v1", local=True, json_mode=False, timeouts=_PATIENT
    ),
    "llamacpp": Service("llama.cpp", "openai_chat", "http://127.0.0.1:8080/v1", local=True, timeouts=_PATIENT),
    "vllm": Service("vLLM", "openai_chat", "http://127.0.0.1:8000/v1", local=True, timeouts=_PATIENT),
    "echo": Service("Echo, the built-in demo", "echo", default_model="echo"),
}
