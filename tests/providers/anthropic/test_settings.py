from __future__ import annotations

from typing import Any

import pytest

from app.providers.anthropic.settings import DEFAULT_MAX_TOKENS, Settings, family_of, settings_of
from tests.providers.asking import request

SONNET_5_5 = "claude-sonnet-5-5"
SONNET_4_6 = "claude-sonnet-4-6"
HAIKU_4_5 = "claude-haiku-4-5-20251001"
DROPS = {"prefix_mismatch_behavior": "drop_block"}
SUMMARIES = {"type": "adaptive", "display": "summarized"}


def settings(model: str, *, in_loop: bool = False, **values: Any) -> Settings:
    return settings_of(request(model=model, **values), in_loop=in_loop)


def warned(found: Settings) -> list[str]:
    assert all(warning.details.endswith(".") for warning in found.warnings)
    return [warning.setting for warning in found.warnings]


@pytest.mark.parametrize(
    ("model", "thinking", "sent", "effort", "warnings"),
    [
        (SONNET_5_5, None, {"block_binding": DROPS}, None, []),
        (SONNET_5_5, "high", {**SUMMARIES, "block_binding": DROPS}, "high", []),
        (SONNET_5_5, 2000, {**SUMMARIES, "block_binding": DROPS}, "low", ["thinking"]),
        (SONNET_5_5, 20000, {**SUMMARIES, "block_binding": DROPS}, "high", ["thinking"]),
        (SONNET_5_5, "off", {"block_binding": DROPS}, "low", ["thinking"]),
        ("claude-mythos-5-2", 0, None, "low", ["thinking"]),
        ("claude-haiku-5-5", "off", {"type": "disabled"}, None, []),
        ("claude-haiku-5-5", 9000, SUMMARIES, "medium", ["thinking"]),
        ("claude-opus-5", 9000, {"type": "enabled", "budget_tokens": 9000, "display": "summarized"}, None, []),
        (SONNET_4_6, "medium", SUMMARIES, "medium", []),
        (SONNET_4_6, None, None, None, []),
        (HAIKU_4_5, "medium", {"type": "enabled", "budget_tokens": 16384}, None, []),
        (HAIKU_4_5, 5, {"type": "enabled", "budget_tokens": 1024}, None, []),
        (HAIKU_4_5, "off", {"type": "disabled"}, None, []),
        ("claude-epic-9", "low", SUMMARIES, "low", []),
        ("claude-epic-9", "off", None, "low", ["thinking"]),
        ("tiny", "low", {"type": "enabled", "budget_tokens": 4096}, None, []),
    ],
)
def test_thinking_is_said_as_the_family_takes_it(
    model: str, thinking: Any, sent: Any, effort: str | None, warnings: list[str]
) -> None:
    found = settings(model, thinking=thinking)
    assert found.body.get("thinking") == sent
    assert found.body.get("output_config") == ({"effort": effort} if effort else None)
    assert warned(found) == warnings


def test_a_family_that_ties_thoughts_to_the_past_is_told_to_forget_them_and_needs_a_header() -> None:
    assert settings(SONNET_5_5).betas == ("thinking-binding-controls-2026-08-01",)
    assert settings("claude-haiku-5-5").betas == ()


@pytest.mark.parametrize(
    ("model", "thinking", "max_tokens", "budget", "limit", "warnings"),
    [
        ("tiny", 2000, None, 2000, 2000 + DEFAULT_MAX_TOKENS, []),
        ("tiny", 2000, 1000, 2000, 3000, []),
        ("tiny", 2000, 4000, 2000, 4000, []),
        (HAIKU_4_5, 60000, None, 60000, 64000, ["max_tokens"]),
        (HAIKU_4_5, 100000, None, 32000, 64000, ["max_tokens"]),
    ],
)
def test_a_budget_leaves_room_for_the_answer(
    model: str, thinking: int, max_tokens: int | None, budget: int, limit: int, warnings: list[str]
) -> None:
    found = settings(model, thinking=thinking, max_tokens=max_tokens)
    assert found.body["thinking"]["budget_tokens"] == budget
    assert found.body["max_tokens"] == limit
    assert warned(found) == warnings


def test_no_more_tokens_are_asked_for_than_the_family_says() -> None:
    found = settings(SONNET_4_6, max_tokens=1_000_000)
    assert (found.body["max_tokens"], warned(found)) == (128_000, ["max_tokens"])


def test_families_that_think_unasked_get_room_for_it() -> None:
    assert settings("tiny").body["max_tokens"] == DEFAULT_MAX_TOKENS
    assert settings(SONNET_5_5).body["max_tokens"] > DEFAULT_MAX_TOKENS


@pytest.mark.parametrize(
    ("model", "values", "sent", "warnings"),
    [
        ("tiny", {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}, []),
        ("tiny", {"temperature": 1.5}, {"temperature": 1}, ["temperature"]),
        ("tiny", {"temperature": 0.5, "thinking": 2000}, None, ["temperature"]),
        (SONNET_4_6, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ["top_p"]),
        (SONNET_4_6, {"top_p": 0.9}, {"top_p": 0.9}, []),
        (SONNET_4_6, {"top_p": 0.9, "thinking": "low"}, None, ["top_p"]),
        (SONNET_4_6, {"top_p": 0.9, "thinking": "off"}, {"top_p": 0.9}, []),
        (SONNET_5_5, {"temperature": 0.5, "top_p": 0.9}, None, ["temperature", "top_p"]),
        ("claude-epic-9", {"temperature": 0.5}, None, ["temperature"]),
    ],
)
def test_sampling_that_the_family_refuses_is_left_out(
    model: str, values: dict[str, Any], sent: Any, warnings: list[str]
) -> None:
    found = settings(model, **values)
    assert found.body.get("extra_body") == sent
    assert warned(found) == warnings


def test_stop_sequences_of_white_space_are_left_out() -> None:
    found = settings("tiny", stop=("END", "\n\n"))
    assert (found.body["stop_sequences"], warned(found)) == (["END"], ["stop"])
    assert "stop_sequences" not in settings("tiny", stop=(" ",)).body


def test_a_budget_waits_for_the_next_question_where_tools_were_called_without_thinking() -> None:
    found = settings(HAIKU_4_5, thinking="high", in_loop=True)
    assert (found.body["thinking"], warned(found)) == ({"type": "disabled"}, ["thinking"])
    assert settings(SONNET_4_6, thinking="high", in_loop=True).body["thinking"] == SUMMARIES


@pytest.mark.parametrize(
    ("model", "max_tokens"),
    [
        ("claude-opus-5-5", 128_000),
        ("anthropic/claude-sonnet-4-5", 64_000),
        ("claude-opus-4-5", 64_000),
        ("claude-opus-4-1", 32_000),
        ("claude-epic-9", None),
        ("qwen3", None),
    ],
)
def test_families_are_known_by_a_part_of_the_name(model: str, max_tokens: int | None) -> None:
    assert family_of(model).max_tokens == max_tokens
