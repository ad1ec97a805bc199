"""What models cost: list prices of ordinary calls, in US dollars for a million tokens.

They were taken from the services' price lists and model pages, as of 2026-11-21. A model that is not here has no
price, nor has one behind an address of the user's own; a preset may say its `prices` itself. What services charge
beside tokens is in no price, but for searches of the web by Anthropic and OpenAI. Services that charge for every
request (Perplexity), by the time of day (DeepSeek) or by who does the work (OpenRouter) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeAlias

from app.core.model import Preset, Prices
from app.providers.catalog import CATALOG


@dataclass(frozen=True, slots=True)
class Rate:
    prices: Prices
    up_to: float = float("inf")
    """Input tokens. A call with more is another rate's, as a whole."""
    before: date = date.max
    """The day from which on another rate holds."""


Rates: TypeAlias = Sequence[Rate]
"""Of one model; the first one that fits a call is the call's."""

_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")
"""The end of a name that means one state of a model: `claude-haiku-4-5-20251001`."""


def prices_of(preset: Preset, model: str, input_tokens: int, day: date) -> Prices | None:
    """The prices of one call; None where nobody knows them.

    Args:
        preset: who is asked. Its own `prices` come before the table's.
        model: the name that the call gave.
        input_tokens: of the call, those from the cache included.
        day: on which it was made.
    """
    if preset.prices is not None:
        return preset.prices
    if preset.provider == "echo":
        return Prices(0, 0)
    if preset.base_url is not None and preset.base_url.rstrip("/") != CATALOG[preset.provider].base_url:
        return None
    rates = TABLE.get(preset.provider, {}).get(_DATED.sub("", model), ())
    return next((rate.prices for rate in rates if input_tokens <= rate.up_to and day < rate.before), None)


def _flat(input_: float, output: float, cache_read: float | None = None) -> Rates:
    return (Rate(Prices(input_, output, cache_read)),)


def _claude(input_: float, output: float, cache_read: float) -> Prices:
    """What is written to the cache costs a quarter more than input, and twice as much where it is kept for an hour."""
    return Prices(input_, output, cache_read, cache_write=1.25 * input_, cache_write_1h=2 * input_)


def _gpt(input_: float, output: float, cache_read: float) -> Rates:
    """Since GPT-5.6 writing to the cache costs a quarter more than input; long prompts make the whole call dearer."""
    short = Prices(input_, output, cache_read, cache_write=1.25 * input_)
    long = Prices(2 * input_, 1.5 * output, 2 * cache_read, cache_write=2.5 * input_)
    return Rate(short, up_to=272_000), Rate(long)


def _stepped(up_to: int, short: Prices, long: Prices) -> Rates:
    return Rate(short, up_to=up_to), Rate(long)


_GEMINI_FLASH: Rates = (
    Rate(Prices(0.75, 3.75, 0.075), before=date(2027, 1, 1)),
    Rate(Prices(1.5, 7.5, 0.15)),
)


def _searching(dollars: float, models: Mapping[str, Rates]) -> Mapping[str, Rates]:
    """With what a thousand searches cost."""
    return {
        name: [replace(rate, prices=replace(rate.prices, search=dollars)) for rate in rates]
        for name, rates in models.items()
    }


_ANTHROPIC: Mapping[str, Rates] = {
    "claude-fable-5-2": (Rate(_claude(8, 40, 0.2)),),
    "claude-fable-5-1": (Rate(_claude(10, 50, 0.25)),),
    "claude-fable-5": (Rate(_claude(10, 50, 1)),),
    "claude-opus-5-5": (Rate(_claude(4, 20, 0.2)),),
    "claude-opus-5": (Rate(_claude(5, 25, 0.5)),),
    "claude-opus-4-8": (Rate(_claude(5, 25, 0.5)),),
    "claude-opus-4-7": (Rate(_claude(5, 25, 0.5)),),
    "claude-opus-4-6": (Rate(_claude(5, 25, 0.5)),),
    "claude-opus-4-5": (Rate(_claude(5, 25, 0.5)),),
    "claude-sonnet-5-5": (Rate(_claude(2, 10, 0.1)),),
    "claude-sonnet-5": (Rate(_claude(2, 10, 0.2)),),
    "claude-sonnet-4-6": (Rate(_claude(3, 15, 0.3)),),
    "claude-sonnet-4-5": _stepped(200_000, _claude(3, 15, 0.3), _claude(6, 22.5, 0.6)),
    "claude-haiku-5-5": _stepped(100_000, _claude(0.1, 0.5, 0.01), _claude(0.5, 2.5, 0.05)),
    "claude-haiku-4-5": (Rate(_claude(1, 5, 0.1)),),
}

_OPENAI: Mapping[str, Rates] = {
    "gpt-6.1-sol": _gpt(2, 10, 0.1),
    "gpt-6.1-terra": _gpt(1, 5, 0.05),
    "gpt-6-astra": _gpt(10, 50, 1),
    "gpt-6-sol": _gpt(2, 10, 0.2),
    "gpt-6-luna": _gpt(0.1, 0.5, 0.01),
    "gpt-5.6": _gpt(4, 20, 0.4),
    "gpt-5.6-sol": _gpt(4, 20, 0.4),
    "gpt-5.6-terra": _gpt(2, 12, 0.2),
    "gpt-5.6-luna": _gpt(0.2, 1.2, 0.02),
    "gpt-5.5": _stepped(272_000, Prices(5, 30, 0.5), Prices(10, 45, 1)),
    "gpt-5.4": _stepped(272_000, Prices(2.5, 15, 0.25), Prices(5, 22.5, 0.5)),
    "gpt-5.4-mini": _flat(0.75, 4.5, 0.075),
    "gpt-5.4-nano": _flat(0.2, 1.25, 0.02),
    "gpt-5.2": _flat(1.75, 14, 0.175),
    "gpt-5.1": _flat(1.25, 10, 0.125),
    "gpt-5": _flat(1.25, 10, 0.125),
    "gpt-5-mini": _flat(0.25, 2, 0.025),
    "gpt-5-nano": _flat(0.05, 0.4, 0.005),
    "gpt-4.1": _flat(2, 8, 0.5),
    "gpt-4.1-mini": _flat(0.4, 1.6, 0.1),
    "gpt-4.1-nano": _flat(0.1, 0.4, 0.025),
    "text-embedding-3-small": _flat(0.02, 0),
    "text-embedding-3-large": _flat(0.13, 0),
    "text-embedding-ada-002": _flat(0.1, 0),
}

TABLE: Mapping[str, Mapping[str, Rates]] = {
    "anthropic": _searching(10, _ANTHROPIC),
    "openai": _searching(10, _OPENAI),
    "openai-chat": _OPENAI,
    "openai-responses": _searching(10, _OPENAI),
    "google": {
        "gemini-3.8-flash": _GEMINI_FLASH,
        "gemini-3.7-flash": _GEMINI_FLASH,
        "gemini-3.6-flash": _GEMINI_FLASH,
        "gemini-3.5-flash": _flat(1.5, 9, 0.15),
        "gemini-3.5-flash-lite": _flat(0.3, 2.5, 0.03),
        "gemini-3.1-pro-preview": _stepped(200_000, Prices(2, 12, 0.2), Prices(4, 18, 0.4)),
        "gemini-2.5-pro": _stepped(200_000, Prices(1.25, 10, 0.125), Prices(2.5, 15, 0.25)),
    },
    "groq": {
        "openai/gpt-oss-120b": _flat(0.15, 0.6, 0.075),
        "openai/gpt-oss-20b": _flat(0.075, 0.3, 0.0375),
        "llama-3.3-70b-versatile": _flat(0.59, 0.79),
        "llama-3.1-8b-instant": _flat(0.05, 0.08),
    },
    "mistral": {
        "mistral-large-2512": _flat(0.5, 1.5, 0.05),
        "mistral-small-2603": _flat(0.15, 0.6, 0.015),
    },
    "voyage": {
        "voyage-4-large": _flat(0.12, 0),
        "voyage-4": _flat(0.06, 0),
        "voyage-4-lite": _flat(0.02, 0),
        "voyage-code-3": _flat(0.18, 0),
        "voyage-finance-2": _flat(0.12, 0),
        "voyage-law-2": _flat(0.12, 0),
    },
    "xai": {
        "grok-4.7": _stepped(199_999, Prices(2, 6, 0.5), Prices(4, 12, 1)),
        "grok-4.6": _stepped(199_999, Prices(2, 6, 0.5), Prices(4, 12, 1)),
        "grok-4.5": _stepped(199_999, Prices(2, 6, 0.3), Prices(4, 12, 0.6)),
    },
}
"""By row of the catalog, then by the name of the model, without the date at its end."""
