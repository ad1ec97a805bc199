"""The table of a preset of `provider = "router"` → Router.

[presets.auto]
provider = "router"
strategy = "cheapest"
candidates = ["small", "claude"]
classifier = "small"

[[presets.auto.rules]]
when = { images = true }
use = ["claude"]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, cast, get_args

from app.core.model import Preset
from app.core.prompt_templates import is_template_name
from app.core.routing import Expression, Router, Rule, Strategy, When
from app.providers.catalog import CATALOG
from app.settings.errors import ConfigurationError
from app.settings.fields import check_keys, read_seconds, read_table, read_text

ROUTER_KEYS = ("strategy", "candidates", "classifier", "rules")
RULE_KEYS = ("when", "use")
WHEN_KEYS = tuple(field.name for field in fields(When))

FOREIGN_KEYS = ("model", "base_url", "api_key_env", "headers", "timeouts", "provider_tools", "prices", "embed_prefixes")
"""Of presets that ask a service: what a router would have to take from its candidates."""

_STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
_MAX_CANDIDATES = 20
_MAX_RULES = 50
_MAX_PATTERN = 1_000
_MAX_TOKENS = 10_000_000
_LONGEST_TAG = 64


def read_router(table: Mapping[str, Any], prefix: str) -> Router | None:
    """What a preset's table says of choosing; None where it is no router. Whether the presets that it names are there
    is seen when all have been read: `check_routers`.
    """
    if table.get("provider") != "router":
        for key in ROUTER_KEYS:
            if key in table:
                raise ConfigurationError(f'{prefix}{key}: only a router has it; say provider = "router"')
        return None
    for key in FOREIGN_KEYS:
        if key in table:
            raise ConfigurationError(f"{prefix}{key}: a router has none; its candidates have their own")
    if "candidates" not in table:
        raise ConfigurationError(f"{prefix}candidates: missing; name the presets that the router chooses among")
    strategy = table.get("strategy", "best")
    if strategy not in _STRATEGIES:
        raise ConfigurationError(f"{prefix}strategy: must be one of {', '.join(_STRATEGIES)}")
    rules = table.get("rules", [])
    if not isinstance(rules, list) or len(rules) > _MAX_RULES:
        raise ConfigurationError(f"{prefix}rules: must be at most {_MAX_RULES} tables, each with `when` and `use`")
    return Router(
        strategy=strategy,
        candidates=_read_names(table["candidates"], f"{prefix}candidates"),
        classifier=_read_name(table["classifier"], f"{prefix}classifier") if "classifier" in table else None,
        rules=tuple(_read_rule(rule, f"{prefix}rules[{number}]") for number, rule in enumerate(rules, 1)),
    )


def check_routers(presets: Mapping[str, Preset], place: str) -> None:
    """Whether every preset that a router names can answer. `default` is always there: where no file defines it, it is
    chosen at start.

    Args:
        presets: all of the file, by name.
        place: where they stand, for complaints: `palaver.toml: presets`.
    """
    for preset in presets.values():
        router = preset.router
        if router is None:
            continue
        named = [(f"rules[{number}].use", name) for number, rule in enumerate(router.rules, 1) for name in rule.use]
        named += [("candidates", name) for name in router.candidates]
        named += [("classifier", router.classifier)] if router.classifier is not None else []
        for key, name in named:
            _check_candidate(preset.name, name, presets, f"{place}.{preset.name}.{key}")


def _check_candidate(router: str, name: str, presets: Mapping[str, Preset], place: str) -> None:
    if name == router:
        raise ConfigurationError(f"{place}: a router cannot name itself")
    candidate = presets.get(name)
    if candidate is None:
        if name != "default":
            names = ", ".join(sorted({*presets, "default"} - {router}))
            raise ConfigurationError(f"{place}: there is no preset {name!r}; there are {names}")
        return
    if candidate.router is not None:
        raise ConfigurationError(f"{place}: {name!r} is a router itself; name the presets that it chooses among")
    if CATALOG[candidate.provider].adapter == "embeddings":
        raise ConfigurationError(f"{place}: {name!r} makes embeddings and cannot chat")


def _read_names(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_CANDIDATES:
        raise ConfigurationError(f"{place}: must be a list of 1 to {_MAX_CANDIDATES} names of presets")
    return tuple(dict.fromkeys(_read_name(name, place) for name in value))


def _read_name(value: Any, place: str) -> str:
    return read_text(value, place, 200).removeprefix("ai@")


def _read_rule(value: Any, place: str) -> Rule:
    table = read_table(value, place)
    check_keys(table, RULE_KEYS, f"{place}.")
    for key in RULE_KEYS:
        if key not in table:
            raise ConfigurationError(f"{place}.{key}: missing; a rule says `when` it fits, and whom to `use` then")
    when = read_table(table["when"], f"{place}.when")
    check_keys(when, WHEN_KEYS, f"{place}.when.")
    if not when:
        raise ConfigurationError(f"{place}.when: says nothing, so no other rule would ever be looked at")
    said = {key: _READERS[key](condition, f"{place}.when.{key}") for key, condition in when.items()}
    return Rule(When(**said), _read_names(table["use"], f"{place}.use"))


def _read_flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{place}: must be true or false")
    return value


def _read_tokens(value: Any, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MAX_TOKENS:
        raise ConfigurationError(f"{place}: must be a whole number of tokens, from 1 to 10,000,000")
    return value


def _read_pattern(value: Any, place: str) -> Expression:
    """Of the module `regex`: as Python's own, but it can be told for how long it may look."""
    import regex  # type: ignore[import-untyped]

    if not isinstance(value, str) or not 0 < len(value) <= _MAX_PATTERN:
        raise ConfigurationError(f"{place}: must be a regular expression of at most 1,000 characters")
    try:
        return cast(Expression, regex.compile(value))
    except (regex.error, RecursionError, OverflowError) as error:
        raise ConfigurationError(f"{place}: not a regular expression: {error}") from None


def _read_template(value: Any, place: str) -> str:
    if not isinstance(value, str) or not is_template_name(value):
        raise ConfigurationError(f"{place}: must be the name of a prompt template")
    return value


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "images": _read_flag,
    "tools": _read_flag,
    "json": _read_flag,
    "longer_than": _read_tokens,
    "matches": _read_pattern,
    "template": _read_template,
    "tag": lambda value, place: read_text(value, place, _LONGEST_TAG),
    "slower_than": read_seconds,
}
