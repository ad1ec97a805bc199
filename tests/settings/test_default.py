from __future__ import annotations

import pytest

from app.core.model import Configuration, Preset, Timeouts
from app.core.services import LocalServer
from app.core.values import Values
from app.providers.catalog import CATALOG
from app.settings.default import choose_default, with_default

OLLAMA = LocalServer("ollama", "http://127.0.0.1:11434/v1", "llama3.2")
ALL_KEYS = {"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o", "GROQ_API_KEY": "g", "GEMINI_API_KEY": "g"}


@pytest.mark.parametrize(
    ("without", "provider", "origin"),
    [
        ([], "anthropic", "The default is Anthropic (claude-sonnet-5-5), because ANTHROPIC_API_KEY is set."),
        (["ANTHROPIC_API_KEY"], "openai", "The default is OpenAI (gpt-6.1-terra), because OPENAI_API_KEY is set."),
        (
            ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"],
            "groq",
            "The default is Groq (openai/gpt-oss-120b), because GROQ_API_KEY is set.",
        ),
        (
            ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GROQ_API_KEY"],
            "google",
            "The default is Google (gemini-3.8-flash), because GEMINI_API_KEY is set.",
        ),
    ],
)
def test_a_key_decides_even_where_a_local_server_answers(without: list[str], provider: str, origin: str) -> None:
    environ = {name: key for name, key in ALL_KEYS.items() if name not in without}
    default = choose_default(environ, OLLAMA)
    assert default.preset == Preset("default", provider, default_model=CATALOG[provider].default_model)
    assert default.origin == origin


def test_without_a_key_a_local_server_answers() -> None:
    default = choose_default({"ANTHROPIC_API_KEY": " "}, OLLAMA)
    assert default.preset == Preset(
        "default",
        "ollama",
        base_url="http://127.0.0.1:11434/v1",
        default_model="llama3.2",
        timeouts=Timeouts(first_event=600),
    )
    assert default.origin == "The default is Ollama (llama3.2), because it answers on this machine and no key is set."


def test_without_anything_the_demo_says_how_to_get_more() -> None:
    default = choose_default({}, None)
    assert default.preset == Preset("default", "echo", title="Echo", values=Values(tools=("*",)), default_model="echo")
    assert default.origin == (
        "The default is Echo, the built-in demo, because no key is set and no local model server answers. "
        "Set ANTHROPIC_API_KEY, OPENAI_API_KEY, GROQ_API_KEY or GEMINI_API_KEY, "
        "or start Ollama, LM Studio, llama.cpp or vLLM."
    )


CLAUDE = Preset("claude", "anthropic", values=Values(model="claude-opus-5-5"))


@pytest.mark.parametrize(
    ("configuration", "origin"),
    [
        (
            Configuration({"claude": CLAUDE}, preset="claude"),
            "The preset is claude, Anthropic (claude-opus-5-5), because palaver.toml sets ai:preset.",
        ),
        (
            Configuration({"default": CLAUDE}),
            "The default is Anthropic (claude-opus-5-5), because palaver.toml defines it.",
        ),
        (Configuration({"claude": CLAUDE}), choose_default({}, None).origin),
    ],
)
def test_default_always_exists_and_the_sentence_says_why(configuration: Configuration, origin: str) -> None:
    complete = with_default(configuration, choose_default({}, None), "palaver.toml")
    assert complete.origin == origin
    assert complete.presets == {"default": choose_default({}, None).preset, **configuration.presets}
