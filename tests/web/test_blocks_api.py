"""Block metadata, presets, and who set what."""

from __future__ import annotations

import time

import pytest

BLOCK = "/api/ai/blocks/b1"


def test_a_block_remembers_what_is_set_and_forgets_what_is_null(client):
    assert client.get(BLOCK).json() == {"id": "b1", "metadata": {}}
    client.patch(BLOCK, json={"ai:temperature": 0.5, "ai:preset": "default", "app:mine": {"a": [1]}})
    answer = client.patch(BLOCK, json={"ai:temperature": None})
    assert answer.json() == client.get(BLOCK).json()
    assert answer.json()["metadata"] == {"ai:preset": "default", "app:mine": {"a": [1]}}
    assert client.get("/api/ai/conversations/b1").status_code == 404, "settings alone are no conversation"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ai:preset": "nope"}, "unknown_preset"),
        ({"ai:temperature": "hot"}, "invalid_request"),
        ({"ai:colour": 1}, "invalid_request"),
        ({"colour": 1}, "invalid_request"),
    ],
)
def test_what_cannot_be_set_is_refused_and_changes_nothing(client, changes, code):
    answer = client.patch(BLOCK, json={"ai:maxtokens": 5, **changes})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert client.get(BLOCK).json()["metadata"] == {}


def test_the_presets_and_which_one_answers(client):
    answer = client.get("/api/ai/presets").json()
    assert {"name": "other", "title": "The other", "description": "", "provider": "echo", "model": "echo"} in answer[
        "presets"
    ]
    assert answer["default"] == "default"
    assert "palaver.toml" in answer["why"]


def test_a_broken_change_of_the_file_is_told_and_changes_nothing(client, tmp_path):
    before = client.get("/api/ai/presets").json()
    assert "problem" not in before
    (tmp_path / "palaver.toml").write_text("[presets.default]\nprovider = 'nobody'\n")
    for _ in range(200):  # looked at once a second
        now = client.get("/api/ai/presets").json()
        if "problem" in now:
            break
        time.sleep(0.05)
    assert now["presets"] == before["presets"]
    assert now["problem"].startswith("palaver.toml: presets.default.provider")


def test_every_value_says_which_layer_set_it(client):
    client.patch(BLOCK, json={"ai:temperature": 0.5, "ai:maxtokens": 7})
    answer = client.get("/api/ai/resolve/b1", headers={"x-ai-max-tokens": "9"}).json()
    assert answer["preset"] == {"value": "default", "layer": "default"}
    assert answer["values"]["temperature"] == {"value": 0.5, "layer": "block"}
    assert answer["values"]["maxTokens"] == {"value": 9, "layer": "headers"}
    assert client.get("/api/ai/resolve/b1?preset=other").json()["preset"] == {"value": "other", "layer": "url"}


def test_a_wrong_header_is_named(client):
    answer = client.get("/api/ai/resolve/b1", headers={"x-ai-temperature": "hot"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "x-ai-temperature")


def test_health(client):
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/health/ready").json() == {"status": "ready"}
