"""Wave Terminal's JSON dialect → Configuration.

Reads one `.json` file or Wave's configuration folder (`settings.json`, `presets.json`, `presets/*.json`), unchanged:

    {"ai@claude": {"display:name": "Claude", "ai:*": true, "ai:apitype": "anthropic", "ai:model": "claude-sonnet-5-5"},
     "ai:preset": "ai@claude"}

What does not begin with `ai` (`bg@…`, `term:fontsize`) belongs to Wave and is passed over. As in Wave, an empty text,
and a 0 for tokens or time, mean: not said. The keys are those of AiSettingsType in Wave's wconfig/settingsconfig.go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.core.model import Configuration, Preset
from app.core.values import KEYS
from app.providers.catalog import CATALOG
from app.settings.errors import ConfigurationError
from app.settings.fields import (
    check_embed_preset,
    check_keys,
    check_model,
    is_file,
    is_folder,
    read_base_url,
    read_file,
    read_global_preset,
    read_preset_name,
    read_provider,
    read_seconds,
    read_secret,
    read_table,
    read_text,
    read_values,
)

SERVICE_KEYS = ("ai:apitype", "ai:baseurl", "ai:apitoken", "ai:orgid")
"""Which service answers, and with which key. A preset takes them from the settings together or not at all: the key of
one service must not reach another because a preset names only half of it."""

IGNORED_KEYS = ("ai:*", "ai:name", "ai:apiversion", "ai:fontsize", "ai:fixedfontsize")
"""Accepted, without effect here: looks, Azure's version, and `ai:*`, with which Wave clears what a block had before."""

PRESET_KEYS = (*KEYS, *SERVICE_KEYS, "ai:timeoutms", "ai:proxyurl", *IGNORED_KEYS)
SETTINGS_KEYS = ("ai:preset", "ai:titlepreset", "ai:embedpreset", *PRESET_KEYS)

_ZERO_IS_UNSAID = frozenset({"ai:maxtokens", "ai:maxsteps", "ai:timeoutms"})
_WHOLE_NUMBERS = ("ai:maxtokens", "ai:maxsteps")

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _FoundPreset:
    name: str
    place: str
    """Where it stands, for complaints: `presets/ai.json: ai@claude`."""
    table: Document
    order: float


def is_wave(path: Path) -> bool:
    return path.suffix == ".json" or is_folder(path)


def wave_files(path: Path) -> Sequence[Path]:
    """The files that are read where `path` is named, in their order."""
    if not is_folder(path):
        return [path]
    candidates = [path / "settings.json", path / "presets.json", *sorted((path / "presets").glob("*.json"))]
    return [candidate for candidate in candidates if is_file(candidate)]


def read_wave_files(path: Path) -> Configuration:
    """What the files say; `default` is among the presets only where they define it.

    Raises:
        ConfigurationError: a file is missing or anything in it is not right.
    """
    names = {file: file.name if file == path else file.relative_to(path).as_posix() for file in wave_files(path)}
    documents = {name: _parse(read_file(file, name), name) for file, name in names.items()}
    if not any(documents.values()):
        raise ConfigurationError(f"{path.resolve().name}: holds no preset (ai@name) and no ai: setting")
    settings_file = "settings.json" if is_folder(path) else path.name
    settings = _read_settings(documents, settings_file)
    values = read_values(_only(settings, KEYS), KEYS, f"{settings_file}: ")

    presets: dict[str, Preset] = {}
    if _only(settings, SERVICE_KEYS):
        default = _make_preset("default", None, _only(settings, (*SERVICE_KEYS, "ai:timeoutms")), f"{settings_file}: ")
        check_model(default, values, f"{settings_file}: ai:model")
    else:
        default = None
    for found in _find_presets(documents):
        if found.name in presets:
            raise ConfigurationError(f"{found.place}: there is a preset of this name already")
        presets[found.name] = _read_preset(found, settings)
        check_model(presets[found.name], values, f"{found.place}.ai:model")
    if default is not None:
        presets.setdefault("default", default)

    chosen = settings.get("ai:preset")
    if chosen == "ai@global" and "global" not in presets:
        chosen = None  # Wave's name for: no preset, only the settings
    if chosen is not None:
        chosen = read_global_preset(chosen, presets, f"{settings_file}: ai:preset")
    naming = settings.get("ai:titlepreset")
    if naming is not None:
        naming = read_global_preset(naming, presets, f"{settings_file}: ai:titlepreset")
    embedding = settings.get("ai:embedpreset")
    if embedding is not None:
        embedding = read_global_preset(embedding, presets, f"{settings_file}: ai:embedpreset")
    check_embed_preset(embedding, presets, f"{settings_file}: ai:embedpreset")
    return Configuration(presets=presets, preset=chosen, title_preset=naming, embed_preset=embedding, values=values)


def _parse(text: str, name: str) -> Document:
    """The presets and `ai:` settings of one file."""
    try:
        document = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_repeats)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name}: not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{name}: must be a JSON object")
    return {key: value for key, value in document.items() if key.startswith(("ai@", "ai:"))}


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a number in JSON")


def _refuse_repeats(pairs: Sequence[tuple[str, Any]]) -> Document:
    keys = [key for key, _ in pairs]
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!a} stands there twice")
    return table


def _read_settings(documents: Mapping[str, Document], settings_file: str) -> Document:
    for file, document in documents.items():
        keys = [key for key in document if key.startswith("ai:")]
        if keys and file != settings_file:
            raise ConfigurationError(f"{file}: {keys[0]}: a setting belongs in settings.json; a preset begins with ai@")
        check_keys(keys, SETTINGS_KEYS, f"{file}: ")
    return _said(_only(documents.get(settings_file, {}), SETTINGS_KEYS), f"{settings_file}: ")


def _find_presets(documents: Mapping[str, Document]) -> Sequence[_FoundPreset]:
    """All presets as Wave's menu has them: by `display:order`, which is 0 where it is not said."""
    found = []
    for file, document in documents.items():
        for key, value in document.items():
            if not key.startswith("ai@"):
                continue
            name = read_preset_name(key, f"{file}: ")
            place = f"{file}: {key}"
            table = read_table(value, place)
            order = table.get("display:order", 0)
            if isinstance(order, bool) or not isinstance(order, int | float):
                raise ConfigurationError(f"{place}.display:order: must be a number")
            found.append(_FoundPreset(name, place, table, order))
    return sorted(found, key=lambda preset: preset.order)


def _read_preset(found: _FoundPreset, settings: Document) -> Preset:
    prefix = f"{found.place}."
    check_keys([key for key in found.table if key.startswith("ai:")], PRESET_KEYS, prefix)
    said = _said(found.table, prefix)
    inherited = ("ai:timeoutms",) if _only(said, SERVICE_KEYS) else (*SERVICE_KEYS, "ai:timeoutms")
    title = said.get("display:name")
    if title is not None:
        title = read_text(title, f"{prefix}display:name", 200)
    return _make_preset(found.name, title, {**_only(settings, inherited), **said}, prefix)


def _make_preset(name: str, title: str | None, said: Document, prefix: str) -> Preset:
    base_url = said.get("ai:baseurl")
    provider = said.get("ai:apitype", "openai")
    if provider == "openai" and base_url is not None:
        provider = "openai-chat"  # Wave calls everything openai that speaks its format
    provider = read_provider(provider, f"{prefix}ai:apitype")
    if CATALOG[provider].adapter == "router":
        raise ConfigurationError(f"{prefix}ai:apitype: a router needs a palaver.toml, which has words for its rules")
    if base_url is not None:
        base_url = read_base_url(base_url, f"{prefix}ai:baseurl", provider)
    token = said.get("ai:apitoken")
    organization = said.get("ai:orgid")
    wait = said.get("ai:timeoutms")
    timeouts = CATALOG[provider].timeouts
    if wait:
        timeouts = replace(timeouts, first_event=read_seconds(wait, f"{prefix}ai:timeoutms", 0.001))
    return Preset(
        name=name,
        provider=provider,
        title=title,
        base_url=base_url,
        api_key=read_secret(token, f"{prefix}ai:apitoken") if token is not None else None,
        headers={"OpenAI-Organization": read_secret(organization, f"{prefix}ai:orgid")} if organization else {},
        values=read_values(_only(said, KEYS), KEYS, prefix),
        default_model=CATALOG[provider].default_model,
        timeouts=timeouts,
    )


def _only(table: Document, keys: Mapping[str, str] | Sequence[str]) -> Document:
    return {key: table[key] for key in keys if key in table}


def _said(table: Document, prefix: str) -> Document:
    """`table` without what means nothing to Wave either."""
    said = {
        key: value
        for key, value in table.items()
        if value is not None and value != "" and not (key in _ZERO_IS_UNSAID and value == 0)
    }
    if "ai:proxyurl" in said:
        raise ConfigurationError(
            f"{prefix}ai:proxyurl: a proxy for single presets is not possible here; remove the key"
        )
    for key in _WHOLE_NUMBERS:
        number = said.get(key)
        if isinstance(number, float) and number.is_integer():
            said[key] = int(number)  # all numbers are floats to Wave
    return said
