"""What an answer's metadata say, as rows of a table."""

from __future__ import annotations

import pytest

from app.wire.details import answer_details


def test_everything_that_is_known_is_told():
    metadata = {
        "model": "tiny",
        "preset": "p",
        "createdAt": "2026-11-21T12:00:00.000+00:00",
        "usage": {
            "inputTokens": 12345,
            "outputTokens": 300,
            "totalTokens": 12645,
            "reasoningTokens": 100,
            "cachedInputTokens": 12000,
            "cacheWriteTokens": 0,
        },
        "costUsd": 0.0012,
        "timeToFirstTokenMs": 420,
        "durationMs": 4420,
        "toolMs": {"c1": 1000},
        "finishReason": "stop",
        "repairs": [{"kind": "x", "messageId": "m"}],
    }
    assert answer_details(metadata, {}) == [
        ("Model", "tiny"),
        ("Preset", "p"),
        ("Tokens in", "12,345"),
        ("from the cache", "12,000"),
        ("to the cache", "0"),
        ("Tokens out", "300"),
        ("for thinking", "100"),
        ("Cost", "$0.0012"),
        ("First token after", "420 ms"),
        ("Took", "4.4 s"),
        ("Speed", "100 tokens per second"),
        ("Ended", "By itself"),
        ("Mended in the history", "1 place"),
        ("Began", "2026-11-21T12:00:00.000+00:00"),
    ]


@pytest.mark.parametrize(
    "metadata",
    [
        *(None, 7, "text", [], {}),
        {"model": 1, "usage": [], "costUsd": "1", "durationMs": True, "finishReason": None},
        {"usage": {"inputTokens": "3", "outputTokens": None}, "timeToFirstTokenMs": -1, "toolMs": 3, "createdAt": 5},
    ],
)
def test_what_is_not_there_or_not_ours_is_left_out(metadata):
    assert answer_details(metadata, {}) == []


def test_how_it_ended_is_what_happened_last():
    stopped = dict(answer_details({"status": "stopped", "finishReason": "stop"}, {}))
    assert stopped["Ended"] == "Stopped"
    assert answer_details({"status": "complete", "finishReason": "length"}, {}) == [("Ended", "At its token limit")]


def test_an_answer_in_no_time_has_no_speed():
    timed = {"usage": {"outputTokens": 9}, "timeToFirstTokenMs": 10, "durationMs": 20}
    assert "Speed" not in dict(answer_details(timed, {}))


def test_a_price_of_nothing_is_told_and_so_is_one_that_nobody_knows():
    used = {"usage": {"inputTokens": 3, "outputTokens": 9}}
    assert dict(answer_details({**used, "costUsd": 0}, {}))["Cost"] == "Free"
    assert dict(answer_details(used, {}))["Cost"] == "No price known"
    assert "Cost" not in dict(answer_details({"model": "m"}, {}))


@pytest.mark.parametrize(
    ("status", "said"), [("stopped", "Stopped"), ("error", "Failed"), ("interrupted", "Interrupted")]
)
def test_an_answer_without_an_end_says_that_its_tokens_are_not_known(status, said):
    rows = dict(answer_details({"model": "m", "status": status}, {}))
    assert rows["Tokens"] == f"{said}, and the service reports no tokens"


def test_what_is_not_in_the_sum_is_told():
    used = {"usage": {"inputTokens": 3, "outputTokens": 9}}
    assert ("not counted", "The last call: stopped, and the service reports no tokens") in answer_details(
        {**used, "status": "stopped"}, {}
    )
    assert ("not counted", "What was said before it was continued") in answer_details(
        {**used, "status": "complete", "usageIncomplete": True}, {}
    )


def test_a_preset_has_its_title():
    assert answer_details({"preset": "default"}, {"default": "Echo"}) == [("Preset", "Echo")]
    assert answer_details({"preset": "gone"}, {"default": "Echo"}) == [("Preset", "gone")]
