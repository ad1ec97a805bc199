"""The pages of prompt templates as forms: everything works without a script."""

from __future__ import annotations

import html
import re

import pytest

FORM = {"origin": "http://127.0.0.1:8000"}
HTMX = {**FORM, "hx-request": "true"}
LIST = "/api/ai/templates"
HOSTILE = '"><script>alert(1)</script>{% 7 %}'


def post(client, path, headers=FORM, **fields):
    return client.post(path, data=fields, headers=headers)


def create(client, name="hi", text="Hello {{ name }}", **fields):
    answer = post(client, "/templates/new", name=name, role="user", text=text, **fields)
    assert (answer.status_code, answer.headers.get("location")) == (303, f"/templates/{name}?saved=true")


def box(page):
    """What stands in the message box."""
    return html.unescape(re.search(r'<textarea id="text"[^>]*>(.*?)</textarea>', page, re.DOTALL)[1])


def test_an_empty_list_offers_examples(client):
    assert "Add the examples" in client.get("/templates").text
    assert post(client, "/templates/examples").status_code == 303
    page = client.get("/templates").text
    assert "Summarize a text" in page
    assert "Add the examples" not in page
    assert post(client, "/templates/examples").status_code == 303
    assert {each["version"] for each in client.get(LIST).json()["templates"]} == {1}


def test_a_template_is_made_changed_and_deleted(client):
    create(client, title="Greet", description="Says hello")
    assert client.get(f"{LIST}/hi").json()["text"] == "Hello {{ name }}"
    page = client.get("/templates/hi").text
    assert 'name="v.name"' in page
    answer = post(client, "/templates/hi", version="1", role="user", text="Bye {{ name }}")
    assert answer.status_code == 303
    assert client.get(f"{LIST}/hi").json()["text"] == "Bye {{ name }}"
    assert "2 versions" in client.get("/templates/hi").text
    assert post(client, "/templates/hi", delete="true").headers["location"] == "/templates"
    assert client.get("/templates/hi").status_code == 404


def test_an_old_version_is_shown_and_brought_back_by_saving_it(client):
    create(client, text="one")
    post(client, "/templates/hi", version="1", role="user", text="two")
    page = client.get("/templates/hi?version=1").text
    assert "This is version 1 of 2" in page
    assert ">one</textarea>" in page
    assert 'name="version" value="2"' in page
    post(client, "/templates/hi", version="2", role="user", text="one")
    assert client.get(f"{LIST}/hi").json()["version"] == 3


def test_what_somebody_else_has_saved_meanwhile_is_not_overwritten_and_what_was_typed_stays(client):
    create(client, text="one")
    post(client, "/templates/hi", version="1", role="user", text="theirs")
    answer = post(client, "/templates/hi", version="1", role="user", text="mine")
    assert answer.status_code == 412
    assert ">mine</textarea>" in answer.text
    assert "has changed since it was loaded" in answer.text
    assert client.get(f"{LIST}/hi").json()["text"] == "theirs"


def test_a_new_template_does_not_take_the_name_of_another(client):
    create(client)
    answer = post(client, "/templates/new", name="hi", role="user", text="other")
    assert answer.status_code == 412
    assert "Choose another name" in answer.text


def test_a_mistake_is_told_and_what_was_typed_stays(client):
    answer = post(client, "/templates/new", name="hi", role="user", text="first\n{{ wrong |")
    assert answer.status_code == 400
    assert "Line 2:" in answer.text
    assert "{{ wrong |</textarea>" in answer.text


def test_a_message_without_text_is_removed_and_one_message_of_the_user_is_a_text(client):
    fields = {"name": "hi", "role": ["system", "user"], "text": ["Be kind", "Go"]}
    post(client, "/templates/new", **fields)
    assert client.get(f"{LIST}/hi").json()["messages"][0] == {"role": "system", "text": "Be kind"}
    post(client, "/templates/hi", version="1", role=["system", "user"], text=["", "Go"])
    assert client.get(f"{LIST}/hi").json()["text"] == "Go"


def test_a_message_can_be_added_to_the_form(client):
    answer = post(client, "/templates/preview", name="hi", role="user", text="Go", add="1")
    assert answer.text.count('<textarea id="text-') == 2
    assert client.get(LIST).json() == {"templates": []}


def test_the_preview_shows_values_defaults_and_what_is_missing(client):
    fields = {"role": "user", "text": '{{ a }} {{ b | default("B") }} {{ c }}', "v.a": "<b>"}
    page = post(client, "/templates/preview", **fields).text
    assert '<mark class="value">&lt;b&gt;</mark> <mark class="value">B</mark> <mark class="missing">c</mark>' in page


def test_htmx_gets_only_what_changes(client):
    fields = {"role": "user", "text": "{{ a }}", "v.a": "x"}
    fresh = post(client, "/templates/preview", HTMX, shown="", **fields).text
    assert 'hx-target="#values"' in fresh
    again = post(client, "/templates/preview", HTMX, shown="a", **fields).text
    assert 'hx-target="#values"' not in again
    assert 'hx-target="#preview"' in again
    assert "<html" not in again
    wrong = post(client, "/templates/preview", HTMX, shown="a", role="user", text="{{").text
    assert "never closed" in wrong


def test_using_a_template_puts_it_into_the_box_of_a_new_chat(client):
    answer = post(
        client, "/templates/use", role="user", text="Hello {{ name }}!", **{"v.name": "{{ Ann }}", "v.old": "x"}
    )
    assert answer.status_code == 200
    assert box(answer.text) == "Hello {{ Ann }}!"


def test_using_a_template_without_its_values_says_which_are_missing(client):
    answer = post(client, "/templates/use", role="user", text="{{ name }}")
    assert answer.status_code == 400
    assert "Missing: name." in answer.text


def test_a_template_of_several_messages_begins_a_conversation(client):
    answer = post(client, "/templates/use", role=["system", "user"], text=["Be kind", "Begin"])
    assert box(answer.text) == "Begin"
    block = re.search(r'action="/c/([^"]+)"', answer.text)[1]
    [message] = client.get(f"/api/ai/conversations/{block}").json()["messages"]
    assert (message["role"], message["parts"][0]["text"]) == ("system", "Be kind")


def test_a_link_uses_a_template_that_needs_no_values(client):
    create(client, text='Hello {{ name | default("you") }}')
    assert box(client.get("/?template=hi").text) == "Hello you"


def test_a_link_to_one_that_needs_values_leads_to_its_form(client):
    create(client)
    assert client.get("/?template=hi").headers["location"] == "/templates/hi#try"
    assert client.get("/?template=nobody").status_code == 404


def test_the_list_is_searched(client):
    create(client, "one", title="Apples and pears")
    create(client, "two", description="Cherries")
    assert re.findall(r'href="/templates/(one|two)"', client.get("/templates?q=PEARS apples").text) == ["one"]
    assert re.findall(r'href="/templates/(one|two)"', client.get("/templates?q=cherr").text) == ["two"]
    assert "No template has these words" in client.get("/templates?q=plums").text


def test_a_copy_is_made_under_another_name(client):
    create(client, title="Greet")
    page = client.get("/templates/new?from=hi").text
    assert 'value="hi-copy"' in page
    assert 'value="Greet (copy)"' in page


def test_a_file_is_imported_by_the_form(client):
    create(client)
    file = client.get(f"{LIST}/export").content
    post(client, "/templates/hi", delete="true")
    answer = client.post("/templates/import", files={"file": ("t.json", file)}, headers=FORM)
    assert "One template was imported" in answer.text
    answer = client.post("/templates/import", files={"file": ("t.json", b"{]")}, headers=FORM)
    assert answer.status_code == 400
    assert "not valid JSON" in answer.text


def test_what_people_write_is_text(client):
    create(client, title=HOSTILE, description=HOSTILE, text=HOSTILE + '{{ a | default("<u>") }}')
    for path in ("/templates", "/templates/hi"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "<u>" not in page


@pytest.mark.parametrize("path", ["/templates/new", "/templates/hi", "/templates/use", "/templates/examples"])
def test_another_site_cannot_post_here(client, path):
    answer = client.post(path, data={"text": "x"}, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
