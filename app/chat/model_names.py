"""Who answers when a program names a model, as the APIs of Anthropic and OpenAI have it.

In this order: a preset's name; the model of a preset; `provider/model` (the key and address of the first preset of that
provider, else the provider's own); a model whose maker is known by its name, where a preset has that maker; and
else the preset that answers by default, with its own model. The answer's `model` says who it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.core.errors import NotFound
from app.core.model import Configuration, Preset
from app.core.ports import Providers
from app.core.values import NO_VALUES, Values, parse_values

NO_SUCH_MODEL = "There is no such model. GET /v1/models lists those that can be named."
"""Names no preset: not every key may use all of them."""


@dataclass(frozen=True, slots=True)
class Named:
    preset: Preset
    values: Values = NO_VALUES
    """The model, where the name asks for another than the preset's."""


def find(configuration: Configuration, providers: Providers, name: str) -> Named:
    """Whom the name leads to, in any case.

    Raises:
        NotFound: the name begins with a provider that is none and nobody else has it.
        InvalidRequest: a name that no model can have.
    """
    presets = configuration.presets
    if (named := known(configuration, providers, name)) is not None:
        return named
    provider, slash, _ = name.partition("/")
    if slash and provider.isidentifier():
        raise NotFound(NO_SUCH_MODEL, param="model")
    return Named(presets[configuration.preset or "default"])


def known(configuration: Configuration, providers: Providers, name: str) -> Named | None:
    """None where the name says nothing of who answers. Raises InvalidRequest: a name that no model can have."""
    presets = configuration.presets
    if (preset := presets.get(name.removeprefix("ai@"))) is not None:
        return Named(preset)
    if (preset := next((each for each in presets.values() if each.values.model == name), None)) is not None:
        return Named(preset)
    provider, slash, model = name.partition("/")
    if slash and model and (found := _of_provider(configuration, providers, provider)) is not None:
        return Named(found, asking_for(model))
    of_maker = _first_of(configuration, providers.maker_of(name))
    return Named(of_maker, asking_for(name)) if of_maker is not None else None


def asking_for(model: str) -> Values:
    """Raises InvalidRequest where it is a name that no model can have."""
    return parse_values({"model": model}, {"model": "model"})


def _of_provider(configuration: Configuration, providers: Providers, provider: str) -> Preset | None:
    if (preset := _first_of(configuration, provider)) is not None:
        return replace(preset, values=preset.values.model_copy(update={"model": None}))
    return Preset(provider, provider) if providers.knows(provider) else None


def _first_of(configuration: Configuration, provider: str | None) -> Preset | None:
    by_provider = {preset.provider: preset for preset in reversed(list(configuration.presets.values()))}
    return by_provider.get(provider or "")
