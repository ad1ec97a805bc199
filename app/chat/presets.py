"""Which preset answers, with which values, and which layer had the say.

1. Which preset: `?preset=` > the block's `ai:preset` > the global `ai:preset` > `default`.
2. Which value: body `options` > headers > the preset named in the URL > block metadata > the preset named by the block
   or the settings > global settings > built-in default.

A router has no model: what it says holds for whomever it chooses, and each of its candidates fills in the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from pydantic.alias_generators import to_snake

from app.core.errors import InvalidRequest, NotConfigured, UnknownPreset
from app.core.model import Configuration, Preset
from app.core.prompt_templates import TemplateCall
from app.core.routing import Route, Router
from app.core.tools import Policy, names_tool
from app.core.values import KEYS, NO_VALUES, Values, parse_values

PresetLayer: TypeAlias = Literal["url", "block", "global", "default"]
Layer: TypeAlias = Literal["options", "headers", "preset:url", "block", "preset", "candidate", "global", "default"]

BLOCK_KEYS = ("ai:preset", *KEYS, "ai:store", "ai:tag", "title", "pinned", "archived")
"""What block metadata may hold, besides an app's own `app:…`."""

MAX_TITLE = 200
MAX_TAG = 64
MAX_APP_BYTES = 4096
MAX_CHANGES = 100

_APP_KEY = re.compile(r"app:[A-Za-z0-9_.:-]{1,100}")


@dataclass(frozen=True, slots=True)
class Resolved:
    preset: Preset
    preset_layer: PresetLayer
    values: Values
    layers: Mapping[str, Layer]
    """The layer of every field of `values`; `default` also for what nobody said and the service decides."""
    tool_names: tuple[str, ...] = ()
    """Names and patterns: what the preset, or else the global settings, let the model use."""
    tool_choice: tuple[str, ...] | None = None
    """What the block leaves of them; None: everything. It adds nothing."""
    policies: tuple[Mapping[str, Policy], ...] = ()
    """Of tools, by name or pattern: what the block says, the preset, the global settings."""
    system_template: TemplateCall | None = None
    """What gives the system prompt, where the preset has the say and takes it from a template."""
    candidates: tuple[Resolved, ...] = ()
    """Of a router: those whom it may choose, in the order in which it names them."""
    classifier: Resolved | None = None
    """Who is asked which of them fits."""


_THE_TURNS = ("tools", "tool_policy", "max_steps", "on_disconnect")
"""They hold for a whole turn, whoever makes its calls: a router's candidates have no say about them."""


def model_of(resolved: Resolved) -> str:
    """The model that is asked for. A router has none, and goes by its own name until it has chosen.

    Raises:
        NotConfigured: no layer names a model.
    """
    model = resolved.preset.name if resolved.preset.router is not None else resolved.values.model
    if model is None:
        raise NotConfigured(f"The preset {resolved.preset.name} names no model. Add `model` to it.", param="model")
    return model


@dataclass(frozen=True, slots=True)
class _Layers:
    """What everybody but presets says."""

    options: Values
    headers: Values
    block: Values
    settings: Values


def resolve(
    configuration: Configuration,
    *,
    url_preset: str | None,
    options: Values,
    headers: Values,
    block: Mapping[str, Any],
) -> Resolved:
    """What one turn is made with.

    Raises:
        UnknownPreset: the URL or the block names a preset that does not exist.
        InvalidRequest: the block's metadata holds a value that cannot be; or a model is named for a router.
    """
    preset, preset_layer = _choose(configuration, url_preset, block)
    block_values = parse_values({key: block[key] for key in KEYS if key in block}, KEYS, where="block")
    layers = _Layers(options, headers, block_values, configuration.values)
    if preset.router is None:
        return _resolved(preset, preset_layer, layers)
    _refuse_model(preset, preset.router, preset_layer, layers)
    layers = replace(layers, block=_without(block_values, "model"))
    classifier = preset.router.classifier
    return replace(
        _resolved(preset, preset_layer, replace(layers, settings=_without(layers.settings, "model"))),
        candidates=tuple(
            _resolved(preset, preset_layer, layers, candidate) for candidate in configuration.behind(preset)
        ),
        classifier=None
        if classifier is None
        else resolve(configuration, url_preset=classifier, options=NO_VALUES, headers=NO_VALUES, block={}),
    )


def _refuse_model(preset: Preset, router: Router, preset_layer: PresetLayer, layers: _Layers) -> None:
    said = {"options.model": layers.options, "x-ai-model": layers.headers}
    if preset_layer != "url":
        said["ai:model"] = layers.block
    for param, values in said.items():
        if values.model is not None:
            raise InvalidRequest(
                f"The preset {preset.name} is a router, which chooses the model itself. Leave the model out, or choose "
                f"another preset, such as one of its candidates: {', '.join(router.names)}.",
                param=param,
            )


def _without(values: Values, *fields: str) -> Values:
    return values.model_copy(update=dict.fromkeys(fields))


def _resolved(preset: Preset, preset_layer: PresetLayer, layers: _Layers, candidate: Preset | None = None) -> Resolved:
    """Value by value. A `candidate` answers for the preset, which is a router."""
    answers = candidate or preset
    default = Values(model=answers.default_model)
    own = answers.values
    if preset_layer == "url" or candidate is not None:
        # Its service's model comes along: another layer's model belongs to another service.
        own = own if own.model else own.model_copy(update=default.said())
    presets: tuple[tuple[Layer, Values], ...] = (("preset:url" if preset_layer == "url" else "preset", own),)
    if candidate is not None:
        presets = ((presets[0][0], preset.values), ("candidate", _without(own, *_THE_TURNS)))
    block: tuple[Layer, Values] = ("block", layers.block)
    ordered: tuple[tuple[Layer, Values], ...] = (
        ("options", layers.options),
        ("headers", layers.headers),
        *((*presets, block) if preset_layer == "url" else (block, *presets)),
        ("global", layers.settings),
        ("default", default),
    )
    said: dict[str, Any] = {}
    origins: dict[str, Layer] = dict.fromkeys(Values.model_fields, "default")
    for layer, values in reversed(ordered):
        for field, value in values.said().items():
            said[field] = value
            origins[field] = layer
    configured = (preset.values, layers.settings)
    policies = tuple(values.tool_policy or {} for values in (layers.block, *configured))
    if layers.block.tools is not None:  # a choice among the preset's, however that was named
        said["tools"], origins["tools"] = layers.block.tools, "block"
    if any(policies):
        said["tool_policy"] = _merged(policies)
    system_template, origin = preset.system_template, presets[0][0]
    if system_template is None and candidate is not None and preset.values.system is None:
        system_template, origin = candidate.system_template, "candidate"
    if origins["system"] == "block" and preset_layer != "url":
        system_template = None
    if system_template is not None:
        said.pop("system", None)
        origins["system"] = origin
    return Resolved(
        answers,
        preset_layer,
        Values.model_construct(**said),
        origins,
        tool_names=next((values.tools for values in configured if values.tools is not None), ()),
        tool_choice=layers.block.tools,
        policies=policies,
        system_template=system_template,
    )


def _merged(policies: Sequence[Mapping[str, Policy]]) -> Mapping[str, Policy]:
    """All entries; of those with the same name the first one's, but no block lifts what the others switch off."""
    block, *others = policies
    configured: dict[str, Policy] = {name: policy for layer in reversed(others) for name, policy in layer.items()}
    return {**configured, **block, **{name: policy for name, policy in configured.items() if policy == "off"}}


def without_asking(block: Mapping[str, Any], tool_names: Iterable[str]) -> Mapping[str, Any]:
    """What changes in the block's metadata so that these tools run without the user's yes."""
    policies: dict[str, Policy] = dict(block.get("ai:toolpolicy") or {})
    for name in tool_names:
        exact = [entry for entry in policies if "*" not in entry and names_tool(entry, name)]
        policies = {entry: policy for entry, policy in policies.items() if entry not in exact} | {name: "auto"}
    return {"ai:toolpolicy": policies}


def explain(resolved: Resolved, route: Route | None = None) -> dict[str, Any]:
    """Who set what, as JSON. A value of null is left to the service.

    Args:
        resolved: for one turn.
        route: whom a router chooses for it now; the values are those that this one is asked with.
    """
    asked = resolved
    if route is not None:
        asked = next(each for each in resolved.candidates if each.preset.name == route.preset)
    explained: dict[str, Any] = {
        "preset": {"value": resolved.preset.name, "layer": resolved.preset_layer},
        "values": {
            name: {"value": value, "layer": asked.layers[to_snake(name)]}
            for name, value in asked.values.model_dump(mode="json", by_alias=True).items()
        },
    }
    return explained if route is None else {**explained, "routed": route.to_wire()}


def check_block_changes(configuration: Configuration, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The changes to a block's metadata as they are to be stored; None removes a key.

    Raises:
        UnknownPreset: `ai:preset` names a preset that does not exist.
        InvalidRequest: an unknown key, or a value that it cannot have.
    """
    if len(changes) > MAX_CHANGES:
        raise InvalidRequest(f"At most {MAX_CHANGES} keys of a block can be changed at once.")
    return {key: _check_block_change(configuration, key, value) for key, value in changes.items()}


def _check_block_change(configuration: Configuration, key: str, value: Any) -> Any:
    if key not in BLOCK_KEYS and not _APP_KEY.fullmatch(key):
        raise InvalidRequest(
            f"A block has no such key. Known are {', '.join(BLOCK_KEYS)}, and keys of your own that begin with app: "
            "and go on with letters, digits and _ . : -",
            param=key[:80],
        )
    if value is None:
        return None
    if key == "ai:preset":
        return _find(configuration, value, "There is no preset of this name.", key).name
    if key in KEYS:
        parse_values({key: value}, KEYS)
    elif key == "title" and not (isinstance(value, str) and value.strip() and len(value) <= MAX_TITLE):
        raise InvalidRequest(f"title: must be a text of at most {MAX_TITLE} characters.", param=key)
    elif key == "ai:tag" and not (isinstance(value, str) and value.strip() and len(value) <= MAX_TAG):
        raise InvalidRequest(f"ai:tag: must be a text of at most {MAX_TAG} characters.", param=key)
    elif key in ("ai:store", "pinned", "archived") and not isinstance(value, bool):
        raise InvalidRequest(f"{key}: must be true or false.", param=key)
    elif key.startswith("app:") and len(json.dumps(value)) > MAX_APP_BYTES:
        raise InvalidRequest(f"{key}: must have at most {MAX_APP_BYTES} bytes as JSON.", param=key)
    return value


def _choose(
    configuration: Configuration, url_preset: str | None, block: Mapping[str, Any]
) -> tuple[Preset, PresetLayer]:
    if url_preset is not None:
        return _find(configuration, url_preset, "There is no preset of this name.", "preset"), "url"
    if block.get("ai:preset") is not None:
        gone = "The preset that this block names in ai:preset does not exist any more."
        return _find(configuration, block["ai:preset"], gone, "ai:preset"), "block"
    if configuration.preset is not None:
        return configuration.presets[configuration.preset], "global"
    return configuration.presets["default"], "default"


def _find(configuration: Configuration, name: Any, complaint: str, param: str) -> Preset:
    preset = configuration.presets.get(name.removeprefix("ai@")) if isinstance(name, str) else None
    if preset is None:
        names = ", ".join(configuration.presets)
        raise UnknownPreset(f"{complaint} The presets are: {names}.", param=param)
    return preset
