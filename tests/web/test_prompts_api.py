"""Prompt templates over HTTP: kept, versioned, filled in, used in turns, and as files."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from tests.web.conftest import CONFIGURATION

LIST = "/api/ai/templates"
HI = f"{LIST}/hi"
TEXT = 'Say {{ what | default("hello") }} to {{ who }}'


def put(client, name="hi", status=201, headers=None, **body):
    answer = client.put(f"{LIST}/{name}", json=body or {"text": TEXT}, headers=headers or {})
    assert answer.status_code == status, answer.text
    return answer


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_a_template_is_listed_with_its_variables(client):
    assert client.get(LIST).json() == {"templates": []}
    put(client, title="Greet", text=TEXT)
    [listed] = client.get(LIST).json()["templates"]
    assert listed.pop("savedAt").endswith("Z")
    assert listed == {
        "name": "hi",
        "title": "Greet",
        "variables": [{"name": "what", "required": False, "default": "hello"}, {"name": "who", "required": True}],
        "version": 1,
    }


def test_what_is_loaded_can_be_sent_back_and_changes_nothing(client):
    put(client, title="Greet", description="D", text=TEXT)
    loaded = client.get(HI)
    assert loaded.headers["etag"] == '"1"'
    assert client.put(HI, json=loaded.json(), headers={"if-match": '"1"'}).json() == loaded.json()


def test_every_change_is_a_version_and_old_ones_can_be_brought_back(client):
    put(client, text="one")
    put(client, status=200, text="two")
    versions = client.get(f"{HI}/versions").json()["versions"]
    assert [each["version"] for each in versions] == [2, 1]
    old = client.get(f"{HI}?version=1").json()
    assert old["text"] == "one"
    assert client.put(HI, json=old).json()["version"] == 3
    assert client.get(HI).json()["text"] == "one"


def test_a_lost_update_is_refused(client):
    put(client, text="one")
    put(client, status=200, text="two", headers={"if-match": '"1"'})
    assert code(client.put(HI, json={"text": "three"}, headers={"if-match": '"1"'})) == (412, "version_conflict")
    assert code(client.put(HI, json={"text": "three"}, headers={"if-none-match": "*"})) == (412, "version_conflict")
    assert code(client.delete(HI, headers={"if-match": '"1"'})) == (412, "version_conflict")


def test_what_is_deleted_is_gone(client):
    put(client)
    assert client.delete(HI).status_code == 204
    for answer in (
        client.get(HI),
        client.delete(HI),
        client.get(f"{HI}/versions"),
        client.post(f"{HI}/render", json={}),
    ):
        assert code(answer) == (404, "not_found")


def test_a_template_is_filled_in(client):
    put(client)
    assert client.post(f"{HI}/render", json={"variables": {"who": "{{ what }}"}}).json() == {
        "text": "Say hello to {{ what }}"
    }


def test_several_messages_are_filled_in(client):
    messages = [{"role": "system", "text": "Be {{ mood }}"}, {"role": "user", "text": "I am {{ me.name }}"}]
    put(client, messages=messages)
    filled = client.post(f"{HI}/render", json={"variables": {"mood": "kind", "me": {"name": "Ann"}}}).json()
    assert filled == {"messages": [{"role": "system", "text": "Be kind"}, {"role": "user", "text": "I am Ann"}]}


def test_missing_and_unknown_variables_are_named(client):
    put(client)
    answer = client.post(f"{HI}/render", json={"variables": {"whom": "secret"}})
    assert code(answer) == (400, "invalid_variables")
    assert answer.json()["error"]["message"] == "Missing: who. Unknown: whom. The template takes what, who."


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"text": "{{ a"}, "invalid_template"),
        ({"text": "  "}, "invalid_template"),
        ({"text": "x" * 100_001}, "invalid_template"),
        ({"text": "{{" * 40_000}, "invalid_template"),
        ({"text": 5}, "invalid_request"),
        ({}, "invalid_template"),
        ({"text": "a", "messages": []}, "invalid_template"),
        ({"messages": []}, "invalid_template"),
        ({"messages": [{"role": "user", "text": "a"}, {"role": "assistant", "text": "b"}]}, "invalid_template"),
        ({"messages": [{"role": "boss", "text": "a"}]}, "invalid_template"),
        ({"messages": [{"role": "user", "text": "a"}] * 51}, "invalid_template"),
        ({"text": "a", "name": "other"}, "invalid_request"),
        ({"text": "a", "code": "b"}, "invalid_request"),
        ({"text": "a", "title": "x" * 201}, "invalid_request"),
    ],
)
def test_what_is_no_template_is_refused(client, body, expected):
    answer = client.put(HI, json=body)
    assert code(answer) == (400, expected)
    assert len(answer.json()["error"]["message"]) < 400
    assert client.get(LIST).json() == {"templates": []}


@pytest.mark.parametrize("name", ["Upper", "a b", "-a", "a" * 65, "new", "import", "é", "a.b", "..%2fx"])
def test_a_name_that_cannot_be_is_refused(client, name):
    assert client.put(f"{LIST}/{name}", json={"text": "a"}).status_code in (400, 404, 405)


@pytest.mark.parametrize("body", [{"variables": []}, {"variables": "x"}, {"variables": None}])
def test_variables_must_be_an_object(client, body):
    put(client)
    assert code(client.post(f"{HI}/render", json=body)) == (400, "invalid_request")


# As files


def test_all_go_out_as_one_file_and_come_in_again(client):
    put(client, title="Greet", text=TEXT)
    put(client, "talk", messages=[{"role": "system", "text": "“ß” 🙂"}, {"role": "user", "text": "x"}])
    answer = client.get(f"{LIST}/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="palaver-templates.json"'
    file = answer.json()
    assert [item["name"] for item in file["templates"]] == ["hi", "talk"]
    client.delete(HI)
    put(client, "talk", status=200, text="changed meanwhile")
    result = client.post(f"{LIST}/import", json=file).json()
    assert result == {"imported": [{"name": "hi", "version": 1}, {"name": "talk", "version": 3}], "skipped": []}
    assert client.get(f"{LIST}/export").json() == file
    assert client.post(f"{LIST}/import", json=file).json()["imported"][1]["version"] == 3


def test_one_goes_out_alone(client):
    put(client)
    put(client, "other")
    answer = client.get(f"{LIST}/export?name=hi")
    assert answer.headers["content-disposition"] == 'attachment; filename="palaver-template-hi.json"'
    assert [item["name"] for item in answer.json()["templates"]] == ["hi"]
    assert code(client.get(f"{LIST}/export?name=nobody")) == (404, "not_found")


def test_what_is_wrong_in_a_file_is_skipped_with_its_reason(client):
    file = {
        "palaver": 1,
        "templates": [{"name": "a", "text": "{{"}, {"name": "b", "text": "fine"}, {"text": "no name"}],
    }
    result = client.post(f"{LIST}/import", json=file).json()
    assert result["imported"] == [{"name": "b", "version": 1}]
    assert [item["index"] for item in result["skipped"]] == [0, 2]
    assert "Line 1" in result["skipped"][0]["why"]


@pytest.mark.parametrize(
    "file", [{}, [], {"palaver": 1, "templates": {}}, {"palaver": 2, "templates": []}, {"palaver": 1, "templates": [3]}]
)
def test_another_file_is_refused(client, file):
    assert code(client.post(f"{LIST}/import", json=file)) == (400, "invalid_request")


# In turns


def ask(client, **body):
    return client.post("/api/ai/chat/b1?protocol=text", json=body)


def said(client):
    messages = client.get("/api/ai/conversations/b1").json()["messages"]
    return [
        (message["role"], message["parts"][0].get("text")) for message in messages if message["role"] != "assistant"
    ]


def test_a_template_says_what_the_user_says(client):
    put(client)
    answer = ask(client, template="hi", variables={"who": "Ann"})
    assert answer.text == "hello to Ann"
    ask(client, template="hi", variables={"who": "Bob"})
    assert said(client) == [("user", "Say hello to Ann"), ("user", "Say hello to Bob")]


def test_all_messages_of_a_template_go_behind_the_conversation(client):
    put(client, messages=[{"role": "system", "text": "Be {{ mood }}"}, {"role": "user", "text": "Begin"}])
    ask(client, message={"role": "user", "content": "first"})
    assert ask(client, template="hi", variables={"mood": "kind"}).status_code == 200
    assert said(client) == [("user", "first"), ("system", "Be kind"), ("user", "Begin")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"template": "nobody"}, "invalid_template"),
        ({"template": 5}, "invalid_template"),
        ({"template": "hi"}, "invalid_variables"),
        ({"template": "hi", "variables": {"who": 1, "x": 2}}, "invalid_variables"),
        ({"template": "hi", "variables": []}, "invalid_request"),
        ({"template": "hi", "message": {"role": "user", "content": "x"}}, "invalid_request"),
        ({"template": "hi", "messages": [{"role": "user", "content": "x"}]}, "invalid_request"),
    ],
)
def test_a_turn_that_does_not_fit_its_template_is_refused_and_stores_nothing(client, body, expected):
    put(client)
    answer = client.post("/api/ai/chat/b1", json=body, headers={"accept": "application/json"})
    assert code(answer) == (400, expected)
    assert client.get("/api/ai/conversations/b1").status_code == 404


# As a preset's system prompt


CLERK = """
[presets.clerk]
provider = "echo"
system_template = "hi"
variables = { who = "the clerk" }
"""


@pytest.fixture
def clerk(tmp_path):
    """A server with a preset that takes its system prompt from a template."""
    config = tmp_path / "palaver.toml"
    config.write_text(CONFIGURATION + CLERK)
    settings = ServerSettings(data=tmp_path / "data", config=config)
    app = create_app(settings, lambda: open_deps(settings, {}, port=8000))
    with TestClient(app, "http://127.0.0.1:8000") as client:
        client.headers = {"user-agent": "test"}
        yield client


def resolved(client, query="?preset=clerk"):
    return client.get(f"/api/ai/resolve/b1{query}").json()["values"]["system"]


def test_a_preset_takes_its_system_prompt_from_a_template(clerk):
    put(clerk)
    assert resolved(clerk) == {"value": "Say hello to the clerk", "layer": "preset:url"}
    put(clerk, status=200, text="Serve {{ who }}")
    assert resolved(clerk)["value"] == "Serve the clerk"


def test_the_system_prompt_of_the_block_has_the_say_over_that_of_its_preset(clerk):
    put(clerk)
    clerk.patch("/api/ai/blocks/b1", json={"ai:preset": "clerk"})
    assert resolved(clerk, "") == {"value": "Say hello to the clerk", "layer": "preset"}
    clerk.patch("/api/ai/blocks/b1", json={"ai:system": "Mine"})
    assert resolved(clerk, "") == {"value": "Mine", "layer": "block"}
    assert resolved(clerk)["value"] == "Say hello to the clerk"


@pytest.mark.parametrize("body", [None, {"text": "{{ other }}"}, {"messages": [{"role": "user", "text": "{{ who }}"}]}])
def test_a_preset_whose_template_does_not_fit_says_so_before_the_turn(clerk, body):
    if body is not None:
        put(clerk, **body)
    answer = clerk.post(
        "/api/ai/chat/b1?preset=clerk",
        json={"message": {"role": "user", "content": "x"}},
        headers={"accept": "application/json"},
    )
    assert code(answer) == (400, "invalid_template")
    assert "The preset clerk takes its system prompt from the template hi" in answer.json()["error"]["message"]


def test_a_file_of_templates_is_readable_by_people(client):
    put(client)
    text = client.get(f"{LIST}/export").text
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"
