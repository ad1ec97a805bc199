from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.presets import Resolved, check_block_changes, explain, resolve
from app.core.errors import InvalidRequest, UnknownPreset
from app.core.model import Configuration, Preset
from app.core.prompt_templates import TemplateCall
from app.core.routing import Router
from app.core.values import KEYS, NO_VALUES, Values

VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(["small", "large"]),
    "system": st.sampled_from(["", "Be kind."]),
    "temperature": st.sampled_from([0.0, 0.5, 1.0]),
    "top_p": st.sampled_from([0.0, 0.9]),
    "max_tokens": st.sampled_from([1, 4096]),
    "stop": st.sampled_from([(), ("END",)]),
    "thinking": st.sampled_from(["off", "high", 0, 2048]),
    "response_format": st.sampled_from(["text", "json"]),
    "on_disconnect": st.sampled_from(["continue", "cancel"]),
    "cache": st.sampled_from(["off", "5m", "1h"]),
    "max_steps": st.sampled_from([1, 64]),
}
"""Tools have rules of their own: see test_tools."""
KEY_OF = {field: key for key, field in KEYS.items()}

said = st.fixed_dictionaries({}, optional=VALUES)
"""What one layer says, by field."""


def configuration(*, preset: str | None = None, settings: Values = NO_VALUES, **presets: Values) -> Configuration:
    named = {name: Preset(name, "echo", values=values, default_model="echo") for name, values in presets.items()}
    default = Preset("default", "echo", default_model="echo")
    return Configuration({"default": default, **named}, preset=preset, values=settings)


def resolved(
    configuration: Configuration,
    *,
    url: str | None = None,
    options: Values = NO_VALUES,
    headers: Values = NO_VALUES,
    block: Mapping[str, Any] | None = None,
) -> Resolved:
    return resolve(configuration, url_preset=url, options=options, headers=headers, block=block or {})


@pytest.mark.parametrize("url", [None, "one"])
@pytest.mark.parametrize("block", [None, "two"])
@pytest.mark.parametrize("chosen", [None, "three"])
def test_the_preset_is_the_one_of_the_first_layer_that_names_one(
    url: str | None, block: str | None, chosen: str | None
) -> None:
    one, two, three = Values(top_p=0.1), Values(top_p=0.2), Values(top_p=0.3)
    found = resolved(
        configuration(preset=chosen, one=one, two=two, three=three), url=url, block={"ai:preset": block, "title": "T"}
    )
    layers = [(url, "url"), (block, "block"), (chosen, "global"), ("default", "default")]
    assert (found.preset.name, found.preset_layer) == next(layer for layer in layers if layer[0])


@given(
    options=said,
    headers=said,
    block=said,
    preset=said,
    settings=said,
    chosen_by=st.sampled_from(["url", "block", "global"]),
)
def test_every_value_is_the_one_of_the_first_layer_that_says_it(
    options: dict[str, Any],
    headers: dict[str, Any],
    block: dict[str, Any],
    preset: dict[str, Any],
    settings: dict[str, Any],
    chosen_by: str,
) -> None:
    metadata = {KEY_OF[field]: list(value) if isinstance(value, tuple) else value for field, value in block.items()}
    if chosen_by == "block":
        metadata["ai:preset"] = "one"
    found = resolved(
        configuration(
            preset="one" if chosen_by == "global" else None, settings=Values(**settings), one=Values(**preset)
        ),
        url="one" if chosen_by == "url" else None,
        options=Values(**options),
        headers=Values(**headers),
        block=metadata,
    )
    if chosen_by == "url":
        middle = [("preset:url", {"model": "echo", **preset}), ("block", block)]
    else:
        middle = [("block", block), ("preset", preset)]
    built_in = {**dict.fromkeys(Values.model_fields), "model": "echo"}
    order = [("options", options), ("headers", headers), *middle, ("global", settings), ("default", built_in)]
    for field in Values.model_fields.keys() - {"tools", "tool_policy"}:  # those have rules of their own
        layer, values = next((layer, values) for layer, values in order if field in values)
        assert (getattr(found.values, field), found.layers[field]) == (values[field], layer)


def test_a_preset_in_the_url_brings_its_own_model_and_not_the_blocks() -> None:
    found = resolved(configuration(one=Values(top_p=0.1)), url="one", block={"ai:model": "of-another-service"})
    assert (found.values.model, found.layers["model"]) == ("echo", "preset:url")


def test_a_global_model_comes_before_the_customary_one() -> None:
    found = resolved(configuration(settings=Values(model="global")))
    assert (found.values.model, found.layers["model"]) == ("global", "global")


def test_names_may_have_waves_prefix() -> None:
    both = configuration(one=NO_VALUES, two=NO_VALUES)
    assert resolved(both, url="ai@one", block={"ai:preset": "two"}).preset.name == "one"
    assert resolved(both, block={"ai:preset": "ai@two"}).preset.name == "two"


@pytest.mark.parametrize("name", ["nobody", "", "ONE", "ai@", "ai@ai@one", "../one", "one\0", "x" * 10_000, "<script>"])
def test_an_unknown_preset_in_the_url_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(UnknownPreset) as raised:
        resolved(configuration(preset="one", one=NO_VALUES), url=name, block={"ai:preset": "one"})
    assert raised.value.message == "There is no preset of this name. The presets are: default, one."
    assert (raised.value.status, raised.value.code, raised.value.param) == (400, "unknown_preset", "preset")


@pytest.mark.parametrize("name", ["gone", "", 3, ["one"]])
def test_a_block_that_names_a_preset_which_is_gone_says_so(name: object) -> None:
    with pytest.raises(UnknownPreset) as raised:
        resolved(configuration(preset="one", one=NO_VALUES), block={"ai:preset": name})
    assert raised.value.message == (
        "The preset that this block names in ai:preset does not exist any more. The presets are: default, one."
    )
    assert raised.value.param == "ai:preset"


def test_a_preset_in_the_url_helps_a_block_whose_preset_is_gone() -> None:
    assert resolved(configuration(one=NO_VALUES), url="one", block={"ai:preset": "gone"}).preset.name == "one"


def test_a_block_with_a_value_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^block\.ai:temperature: must be a number from 0 to 2\.$"):
        resolved(configuration(), block={"ai:temperature": 9})


def test_what_a_block_keeps_for_others_is_no_value() -> None:
    block = {"title": "T", "pinned": True, "app:model": "x", "ai:fromlater": 1, "ai:model": None}
    assert resolved(configuration(), block=block) == resolved(configuration())


def test_the_explanation_names_the_layer_of_everything_and_no_secret() -> None:
    secret = Preset(
        "one",
        "openai-chat",
        base_url="http://127.0.0.1:8080/v1",
        api_key="sk-0123456789",
        headers={"X-Secret": "swordfish"},
        values=Values(model="m", stop=("END",)),
    )
    found = resolve(
        Configuration({"default": secret, "one": secret}, values=Values(max_tokens=100)),
        url_preset="one",
        options=Values(temperature=0.5),
        headers=Values(top_p=0.9),
        block={"ai:system": "Be kind."},
    )
    assert explain(found) == {
        "preset": {"value": "one", "layer": "url"},
        "values": {
            "model": {"value": "m", "layer": "preset:url"},
            "system": {"value": "Be kind.", "layer": "block"},
            "temperature": {"value": 0.5, "layer": "options"},
            "topP": {"value": 0.9, "layer": "headers"},
            "maxTokens": {"value": 100, "layer": "global"},
            "stop": {"value": ["END"], "layer": "preset:url"},
            "thinking": {"value": None, "layer": "default"},
            "responseFormat": {"value": None, "layer": "default"},
            "onDisconnect": {"value": None, "layer": "default"},
            "cache": {"value": None, "layer": "default"},
            "maxSteps": {"value": None, "layer": "default"},
            "tools": {"value": None, "layer": "default"},
            "toolPolicy": {"value": None, "layer": "default"},
        },
    }
    assert json.loads(json.dumps(explain(found))) == explain(found)
    assert "sk-0123456789" not in repr(found)
    assert "swordfish" not in repr(found)


def changed(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    return check_block_changes(configuration(one=NO_VALUES), changes)


def test_changes_of_a_block_are_taken_as_they_are() -> None:
    changes = {
        "ai:preset": "one",
        "ai:model": "m",
        "ai:stop": ["END"],
        "ai:thinking": 2048,
        "title": "Ärger & Freude",
        "pinned": True,
        "archived": False,
        "app:notes.colour": {"deep": [1, None, "x"]},
        "ai:temperature": None,
        "app:old": None,
    }
    assert changed(changes) == changes


def test_a_preset_is_stored_under_its_own_name() -> None:
    assert changed({"ai:preset": "ai@one"}) == {"ai:preset": "one"}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("ai:preset", "nobody", "There is no preset of this name. The presets are: default, one."),
        ("ai:preset", 3, "There is no preset of this name. The presets are: default, one."),
        ("ai:temperature", 3, "ai:temperature: must be a number from 0 to 2."),
        ("ai:maxtokens", "many", "ai:maxtokens: must be a whole number from 1 to 10,000,000."),
        ("title", " ", "title: must be a text of at most 200 characters."),
        ("title", "x" * 201, "title: must be a text of at most 200 characters."),
        ("title", ["T"], "title: must be a text of at most 200 characters."),
        ("pinned", 1, "pinned: must be true or false."),
        ("archived", "yes", "archived: must be true or false."),
        ("app:notes", "x" * 4095, "app:notes: must have at most 4096 bytes as JSON."),
    ],
)
def test_a_change_that_cannot_be_is_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        changed({"title": "fine", key: value})
    assert (raised.value.message, raised.value.param) == (message, key)


@pytest.mark.parametrize("value", [1, None])
@pytest.mark.parametrize("key", ["ai:apitoken", "ai:baseurl", "ai:presets", "colour", "app:", "app:a b", "APP:a", ""])
def test_a_key_that_blocks_do_not_have_is_refused_with_those_they_have(key: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as raised:
        changed({key: value})
    assert raised.value.message == (
        "A block has no such key. Known are ai:preset, ai:model, ai:system, ai:temperature, ai:topp, ai:maxtokens, "
        "ai:stop, ai:thinking, ai:responseformat, ai:ondisconnect, ai:cache, ai:maxsteps, ai:tools, ai:toolpolicy, "
        "ai:store, ai:tag, title, pinned, archived, and keys of your own that begin with app: and go on "
        "with letters, digits and _ . : -"
    )


def test_an_app_cannot_fill_a_block_without_end() -> None:
    with pytest.raises(InvalidRequest, match=r"^At most 100 keys of a block can be changed at once\.$"):
        changed({f"app:{number}": number for number in range(101)})


ROUTED = Configuration(
    {
        "auto": Preset(
            "auto",
            "router",
            values=Values(system="All.", tools=("calculate",)),
            router=Router("best", ("small", "big")),
        ),
        "small": Preset("small", "groq", values=Values(temperature=0.2, tools=("*",), max_steps=9), default_model="g"),
        "big": Preset("big", "ollama", values=Values(system="Mine.")),
        "default": Preset("default", "echo", default_model="echo"),
    },
    values=Values(model="everybodys", temperature=0.9),
)


def routed(url_preset: str | None, **block: object) -> Resolved:
    return resolve(ROUTED, url_preset=url_preset, options=NO_VALUES, headers=NO_VALUES, block=block)


def test_a_candidate_fills_in_what_its_router_leaves_open() -> None:
    found = routed("auto")
    small, big = found.candidates
    assert (found.values.model, small.values.model, big.values.model) == (None, "g", "everybodys")
    assert (small.values.temperature, small.layers["temperature"]) == (0.2, "candidate")
    assert (big.values.temperature, big.layers["temperature"]) == (0.9, "global")
    assert (big.values.system, big.layers["system"]) == ("All.", "preset:url")
    assert small.preset.name == "small"


def test_what_holds_for_a_whole_turn_is_the_routers() -> None:
    found = routed("auto")
    assert (found.tool_names, found.values.max_steps) == (("calculate",), None)
    assert found.candidates[0].values.max_steps is None


def test_a_block_refines_the_candidates_of_the_router_that_it_names() -> None:
    small, _ = routed(None, **{"ai:preset": "auto", "ai:temperature": 0.5, "ai:system": "Block."}).candidates
    assert (small.values.temperature, small.values.system) == (0.5, "Block.")
    small, big = routed("auto", **{"ai:temperature": 0.5, "ai:system": "Block.", "ai:model": "blocks"}).candidates
    assert (small.values.temperature, big.values.temperature, small.values.system) == (0.2, 0.5, "All.")
    assert (small.values.model, big.values.model) == ("g", "everybodys")


def test_a_block_that_names_a_router_names_no_model() -> None:
    with pytest.raises(InvalidRequest, match="The preset auto is a router") as raised:
        routed(None, **{"ai:preset": "auto", "ai:model": "m"})
    assert raised.value.param == "ai:model"


def test_a_candidates_template_gives_its_system_prompt_unless_the_router_has_one() -> None:
    call = TemplateCall("tone", {})
    small = replace(ROUTED.presets["small"], system_template=call)
    quiet = replace(ROUTED.presets["auto"], values=NO_VALUES)
    for auto, expected in ((quiet, call), (ROUTED.presets["auto"], None)):
        changed = replace(ROUTED, presets={**ROUTED.presets, "small": small, "auto": auto})
        found = resolve(changed, url_preset="auto", options=NO_VALUES, headers=NO_VALUES, block={})
        assert found.candidates[0].system_template == expected
