from __future__ import annotations

import pytest

from app.core.errors import InvalidRequest
from app.core.values import HEADERS, KEYS, OPTIONS, Values, parse_values

FIELDS = {field: field for field in Values.model_fields}


def test_every_layer_has_a_name_for_every_value_but_no_request_sets_the_system_prompt() -> None:
    fields = set(Values.model_fields)
    assert set(KEYS.values()) == fields
    assert set(OPTIONS.values()) == set(HEADERS.values()) == fields - {"system", "tools", "tool_policy"}


def test_one_value_has_the_same_meaning_in_every_layer() -> None:
    expected = Values(model="m", temperature=0.5, max_tokens=100, thinking="low", stop=("a",))
    options = {"model": "m", "temperature": 0.5, "maxTokens": 100, "thinking": "low", "stop": "a"}
    headers = {
        "x-ai-model": "m",
        "x-ai-temperature": "0.5",
        "x-ai-max-tokens": "100",
        "x-ai-thinking": "low",
        "x-ai-stop": "a",
    }
    keys = {"ai:model": "m", "ai:temperature": 0.5, "ai:maxtokens": 100, "ai:thinking": "low", "ai:stop": ["a"]}
    assert parse_values(options, OPTIONS) == expected
    assert parse_values(headers, HEADERS, text=True) == expected
    assert parse_values(keys, KEYS) == expected


def test_as_many_policies_as_there_may_be_tools_and_no_more() -> None:
    policies = {f"tool_{number}": "ask" for number in range(1_001)}
    with pytest.raises(InvalidRequest):
        parse_values({"ai:toolpolicy": policies}, KEYS)
    del policies["tool_0"]
    assert parse_values({"ai:toolpolicy": policies}, KEYS).tool_policy == policies
    with pytest.raises(InvalidRequest):
        parse_values({"ai:toolpolicy": {"x" * 201: "ask"}}, KEYS)


def test_null_is_not_said() -> None:
    assert parse_values({"model": None, "topP": 0.1}, OPTIONS).said() == {"top_p": 0.1}


def test_an_empty_system_prompt_is_said() -> None:
    assert parse_values({"ai:system": ""}, KEYS).said() == {"system": ""}


@pytest.mark.parametrize("budget", ["4096", "0"])
def test_a_header_may_give_a_budget_for_thinking(budget: str) -> None:
    assert parse_values({"x-ai-thinking": budget}, HEADERS, text=True).thinking == int(budget)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", ""),
        ("model", "  "),
        ("model", "a\nb"),
        ("model", "m" * 201),
        ("model", 3),
        ("system", 3),
        ("system", "nul \0"),
        ("system", "half \ud800"),
        ("system", "x" * 200_001),
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", True),
        ("temperature", "0.5"),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_p", 1.1),
        ("top_p", [0.5]),
        ("max_tokens", 0),
        ("max_tokens", 1.5),
        ("max_tokens", True),
        ("max_tokens", 10**7 + 1),
        ("stop", [""]),
        ("stop", ["a"] * 17),
        ("stop", {"a": 1}),
        ("stop", ["x" * 201]),
        ("thinking", "much"),
        ("thinking", True),
        ("thinking", -1),
        ("thinking", 0.5),
        ("response_format", "xml"),
        ("on_disconnect", "shrug"),
        ("response_format", {"type": "json"}),
    ],
)
def test_what_cannot_be_is_refused_with_what_was_expected(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=rf"^here\.{field}: must be .*\.$") as raised:
        parse_values({field: value}, FIELDS, where="here")
    assert raised.value.param == f"here.{field}"
    shown = str(value)
    assert len(shown) < 3 or shown not in raised.value.message


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e3", "warm", ""])
def test_a_header_that_is_no_number_in_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^x-ai-temperature: must be a number from 0 to 2\.$"):
        parse_values({"x-ai-temperature": text}, HEADERS, text=True)


def test_an_unknown_key_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_values({"base_url": "http://elsewhere"}, OPTIONS, where="options")
    assert raised.value.param == "options.base_url"
    assert raised.value.message == (
        "options.base_url is not a known setting. "
        "Known are: model, temperature, topP, maxTokens, stop, thinking, responseFormat, "
        "onDisconnect, cache, maxSteps."
    )
