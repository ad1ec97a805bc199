"""The preset `default` where no file defines one: what answers when somebody just starts Palaver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from app.core.model import Configuration, Preset
from app.core.values import Values
from app.providers.catalog import CATALOG

PREFERRED = ("anthropic", "openai", "groq", "google")
"""The services that are chosen because their key is there, best first."""


class LocalServer(Protocol):
    """A model server on this machine that answered at start, as `providers.discover` finds it."""

    @property
    def provider(self) -> str: ...

    @property
    def base_url(self) -> str: ...

    @property
    def model(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class DefaultPreset:
    preset: Preset
    origin: str
    """One sentence for people: what was chosen, and why."""


def choose_default(environ: Mapping[str, str], local: LocalServer | None) -> DefaultPreset:
    """A service whose key is set, else the local server, else the built-in demo."""
    variables = [variable for name in PREFERRED if (variable := CATALOG[name].key_env)]
    for name in PREFERRED:
        variable = CATALOG[name].key_env
        if variable and environ.get(variable, "").strip():
            preset = Preset("default", name, default_model=CATALOG[name].default_model)
            return DefaultPreset(preset, f"The default is {_described(preset)}, because {variable} is set.")
    if local is not None:
        preset = Preset(
            "default",
            local.provider,
            base_url=local.base_url,
            default_model=local.model,
            timeouts=CATALOG[local.provider].timeouts,
        )
        return DefaultPreset(
            preset,
            f"The default is {_described(preset)}, because it answers on this machine and no key is set.",
        )
    servers = [service.title for service in CATALOG.values() if service.local]
    return DefaultPreset(
        Preset(
            "default", "echo", title="Echo", values=Values(tools=("*",)), default_model=CATALOG["echo"].default_model
        ),
        "The default is Echo, the built-in demo, because no key is set and no local model server answers. "
        f"Set {_either(variables)}, or start {_either(servers)}.",
    )


def with_default(configuration: Configuration, default: DefaultPreset, source: str) -> Configuration:
    """`configuration` as read from the file `source`, with `default` and `origin` added where it has none."""
    presets = dict(configuration.presets)
    presets.setdefault("default", default.preset)
    if configuration.preset is not None:
        chosen = presets[configuration.preset]
        described = _described(chosen, configuration.values.model)
        origin = f"The preset is {chosen.name}, {described}, because {source} sets ai:preset."
    elif "default" in configuration.presets:
        described = _described(presets["default"], configuration.values.model)
        origin = f"The default is {described}, because {source} defines it."
    else:
        origin = default.origin
    return replace(configuration, presets=presets, origin=origin)


def _described(preset: Preset, global_model: str | None = None) -> str:
    title = CATALOG[preset.provider].title
    model = preset.values.model or global_model or preset.default_model
    return f"{title} ({model})" if model else title


def _either(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
