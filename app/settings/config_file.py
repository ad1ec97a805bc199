"""`palaver.toml` → Configuration.

[settings]
"ai:preset" = "claude"

[presets.claude]
provider = "anthropic"
model = "claude-sonnet-5-5"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

from app.core.embeddings import InputType
from app.core.model import Configuration, Preset, Prices, Timeouts
from app.core.prompt_templates import TemplateCall, is_template_name
from app.core.values import KEYS, Values
from app.providers.catalog import CATALOG
from app.settings.errors import ConfigurationError
from app.settings.fields import (
    check_embed_preset,
    check_keys,
    check_model,
    is_json,
    read_base_url,
    read_file,
    read_global_preset,
    read_preset_name,
    read_provider,
    read_seconds,
    read_service_headers,
    read_table,
    read_text,
    read_values,
    read_variable,
)
from app.settings.routers import ROUTER_KEYS, check_routers, read_router
from app.settings.tool_tables import read_tool_settings

VALUE_KEYS: Mapping[str, str] = {field: field for field in Values.model_fields}

PRESET_KEYS = (
    "provider",
    *VALUE_KEYS,
    "base_url",
    "api_key_env",
    "headers",
    "timeouts",
    "provider_tools",
    "prices",
    "embed_prefixes",
    "title",
    "description",
    "system_template",
    "variables",
    *ROUTER_KEYS,
)
PRESET_SETTINGS = ("ai:preset", "ai:titlepreset", "ai:embedpreset")
"""Which of the presets to use for what."""
SETTINGS_KEYS = (*PRESET_SETTINGS, *KEYS)
TIMEOUT_KEYS = tuple(field.name for field in fields(Timeouts))
PRICE_KEYS = tuple(field.name for field in fields(Prices))

_MAX_PROVIDER_TOOLS = 32
_HIGHEST_PRICE = 100_000
_LONGEST_PREFIX = 500


def read_config_file(path: Path) -> Configuration:
    """What the file says; `default` is among the presets only where the file defines it.

    Raises:
        ConfigurationError: the file is missing or anything in it is not right.
    """
    name = path.name
    document = _parse(read_file(path, name), name)
    check_keys(document, ("settings", "presets", "tools", "mcp"), f"{name}: ")
    settings = read_table(document.get("settings", {}), f"{name}: settings")
    check_keys(settings, SETTINGS_KEYS, f"{name}: settings.")
    said = {key: value for key, value in settings.items() if key not in PRESET_SETTINGS}
    values = read_values(said, KEYS, f"{name}: settings.")

    presets: dict[str, Preset] = {}
    for key, table in read_table(document.get("presets", {}), f"{name}: presets").items():
        preset = _read_preset(key, table, f"{name}: presets.")
        if preset.name in presets:
            raise ConfigurationError(f"{name}: presets.{key}: there is a preset of this name already")
        check_model(preset, values, f"{name}: presets.{key}.model")
        presets[preset.name] = preset
    check_routers(presets, f"{name}: presets")

    chosen, naming, embedding = (
        read_global_preset(settings[key], presets, f"{name}: settings.{key}") if key in settings else None
        for key in PRESET_SETTINGS
    )
    check_embed_preset(embedding, presets, f"{name}: settings.ai:embedpreset")
    tools = read_tool_settings(document, name, path.resolve().parent)
    return Configuration(
        presets=presets,
        preset=chosen,
        title_preset=naming,
        embed_preset=embedding,
        values=values,
        tools=tools,
    )


def _parse(text: str, name: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # huge numbers and deep nesting are ValueError and RecursionError
        raise ConfigurationError(f"{name}: not valid TOML: {error}") from None


def _read_preset(key: str, value: Any, prefix: str) -> Preset:
    name = read_preset_name(key, prefix)
    table = read_table(value, prefix + key)
    prefix = f"{prefix}{key}."
    check_keys(table, PRESET_KEYS, prefix)
    provider = read_provider(table.get("provider"), f"{prefix}provider")
    said = {field: table[field] for field in VALUE_KEYS if field in table}
    return Preset(
        name=name,
        provider=provider,
        title=read_text(table["title"], f"{prefix}title", 200) if "title" in table else None,
        description=read_text(table["description"], f"{prefix}description", 2000) if "description" in table else None,
        base_url=read_base_url(table["base_url"], f"{prefix}base_url", provider) if "base_url" in table else None,
        api_key_env=read_variable(table["api_key_env"], f"{prefix}api_key_env") if "api_key_env" in table else None,
        headers=read_service_headers(table.get("headers", {}), f"{prefix}headers"),
        values=read_values(said, VALUE_KEYS, prefix),
        default_model=CATALOG[provider].default_model,
        timeouts=_read_timeouts(table.get("timeouts", {}), f"{prefix}timeouts", CATALOG[provider].timeouts),
        system_template=_read_system_template(table, prefix),
        provider_tools=_read_provider_tools(table.get("provider_tools", []), f"{prefix}provider_tools"),
        prices=_read_prices(table["prices"], f"{prefix}prices") if "prices" in table else None,
        embed_prefixes=_read_prefixes(table.get("embed_prefixes"), f"{prefix}embed_prefixes"),
        router=read_router(table, prefix),
    )


def _read_system_template(table: Mapping[str, Any], prefix: str) -> TemplateCall | None:
    """Whether there is such a template is seen when the preset answers: templates come and go."""
    variables = read_table(table.get("variables", {}), f"{prefix}variables")
    if "system_template" not in table:
        if variables:
            raise ConfigurationError(f"{prefix}variables: fill a prompt template; name one in system_template")
        return None
    name = table["system_template"]
    if not isinstance(name, str) or not is_template_name(name):
        raise ConfigurationError(f"{prefix}system_template: must be the name of a prompt template")
    if "system" in table:
        raise ConfigurationError(f"{prefix}system_template: must not stand beside system; choose one of them")
    if not is_json(variables):
        raise ConfigurationError(f"{prefix}variables: must hold texts, numbers, lists and tables")
    return TemplateCall(name, variables)


def _read_timeouts(value: Any, place: str, customary: Timeouts) -> Timeouts:
    table = read_table(value, place)
    check_keys(table, TIMEOUT_KEYS, f"{place}.")
    return replace(customary, **{key: read_seconds(seconds, f"{place}.{key}") for key, seconds in table.items()})


def _read_provider_tools(value: Any, place: str) -> tuple[Mapping[str, Any], ...]:
    """What they may hold is the service's business; that they are JSON is ours."""
    tables = isinstance(value, list) and all(isinstance(tool, dict) and tool for tool in value)
    if not tables or len(value) > _MAX_PROVIDER_TOOLS or not is_json(value):
        raise ConfigurationError(
            f'{place}: must be a list of tables as the service has them, such as {{ type = "web_search" }}'
        )
    return tuple(value)


def _read_prefixes(value: Any, place: str) -> Mapping[InputType, str] | None:
    if value is None:
        return None
    table = read_table(value, place)
    kinds: Sequence[InputType] = get_args(InputType)
    check_keys(table, kinds, f"{place}.")
    return {kind: read_text(table[kind], f"{place}.{kind}", _LONGEST_PREFIX) for kind in kinds if kind in table}


def _read_prices(value: Any, place: str) -> Prices:
    table = read_table(value, place)
    check_keys(table, PRICE_KEYS, f"{place}.")
    for key in ("input", "output"):
        if key not in table:
            raise ConfigurationError(f"{place}.{key}: missing; prices are dollars for a million tokens")
    return Prices(**{key: _read_price(price, f"{place}.{key}") for key, price in table.items()})


def _read_price(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _HIGHEST_PRICE:
        raise ConfigurationError(f"{place}: must be a number of dollars for a million tokens, at most 100,000")
    return float(value)
