"""Keys at the gateway's door: who comes in, what a key may do, and what it opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from app.web.routes import routes

CHAT = "/v1/chat/completions"
BODY = {"model": "default", "messages": [{"role": "user", "content": "hello"}]}
STATIC = Path(__file__).parents[2] / "static"
GATEWAY = [
    (route.path, method) for route in routes(STATIC) if route.path.startswith("/v1/") for method in route.methods
]


CONFIGURATION = """
[presets.default]
provider = "echo"

[presets.other]
provider = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
model = "unknown"
"""
TOKEN = "the-token-of-the-server"


def served(tmp_path: Path, token: str | None) -> Iterator[TestClient]:
    config = tmp_path / "palaver.toml"
    config.write_text(CONFIGURATION)
    settings = ServerSettings(data=tmp_path / "data", config=config, token=token)
    app = create_app(settings, lambda: open_deps(settings, {}, port=8000))
    with TestClient(app, "http://127.0.0.1:8000", follow_redirects=False) as client:
        yield client


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    yield from served(tmp_path, None)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[TestClient]:
    """A server with an access token."""
    yield from served(tmp_path, TOKEN)


def make(client: TestClient, **limits: object) -> str:
    answer = client.post("/api/ai/keys", json={"name": "Editor", **limits})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def ask(client: TestClient, key: str | None = None, **more: object):
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return client.post(CHAT, json={**BODY, **more}, headers=headers)


def test_without_keys_every_program_of_this_machine_may_ask(client):
    assert ask(client).status_code == 200
    assert ask(client, "whatever-an-sdk-insists-on").status_code == 200


def test_from_the_first_key_on_one_is_needed(client):
    key = make(client)
    assert ask(client, key).status_code == 200
    assert client.post(CHAT, json=BODY, headers={"x-api-key": key}).status_code == 200
    for refused in (ask(client), ask(client, "whatever"), ask(client, key[:-1])):
        assert refused.status_code == 401
        assert refused.json()["error"]["type"] == "authentication_error"
        assert refused.json()["error"]["code"] == "invalid_api_key"
        assert key not in refused.text


@pytest.mark.parametrize(("path", "method"), GATEWAY)
def test_every_address_of_the_gateway_is_behind_the_keys(client, path, method):
    make(client)
    address = path.replace("{id}", "default").replace("{id:path}", "default")
    answer = client.request(method, address, json={} if method == "POST" else None)
    assert answer.status_code == 401


def test_two_keys_that_differ_open_nothing(client):
    key, other = make(client), make(client)
    headers = {"authorization": f"Bearer {key}", "x-api-key": other}
    assert client.post(CHAT, json=BODY, headers=headers).status_code == 401
    headers = {"authorization": f"Bearer {key}", "x-api-key": "whatever"}
    assert client.post(CHAT, json=BODY, headers=headers).status_code == 401


def test_who_guesses_keys_is_kept_waiting(client):
    make(client)
    answers = [ask(client, f"plv_{number}").status_code for number in range(25)]
    assert answers[0] == 401
    assert answers[-1] == 429


def test_a_key_asks_its_presets_alone(client):
    key = make(client, presets=["default"])
    assert ask(client, key).status_code == 200
    refused = ask(client, key, model="other")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "preset_not_allowed")
    assert refused.json()["error"]["type"] == "permission_error"


def test_a_key_with_a_spend_limit_asks_nothing_that_nobody_knows_the_price_of(client):
    key = make(client, spendLimit=1)
    assert ask(client, key).status_code == 200
    refused = ask(client, key, model="other")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "preset_not_allowed")


def test_a_key_used_too_often_is_told_when_to_come_back(client):
    key = make(client, requestsPerMinute=1)
    assert ask(client, key).status_code == 200
    refused = ask(client, key)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["type"] == "rate_limit_error"


def test_the_list_counts_calls_and_tells_no_key(client):
    key = make(client, presets=["default"], requestsPerMinute=5, spendLimit=2.5)
    ask(client, key)
    answer = client.get("/api/ai/keys")
    assert key not in answer.text
    [listed] = answer.json()["keys"]
    assert listed["ending"] == key[-4:]
    assert (listed["presets"], listed["requestsPerMinute"], listed["spendLimit"]) == (["default"], 5, 2.5)
    assert (listed["calls"], listed["spentThisMonth"]) == (1, 0)
    assert listed["lastUsedAt"] >= listed["createdAt"]


def test_a_removed_key_opens_nothing(client):
    make(client)
    key = make(client)
    [_, listed] = client.get("/api/ai/keys").json()["keys"]
    assert client.delete(f"/api/ai/keys/{listed['id']}").status_code == 204
    assert ask(client, key).status_code == 401
    assert client.delete(f"/api/ai/keys/{listed['id']}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x", "presets": ["gone"]},
        {"name": "x", "presets": "default"},
        {"name": "x", "requestsPerMinute": 0},
        {"name": "x", "requestsPerMinute": True},
        {"name": "x", "spendLimit": -1},
        {"name": "x", "admin": True},
    ],
)
def test_a_key_that_cannot_be_is_refused(client, body):
    answer = client.post("/api/ai/keys", json=body)
    assert answer.status_code == 400
    assert client.get("/api/ai/keys").json()["keys"] == []


def test_a_key_opens_the_gateway_and_nothing_else(locked):
    token = {"authorization": f"Bearer {TOKEN}"}
    key = locked.post("/api/ai/keys", json={"name": "Editor"}, headers=token).json()["key"]
    assert ask(locked, key).status_code == 200
    assert locked.post(CHAT, json=BODY, headers=token).status_code == 200
    assert ask(locked).status_code == 401
    for path in ("/api/ai/keys", "/api/ai/conversations", "/settings/keys", "/v1", "/files/x", "/api/ai/usage"):
        assert locked.get(path, headers={"authorization": f"Bearer {key}"}).status_code != 200
