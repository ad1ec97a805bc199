"""Who answers when a program names a model."""

from __future__ import annotations

import pytest

from app.chat.model_names import find
from app.core.errors import NotFound
from app.core.model import Configuration, Preset
from app.core.values import Values
from app.providers.registry import Registry

PRESETS = {
    "default": Preset("default", "echo"),
    "claude": Preset("claude", "anthropic", api_key="k", values=Values(model="claude-haiku-5-5")),
    "deep": Preset("deep", "anthropic", values=Values(model="claude-opus-5-5")),
    "oss": Preset("oss", "groq", values=Values(model="openai/gpt-oss-120b")),
}


@pytest.mark.parametrize(
    ("name", "preset", "model"),
    [
        ("claude", "claude", None),
        ("ai@claude", "claude", None),
        ("claude-opus-5-5", "deep", None),
        ("openai/gpt-oss-120b", "oss", None),
        ("anthropic/claude-sonnet-5-5", "claude", "claude-sonnet-5-5"),
        ("mistral/mistral-large-latest", "mistral", "mistral-large-latest"),
        ("claude-fable-5-2", "claude", "claude-fable-5-2"),
        ("gpt-6.1-terra", "default", None),
        ("whatever", "default", None),
    ],
)
def test_a_name_leads_to_a_preset(name: str, preset: str, model: str | None) -> None:
    found = find(Configuration(PRESETS), Registry({}), name)
    assert (found.preset.name, found.values.model) == (preset, model)


def test_a_service_that_is_named_keeps_its_key_but_not_its_model() -> None:
    found = find(Configuration(PRESETS), Registry({}), "anthropic/claude-sonnet-5-5").preset
    assert (found.api_key, found.values.model) == ("k", None)


def test_the_global_preset_answers_for_names_that_say_nothing() -> None:
    assert find(Configuration(PRESETS, preset="deep"), Registry({}), "whatever").preset.name == "deep"


@pytest.mark.parametrize("name", ["nobody/m", "router/m"])
def test_nobody_stands_in_for_a_service_that_cannot_be_asked(name: str) -> None:
    with pytest.raises(NotFound):
        find(Configuration(PRESETS), Registry({}), name)
