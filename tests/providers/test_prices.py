from __future__ import annotations

from datetime import date

import pytest

from app.core.model import Preset, Prices
from app.providers.catalog import CATALOG
from app.providers.prices import TABLE, prices_of

TODAY = date(2026, 11, 21)


def price(provider: str, model: str, input_tokens: int = 1000, day: date = TODAY, **fields: object) -> Prices | None:
    return prices_of(Preset("mine", provider, **fields), model, input_tokens, day)


def test_a_models_prices_are_those_of_its_list() -> None:
    assert price("anthropic", "claude-sonnet-5-5") == Prices(2, 10, 0.1, 2.5, 4, 10)
    assert price("openai", "gpt-6.1-terra") == Prices(1, 5, 0.05, 1.25, search=10)
    assert price("groq", "openai/gpt-oss-120b") == Prices(0.15, 0.6, 0.075)


def test_the_date_at_the_end_of_a_name_does_not_matter() -> None:
    assert price("anthropic", "claude-haiku-4-5-20251001") == Prices(1, 5, 0.1, 1.25, 2, 10)
    assert price("openai", "gpt-6.1-sol-2026-09-29") == Prices(2, 10, 0.1, 2.5, search=10)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-sonnet-5-9"),
        ("anthropic", "claude-sonnet-5-5-fast"),
        ("anthropic", "claude-sonnet"),
        ("anthropic", "gpt-6.1-terra"),
        ("openai", "gpt-6"),
        ("groq", "gpt-oss-120b"),
        ("llamacpp", "any"),
    ],
)
def test_what_is_not_known_is_not_guessed(provider: str, model: str) -> None:
    assert price(provider, model) is None


def test_the_built_in_demo_is_free() -> None:
    assert price("echo", "whatever it shall be called") == Prices(0, 0)


def test_a_long_prompt_makes_the_whole_call_dearer() -> None:
    assert price("openai", "gpt-6.1-terra", 272_000) == Prices(1, 5, 0.05, 1.25, search=10)
    assert price("openai", "gpt-6.1-terra", 272_001) == Prices(2, 7.5, 0.1, 2.5, search=10)
    assert price("anthropic", "claude-haiku-5-5", 100_001) == Prices(0.5, 2.5, 0.05, 0.625, 1, 10)


def test_what_a_preset_says_comes_first() -> None:
    own = Prices(7, 8)
    assert price("anthropic", "claude-sonnet-5-5", prices=own) == own
    assert price("llamacpp", "any", prices=own, base_url="http://127.0.0.1:1/v1") == own


def test_behind_another_address_the_list_does_not_hold() -> None:
    assert price("openai", "gpt-6.1-terra", base_url="https://models.example.com/v1") is None
    assert price("openai", "gpt-6.1-terra", base_url="https://api.openai.com/v1/") is not None


def test_a_price_holds_until_the_day_it_changes() -> None:
    rates = [rate for models in TABLE.values() for rates in models.values() for rate in rates]
    assert all(rate.before == date.max or rate.before > TODAY for rate in rates)


def test_every_price_belongs_to_a_service_and_has_a_last_rate_for_all() -> None:
    assert set(TABLE) <= set(CATALOG)
    for models in TABLE.values():
        for rates in models.values():
            assert rates[-1].up_to == float("inf")
            assert rates[-1].before == date.max
