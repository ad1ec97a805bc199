"""Shared conversations: open to whoever has the link, closed for everything else."""

from __future__ import annotations

import base64
import re

import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings

FORM = {"origin": "http://127.0.0.1:8000"}
TOKEN = "correct-horse-battery-staple"
PNG = b"\x89PNG\r\n\x1a\n" + b"of the shared conversation"
OTHER = b"\x89PNG\r\n\x1a\n" + b"of another conversation"


@pytest.fixture
def owner(tmp_path):
    """The owner's program at a server that asks for a token."""
    settings = ServerSettings(data=tmp_path / "data", token=TOKEN)
    app = create_app(settings, lambda: open_deps(settings, {}, port=8000))
    with TestClient(app, "http://127.0.0.1:8000", follow_redirects=False) as client:
        client.headers = {"user-agent": "test", "authorization": f"Bearer {TOKEN}"}
        yield client


@pytest.fixture
def stranger(owner):
    """Somebody without the token."""
    client = TestClient(owner.app, "http://127.0.0.1:8000", follow_redirects=False)
    client.headers = {"user-agent": "test"}
    client._transport = owner._transport  # the server that runs already
    return client


def image(content):
    url = "data:image/png;base64," + base64.b64encode(content).decode()
    return {"type": "file", "mediaType": "image/png", "url": url, "filename": "cat.png"}


def message(number, text, role="user", parts=(), **more):
    return {"id": f"m{number}", "role": role, "parts": [*parts, {"type": "text", "text": text}], **more}


def save(client, *messages, block="b1"):
    answer = client.post(f"/api/ai/conversations/{block}", json={"messages": list(messages)})
    assert answer.status_code == 200


def share(client, block="b1", **body):
    answer = client.post(f"/api/ai/conversations/{block}/shares", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def a_conversation(client):
    save(client, message(1, "the question", parts=[image(PNG)]), message(2, "the *answer*", "assistant"))


def files_in(client, block="b1"):
    messages = client.get(f"/api/ai/conversations/{block}").json()["messages"]
    return [part["url"] for each in messages for part in each["parts"] if part["type"] == "file"]


def test_whoever_has_the_link_reads_the_conversation_without_the_token(owner, stranger):
    a_conversation(owner)
    shared = share(owner)
    page = stranger.get(shared["url"])
    assert page.status_code == 200
    assert "the question" in page.text
    assert "the <em>answer</em>" in page.text


def test_the_page_says_little_to_search_engines_and_other_sites(owner, stranger):
    a_conversation(owner)
    page = stranger.get(share(owner)["url"])
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex, nofollow, noarchive"
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers.get_list("referrer-policy") == ["no-referrer"]
    assert '<meta name="robots" content="noindex, nofollow">' in page.text
    assert "set-cookie" not in page.headers


def test_the_page_has_no_way_into_the_app(owner, stranger):
    a_conversation(owner)
    page = stranger.get(share(owner)["url"]).text
    for tag in ("<form", "<nav", "<textarea", 'href="/c/', 'href="/"', "hx-", "/api/", "b1"):
        assert tag not in page.partition("</head>")[2].replace("hx-ignore", "")


def test_a_link_opens_nothing_but_itself(owner, stranger):
    a_conversation(owner)
    token = share(owner)["token"]
    for path in (
        "/api/ai/conversations/b1",
        "/api/ai/conversations/b1/shares",
        f"/api/ai/conversations/b1/shares/{token}",
        "/c/b1",
        "/c/b1/share",
        "/",
        "/templates",
        files_in(owner)[0],
        f"/files/{token}",
    ):
        assert stranger.get(path).status_code in (303, 401)
        assert stranger.get(path, headers={"cookie": f"palaver_session={token}"}).status_code in (303, 401)
    assert stranger.post(f"/share/{token}", headers=FORM).status_code == 405
    assert stranger.delete(f"/api/ai/conversations/b1/shares/{token}").status_code == 401


@pytest.mark.parametrize(
    "path", ["/share/../api/ai/conversations", "/share/%2e%2e/c/b1", "/share//c/b1", "/share/x/../../c/b1", "/share"]
)
def test_no_detour_leads_past_the_token(owner, stranger, path):
    a_conversation(owner)
    assert stranger.get(path).status_code in (303, 401, 404)


def test_what_is_said_later_is_not_shown(owner, stranger):
    a_conversation(owner)
    url = share(owner)["url"]
    save(owner, message(1, "the question"), message(2, "the *answer*", "assistant"), message(3, "said later"))
    assert "said later" not in stranger.get(url).text
    assert "said later" in stranger.get(share(owner)["url"]).text


def test_thinking_and_tools_are_shown_only_where_the_owner_says_so(owner, stranger):
    thinking = {"type": "reasoning", "text": "what I thought"}
    save(owner, message(1, "q"), message(2, "a", "assistant", parts=[thinking], metadata={"model": "the-model"}))
    without, with_details = share(owner), share(owner, details=True)
    assert "what I thought" not in stranger.get(without["url"]).text
    page = stranger.get(with_details["url"]).text
    assert "what I thought" in page
    assert "the-model" not in page
    assert (without["details"], with_details["details"]) == (False, True)


def test_the_files_of_the_snapshot_are_read_below_its_address_and_no_others(owner, stranger):
    a_conversation(owner)
    save(owner, message(1, "other", parts=[image(OTHER)]), block="b2")
    shared = share(owner)
    [own], [other] = files_in(owner), files_in(owner, "b2")
    assert f'src="{shared["url"]}{own}"' in stranger.get(shared["url"]).text
    answer = stranger.get(shared["url"] + own)
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; sandbox")
    for path in (other, "/files/" + "0" * 64, "/files/../palaver.db", "/files/..%2f..%2fpalaver.db"):
        assert stranger.get(shared["url"] + path).status_code in (303, 404)


def test_a_file_that_a_text_only_names_stays_closed(owner, stranger):
    save(owner, message(1, "other", parts=[image(OTHER)]), block="b2")
    [other] = files_in(owner, "b2")
    save(owner, message(1, f"![x]({other})"), message(2, f"![x]({other})", "assistant"))
    shared = share(owner, details=True)
    assert stranger.get(shared["url"] + other).status_code == 404


def test_a_revoked_link_is_gone_with_its_files(owner, stranger):
    a_conversation(owner)
    shared, kept = share(owner), share(owner)
    [own] = files_in(owner)
    address = f"/api/ai/conversations/b1/shares/{shared['token']}"
    assert owner.delete(address).status_code == 204
    assert owner.delete(address).status_code == 404
    assert stranger.get(shared["url"]).status_code == 404
    assert stranger.get(shared["url"] + own).status_code == 404
    assert stranger.get(kept["url"]).status_code == 200
    assert [each["token"] for each in owner.get("/api/ai/conversations/b1/shares").json()["shares"]] == [kept["token"]]


def test_a_link_cannot_be_revoked_through_another_conversation(owner, stranger):
    a_conversation(owner)
    save(owner, message(1, "x"), block="b2")
    shared = share(owner)
    assert owner.delete(f"/api/ai/conversations/b2/shares/{shared['token']}").status_code == 404
    assert stranger.get(shared["url"]).status_code == 200


def test_a_deleted_conversation_takes_its_links_along(owner, stranger):
    a_conversation(owner)
    url = share(owner)["url"]
    assert owner.delete("/api/ai/conversations/b1").status_code == 204
    assert stranger.get(url).status_code == 404
    a_conversation(owner)
    assert stranger.get(url).status_code == 404


def test_what_lies_in_the_trash_is_not_read(owner, stranger):
    a_conversation(owner)
    url = share(owner)["url"]
    assert owner.post("/api/ai/conversations/b1/trash", json={}).status_code < 300
    assert stranger.get(url).status_code == 404
    assert owner.post("/api/ai/conversations/b1/restore", json={}).status_code < 300
    assert stranger.get(url).status_code == 200


def test_links_are_long_and_never_the_same(owner, stranger):
    a_conversation(owner)
    tokens = {share(owner)["token"] for _ in range(20)}
    assert len(tokens) == 20
    assert all(re.fullmatch(r"[\w-]{32}", token) for token in tokens)  # 192 bits
    for guess in ("x", "%", "_" * 32, next(iter(tokens))[:-1], "'; --"):
        assert stranger.get(f"/share/{guess}").status_code in (303, 404)


def test_there_is_an_end_to_the_number_of_links(owner):
    save(owner, message(1, "x"))
    for _ in range(100):
        share(owner)
    assert owner.post("/api/ai/conversations/b1/shares", json={}).status_code == 400


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_there_cannot_be_shared(owner, method):
    assert owner.request(method, "/api/ai/conversations/nobody/shares", json={}).status_code == 404
    headers = {**FORM, "content-type": "application/x-www-form-urlencoded"}
    assert owner.request(method, "/c/nobody/share", headers=headers).status_code == 404


def test_details_must_be_a_truth(owner):
    a_conversation(owner)
    assert owner.post("/api/ai/conversations/b1/shares", json={"details": "yes"}).status_code == 400


def test_links_are_made_and_revoked_without_a_script(client):
    a_conversation(client)
    answer = client.post("/c/b1/share", data={"details": "true"}, headers=FORM)
    assert answer.status_code == 303
    page = client.get(answer.headers["location"]).text
    [address] = re.findall(r'value="(/share/[\w-]+)"', page)
    assert "with thinking and tools" in page
    assert client.get(address).status_code == 200
    token = address.rpartition("/")[2]
    assert client.post("/c/b1/share", data={"revoke": token}, headers=FORM).status_code == 303
    assert client.get(address).status_code == 404
    assert "/share/" not in client.get("/c/b1/share").text.partition('id="sharing"')[2].replace("/c/b1/share", "")


def test_another_site_cannot_share(client):
    a_conversation(client)
    assert client.post("/c/b1/share", data={}, headers={"origin": "https://evil.example"}).status_code == 403


def test_a_link_of_another_host_name_is_refused(owner):
    a_conversation(owner)
    url = share(owner)["url"]
    assert owner.get(url, headers={"host": "evil.example"}).status_code == 421


def test_what_was_said_is_text(client):
    hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    save(client, message(1, hostile), message(2, hostile, "assistant"))
    client.patch("/api/ai/blocks/b1", json={"title": hostile})
    page = client.get(share(client)["url"]).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
