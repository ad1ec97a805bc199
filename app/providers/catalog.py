"""The model services that a preset may name, and how they differ. Facts only, no behaviour.

One row per service. What a service does differently on the wire stands here as a field that its adapter reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.core.files import AUDIO_TYPES, IMAGE_TYPES, PDF
from app.core.model import Timeouts
from app.providers.dialects import EFFORTS, Dialect, Efforts
from app.providers.embeddings.dialect import (
    COMPATIBLE_EMBEDDINGS,
    GOOGLE_EMBEDDINGS,
    MISTRAL_EMBEDDINGS,
    OPENAI_EMBEDDINGS,
    VOYAGE_EMBEDDINGS,
    EmbeddingDialect,
)

_CUSTOMARY = Timeouts()
_PATIENT = Timeouts(first_event=600.0)
"""For the first answer of a model that has to be loaded from disk."""

_OPENAI = Dialect()

_TEMPLATE_EFFORTS: Efforts = {
    "off": {"chat_template_kwargs": {"enable_thinking": False}},
    "low": {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "low"}},
    "medium": {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "medium"}},
    "high": {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "high"}},
}
"""What the chat templates of open models ask for; each ignores what it does not know."""


@dataclass(frozen=True, slots=True)
class Service:
    title: str
    adapter: Literal[
        "anthropic", "openai_chat", "openai_responses", "google", "wave_cloud", "echo", "embeddings", "router"
    ]
    """The format of its chats; `embeddings` has none, and a `router` hands them to other presets."""
    base_url: str = ""
    key_env: str | None = None
    """The customary variable of its key; None for a service that needs none."""
    default_model: str | None = None
    """None: the preset must name one, or the service is asked what it has loaded."""
    makes: tuple[str, ...] = ()
    """How the names of its own models begin."""
    local: bool = False
    """Runs on the user's own machine: looked for at start, the best first; no key, may take minutes to load a model."""
    owns_models: str | None = None
    """What the `owned_by` of its models says, where its port is everybody's, Palaver's own included."""
    takes_any_model: bool = False
    """Answers with what it has loaded, whatever name the request gives."""
    key_optional: bool = False
    """Answers without a key too."""
    json_mode: bool = True
    """Takes `json_object` as the format of an answer; others get the instruction alone."""
    dialect: Dialect = _OPENAI
    """Of chat completions."""
    embeddings: EmbeddingDialect | None = None
    """None: it makes none."""
    takes: frozenset[str] = IMAGE_TYPES
    """Media types that may stand in a prompt. Whether a model behind the address takes them is for it to say."""
    timeouts: Timeouts = _CUSTOMARY


CATALOG: Mapping[str, Service] = {
    "anthropic": Service(
        "Anthropic",
        "anthropic",
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
        "claude-sonnet-5-5",
        makes=("claude-",),
        takes=IMAGE_TYPES | {PDF},
    ),
    "openai": Service(
        "OpenAI",
        "openai_responses",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        "gpt-6.1-terra",
        makes=("gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-"),
        takes=IMAGE_TYPES | {PDF},
        embeddings=OPENAI_EMBEDDINGS,
    ),
    "openai-responses": Service(
        "Server of the Responses API",
        "openai_responses",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        takes=IMAGE_TYPES | {PDF},
        embeddings=COMPATIBLE_EMBEDDINGS,
    ),
    "openai-chat": Service(
        "OpenAI-compatible server",
        "openai_chat",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        dialect=Dialect(reasoning_back="with_calls"),
        takes=IMAGE_TYPES | AUDIO_TYPES | {PDF},
        embeddings=COMPATIBLE_EMBEDDINGS,
    ),
    "groq": Service(
        "Groq",
        "openai_chat",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        "openai/gpt-oss-120b",
        dialect=Dialect(usage_in_stream=False),
    ),
    "perplexity": Service(
        "Perplexity",
        "openai_chat",
        "https://api.perplexity.ai",
        "PERPLEXITY_API_KEY",
        "sonar",
        json_mode=False,
        dialect=Dialect(
            usage_in_stream=False,
            efforts={},
            refuses=frozenset({"stop"}),
            takes_tools=False,
            takes_turns=True,
            citations=True,
        ),
    ),
    "mistral": Service(
        "Mistral",
        "openai_chat",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        "mistral-large-latest",
        dialect=Dialect(
            usage_in_stream=False,
            efforts={"off": {"reasoning_effort": "none"}, "high": {"reasoning_effort": "high"}},
            call_id_length=9,
            pdf_part="document_url",
        ),
        takes=IMAGE_TYPES | {PDF},
        embeddings=MISTRAL_EMBEDDINGS,
    ),
    "deepseek": Service(
        "DeepSeek",
        "openai_chat",
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        dialect=Dialect(
            efforts={"off": {"thinking": {"type": "disabled"}}, **EFFORTS}, reasoning_back="always", json_schema=False
        ),
        takes=frozenset(),
    ),
    "xai": Service(
        "xAI",
        "openai_chat",
        "https://api.x.ai/v1",
        "XAI_API_KEY",
        dialect=Dialect(refuses=frozenset({"stop"}), citations=True, thinking_filler="Thinking... "),
        takes=frozenset({"image/png", "image/jpeg"}),
    ),
    "openrouter": Service(
        "OpenRouter",
        "openai_chat",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        dialect=Dialect(efforts={"off": {"reasoning_effort": "none"}, **EFFORTS}),
        takes=IMAGE_TYPES | AUDIO_TYPES | {PDF},
        embeddings=COMPATIBLE_EMBEDDINGS,
    ),
    "google": Service(
        "Google",
        "google",
        "https://generativelanguage.googleapis.com/v1beta",
        "GEMINI_API_KEY",
        "gemini-3.8-flash",
        takes=IMAGE_TYPES - {"image/gif"} | AUDIO_TYPES | {PDF},
        embeddings=GOOGLE_EMBEDDINGS,
    ),
    "voyage": Service(
        "Voyage AI",
        "embeddings",
        "https://api.voyageai.com/v1",
        "VOYAGE_API_KEY",
        "voyage-4",
        makes=("voyage-",),
        embeddings=VOYAGE_EMBEDDINGS,
        takes=frozenset(),
    ),
    "wave-cloud": Service(
        "Wave Cloud",
        "wave_cloud",
        "wss://wsapi.waveterm.dev",
        "WAVE_CLIENT_ID",
        "wave-cloud",  # the service chooses one itself
        key_optional=True,
        takes=frozenset(),
        timeouts=Timeouts(connect=60.0),
    ),
    "ollama": Service(
        "Ollama",
        "openai_chat",
        "http://127.0.0.1:11434/v1",
        local=True,
        dialect=Dialect(
            efforts={"off": {"reasoning_effort": "none"}, **EFFORTS},
            reasoning_back="with_calls",
            reasoning_field="reasoning",
        ),
        timeouts=_PATIENT,
        embeddings=COMPATIBLE_EMBEDDINGS,
    ),
    "lmstudio": Service(
        "LM Studio",
        "openai_chat",
        "http://127.0.0.1:1234/v1",
        local=True,
        takes_any_model=True,
        json_mode=False,
        timeouts=_PATIENT,
        embeddings=COMPATIBLE_EMBEDDINGS,
    ),
    "llamacpp": Service(
        "llama.cpp",
        "openai_chat",
        "http://127.0.0.1:8080/v1",
        local=True,
        owns_models="llamacpp",
        takes_any_model=True,
        dialect=Dialect(efforts=_TEMPLATE_EFFORTS, reasoning_back="with_calls"),
        takes=IMAGE_TYPES | AUDIO_TYPES,
        timeouts=_PATIENT,
        embeddings=COMPATIBLE_EMBEDDINGS,
    ),
    "vllm": Service(
        "vLLM",
        "openai_chat",
        "http://127.0.0.1:8000/v1",
        local=True,
        owns_models="vllm",
        dialect=Dialect(efforts={"off": _TEMPLATE_EFFORTS["off"], **EFFORTS}, reasoning_back="with_calls"),
        takes=IMAGE_TYPES | AUDIO_TYPES,
        timeouts=_PATIENT,
        embeddings=COMPATIBLE_EMBEDDINGS,
    ),
    "echo": Service("Echo, the built-in demo", "echo", default_model="echo"),
    "router": Service("Router", "router"),
}
