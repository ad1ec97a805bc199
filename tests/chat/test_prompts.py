"""Templates in turns: what the user says, and the system prompt of a preset."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.chat.presets import resolve
from app.core.errors import InvalidTemplate
from app.core.model import Configuration, Preset
from app.core.prompt_templates import PromptTemplate, TemplateCall
from app.core.values import NO_VALUES, Values

pytestmark = pytest.mark.anyio

CALL = TemplateCall("tone", {"mood": "kind"})
PRESET = Preset("p", "echo", default_model="echo", system_template=CALL)
CONFIGURATION = Configuration({"p": PRESET, "default": Preset("default", "echo", default_model="echo")})


def resolved(configuration=CONFIGURATION, url_preset="p", **block):
    return resolve(configuration, url_preset=url_preset, options=NO_VALUES, headers=NO_VALUES, block=block)


async def test_the_system_prompt_is_the_filled_template(house):
    await house.prompts.store.save(PromptTemplate("tone", "Be {{ mood }}."))
    found = await house.prompts.with_system(resolved())
    assert (found.values.system, found.layers["system"]) == ("Be kind.", "preset:url")


async def test_without_a_template_nothing_changes(house):
    plain = resolved(url_preset="default")
    assert await house.prompts.with_system(plain) is plain


@pytest.mark.parametrize(
    ("url_preset", "block", "system", "layer"),
    [
        ("p", {"ai:system": "The block's"}, "Be kind.", "preset:url"),
        (None, {"ai:preset": "p", "ai:system": "The block's"}, "The block's", "block"),
        (None, {"ai:preset": "p"}, "Be kind.", "preset"),
        (None, {"ai:preset": "p", "ai:system": ""}, "", "block"),
    ],
)
async def test_the_layers_rank_as_for_a_prompt_in_the_preset_itself(house, url_preset, block, system, layer):
    """A template or a text: who has the say is the same."""
    await house.prompts.store.save(PromptTemplate("tone", "Be {{ mood }}."))
    configuration = replace(CONFIGURATION, values=Values(system="Everybody's"))
    found = await house.prompts.with_system(resolved(configuration, url_preset, **block))
    assert (found.values.system, found.layers["system"]) == (system, layer)
    written = replace(PRESET, values=Values(system="Be kind."), system_template=None)
    same = resolved(replace(configuration, presets={**configuration.presets, "p": written}), url_preset, **block)
    assert (same.values.system, same.layers["system"]) == (system, layer)


@pytest.mark.parametrize("text", [None, "{{ other }}", "no variable"])
async def test_a_template_that_does_not_fit_is_told_with_the_preset(house, text):
    if text is not None:
        await house.prompts.store.save(PromptTemplate("tone", text))
    with pytest.raises(InvalidTemplate, match="The preset p takes its system prompt from the template tone"):
        await house.prompts.with_system(resolved())
