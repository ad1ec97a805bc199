"""`/v1/models`: pages as Anthropic's clients ask for them."""

from __future__ import annotations

import pytest

NAMES = ["default", "other"]


def ids(client, query=""):
    page = client.get(f"/v1/models{query}").json()
    found = [model["id"] for model in page["data"]]
    assert (page["first_id"], page["last_id"]) == ((found[0], found[-1]) if found else (None, None))
    return found, page["has_more"]


@pytest.mark.parametrize(
    ("query", "found", "has_more"),
    [
        ("", NAMES, False),
        ("?limit=2", NAMES, False),
        ("?limit=1", ["default"], True),
        ("?limit=1&after_id=default", ["other"], False),
        ("?after_id=other", [], False),
        ("?before_id=other", ["default"], False),
        ("?before_id=default", [], False),
    ],
)
def test_a_page(client, query, found, has_more):
    assert ids(client, query) == (found, has_more)


@pytest.mark.parametrize("query", ["?limit=0", "?limit=x", "?limit=1001", "?after_id=nobody", "?before_id=nobody"])
def test_a_page_that_cannot_be(client, query):
    answer = client.get(f"/v1/models{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] in query


def test_a_model_by_its_name(client):
    assert client.get("/v1/models/other").json()["display_name"] == "The other"
    assert client.get("/v1/models/nobody").json()["error"]["type"] == "not_found_error"


@pytest.mark.parametrize("name", ["echo/other-model", "echo%2Fother-model", "ai@other"])
def test_whatever_can_be_asked_for_is_a_model(client, name):
    found = client.get(f"/v1/models/{name}").json()
    assert (found["id"], found["owned_by"]) == (name.replace("%2F", "/").removeprefix("ai@"), "echo")


def test_a_key_hears_of_no_model_that_it_may_not_ask(client):
    key = client.post("/api/ai/keys", json={"name": "Editor", "presets": ["default"]}).json()["key"]
    headers = {"x-api-key": key}
    assert client.get("/v1/models/default", headers=headers).status_code == 200
    for name in ("other", "echo/other-model"):
        assert client.get(f"/v1/models/{name}", headers=headers).status_code == 404
