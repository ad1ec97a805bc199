"""What was used, for programs."""

from __future__ import annotations

import json

import pytest

USAGE = "/api/ai/usage"


def test_without_a_call_everything_is_zero(client):
    answer = client.get(USAGE)
    assert answer.status_code == 200
    assert answer.json() == {
        "total": {"calls": 0, "inputTokens": 0, "outputTokens": 0, "totalTokens": 0},
        "byConversation": [],
        "byPreset": [],
        "byModel": [],
        "byDay": [],
        "byDayAndPreset": [],
        "byDayAndModel": [],
        "byPurpose": [],
    }


def say(client, block_id, **more):
    """The metadata of the answer."""
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hello"}]}
    stream = client.post(f"/api/ai/chat/{block_id}", json={"messages": [message], **more}).text
    chunks = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: {")]
    [finish] = [chunk for chunk in chunks if chunk["type"] == "finish"]
    return finish["messageMetadata"]


def test_what_a_message_says_it_used_is_what_the_ledger_says(client):
    used = say(client, "b1")["usage"]
    answer = client.get(USAGE).json()
    figures = {"calls": 1, **used, "costUsd": 0.0}
    assert answer["total"] == figures
    assert answer["byConversation"] == [{"id": "b1", **figures}]
    assert answer["byPreset"] == [{"preset": "default", **figures}]
    assert answer["byModel"] == [{"model": "echo/echo", **figures}]
    assert answer["byPurpose"] == [{"purpose": "chat", **figures}]
    [day] = answer["byDay"]
    assert answer["byDayAndPreset"] == [{"day": day["day"], "preset": "default", **figures}]
    assert answer["byDayAndModel"] == [{"day": day["day"], "model": "echo/echo", **figures}]
    assert client.get(USAGE, params={"from": day["day"], "to": day["day"]}).json()["total"] == figures
    assert client.get(USAGE, params={"to": "2026-01-01"}).json()["total"]["calls"] == 0


def test_deleted_and_temporary_conversations_are_counted_together_without_an_id(client):
    say(client, "b1")
    say(client, "b2", store=False)
    client.delete("/api/ai/conversations/b1")
    [entry] = client.get(USAGE).json()["byConversation"]
    assert "id" not in entry
    assert entry["calls"] == 2


def test_a_period_is_told_as_it_was_understood(client):
    answer = client.get(USAGE, params={"from": "2026-11-01", "to": "2026-11-30"}).json()
    assert (answer["from"], answer["to"]) == ("2026-11-01", "2026-11-30")


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize("day", ["", "yesterday", "2026-13-01", "2026-11-31", "2026-11-21T00:00:00Z", "' OR 1=1 --"])
def test_what_is_no_day_is_refused(client, name, day):
    answer = client.get(USAGE, params={name: day})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == name
