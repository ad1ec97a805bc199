"""Who comes in where an access token is configured."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.web.auth import COOKIE, MAX_ADDRESSES, MAX_FAILURES, WINDOW_SECONDS, Door
from app.web.errors import Refusal

TOKEN = "correct-horse-battery-staple"
OURS = {"origin": "http://localhost:8000"}
CHAT = "/api/ai/chat/b1"
SAVED = "/api/ai/conversations/b1"
BODY = {"messages": []}


@pytest.fixture
def client(house: Any, open_client: Any) -> TestClient:
    return open_client(house(token=TOKEN))


@pytest.fixture
def logged_in(client: TestClient) -> TestClient:
    assert client.post("/login", data={"token": TOKEN}, headers=OURS).status_code == 303
    return client


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", CHAT),
        ("GET", CHAT),
        ("POST", CHAT + "/stop"),
        ("GET", SAVED),
        ("POST", SAVED),
        ("DELETE", SAVED),
        ("PATCH", "/api/ai/blocks/b1"),
        ("POST", "/v1/messages"),
        ("GET", "/api/nowhere"),
        ("GET", "/api"),
        ("OPTIONS", SAVED),
    ],
)
def test_without_a_token_the_api_answers_401(client: TestClient, method: str, path: str) -> None:
    """AUTH-01"""
    headers = {"accept": "application/json"}
    for _ in range(MAX_FAILURES):  # having none is no guess
        response = client.request(method, path, json=BODY, headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": f"bearer {TOKEN}"},
        {"x-api-key": TOKEN},
        {"authorization": f"Bearer {TOKEN}", "x-api-key": TOKEN},
        {"authorization": f"Bearer {TOKEN}", "cookie": f"{COOKIE}=old"},
    ],
)
def test_the_token_opens_the_door(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post(CHAT, json=BODY, headers=headers).status_code == 200
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer"},
        {"authorization": ""},
        {"authorization": TOKEN},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN.upper()}"},
        {"authorization": f"Bearer Bearer {TOKEN}"},
        {"x-api-key": ""},
        {"x-api-key": TOKEN[:-1]},
        {"x-api-key": f"Bearer {TOKEN}"},
        {"cookie": f"{COOKIE}={TOKEN}"},
        {"cookie": f"{COOKIE}="},
        {"cookie": f"{COOKIE}={hashlib.sha256(TOKEN.encode()).hexdigest()}"},
    ],
)
def test_anything_else_is_answered_401(client: TestClient, headers: dict[str, str]) -> None:
    """AUTH-02"""
    assert client.get(SAVED, headers=headers).status_code == 401


def test_a_wrong_key_in_either_header_closes_the_door(client: TestClient) -> None:
    """V1-08: two doors, one guarded, is how others were broken into."""
    good, bad = f"Bearer {TOKEN}", "wrong"
    assert client.get(SAVED, headers={"authorization": good, "x-api-key": bad}).status_code == 401
    assert client.get(SAVED, headers={"authorization": bad, "x-api-key": TOKEN}).status_code == 401
    assert client.get(SAVED, headers={"authorization": good, "x-api-key": ""}).status_code == 401


@pytest.mark.parametrize("name", ["token", "key", "api_key", "access_token", "authorization", COOKIE])
def test_a_token_in_the_address_is_not_accepted(client: TestClient, name: str) -> None:
    """AUTH-03"""
    assert client.get(SAVED, params={name: TOKEN}).status_code == 401
    assert client.get("/login", params={name: TOKEN}).headers.get("set-cookie") is None


PATH_TRICKS = [
    b"//api/ai/conversations/b1",
    b"/static/../api/ai/conversations/b1",
    b"/static/..%2fapi/ai/conversations/b1",
    b"/login/../c/b1",
    b"/login/",
    b"/health/../c/b1",
    b"/healthy",
    b"/c/b1?/static/",
    b"/c/b1#/static/",
    b"http://localhost/static/../c/b1",
]


@pytest.mark.parametrize("host", [b"", b"/login", b"/?", b"/static/"])
def test_tricks_with_paths_and_hosts_do_not_open_it(house: Any, serve: Any, host: bytes) -> None:
    """AUTH-04: what is public is decided by the path that is routed, not by one that `Host` has a part in."""
    server = serve(house(token=TOKEN).app())
    for path in PATH_TRICKS:
        head = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d%b\r\nConnection: close\r\n\r\n" % (path, server.port, host)
        (reply,) = server.exchange(head)
        assert reply.status in ({400} if host else {303, 401, 404})
        assert b"private" not in reply.body


@pytest.mark.parametrize("path", ["/", "/c/b1", "/nowhere"])
def test_pages_lead_to_the_login(client: TestClient, path: str) -> None:
    """AUTH-05"""
    response = client.get(path)
    assert (response.status_code, response.headers["location"], response.text) == (303, "/login", "")


def test_htmx_leaves_the_page_for_the_login(client: TestClient) -> None:
    response = client.post("/c/b1", data={"text": "hi"}, headers={**OURS, "hx-request": "true"})
    assert (response.status_code, response.headers["hx-redirect"]) == (401, "/login")


@pytest.mark.parametrize("path", ["/health", "/login", "/static/icon.svg"])
def test_what_must_work_before_works(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


def test_guessing_is_stopped_and_the_right_token_is_not(client: TestClient) -> None:
    """AUTH-06"""
    statuses = [client.get(SAVED, headers={"x-api-key": f"guess-{i}"}).status_code for i in range(30)]
    assert statuses == [401] * MAX_FAILURES + [429] * (30 - MAX_FAILURES)
    limited = client.get(SAVED, headers={"authorization": "Bearer guess"})
    assert 0 < int(limited.headers["retry-after"]) <= WINDOW_SECONDS
    assert client.get(SAVED, headers={"x-api-key": TOKEN}).status_code == 200
    assert client.get(SAVED).status_code == 401


def test_guessing_at_the_login_is_stopped_alike(client: TestClient) -> None:
    """AUTH-06"""
    answers = [client.post("/login", data={"token": f"guess-{i}"}, headers=OURS) for i in range(30)]
    assert [answer.status_code for answer in answers] == [401] * MAX_FAILURES + [429] * (30 - MAX_FAILURES)
    assert "That is not the token." in answers[0].text
    assert "wait a minute" in answers[-1].text
    assert not any("set-cookie" in answer.headers for answer in answers)
    assert client.post("/login", data={"token": TOKEN}, headers=OURS).status_code == 303


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def failure(door: Door, address: str) -> int:
    with pytest.raises(Refusal) as raised:
        door.check({"path": "/api/x", "client": (address, 1)}, {b"x-api-key": b"guess"})
    return raised.value.status


def test_a_minute_later_the_count_begins_again() -> None:
    clock = Clock()
    door = Door(TOKEN, secure_cookie=False, clock=clock)
    assert [failure(door, "10.0.0.1") for _ in range(MAX_FAILURES + 1)][-1] == 429
    assert failure(door, "10.0.0.2") == 401
    clock.now = WINDOW_SECONDS - 1
    assert failure(door, "10.0.0.1") == 429
    clock.now = WINDOW_SECONDS
    assert failure(door, "10.0.0.1") == 401


def test_many_addresses_do_not_fill_the_memory() -> None:
    door = Door(TOKEN, secure_cookie=False)
    for number in range(MAX_ADDRESSES + 10):
        failure(door, str(number))
    assert len(door._failures) <= MAX_ADDRESSES


def test_the_login_sets_a_cookie_that_scripts_and_other_sites_cannot_use(client: TestClient) -> None:
    """HDR-07"""
    response = client.post("/login", data={"token": f" {TOKEN} "}, headers=OURS)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    name_value, *attributes = response.headers["set-cookie"].split("; ")
    assert set(attributes) >= {"HttpOnly", "SameSite=strict", "Path=/"}
    assert "Secure" not in attributes
    assert TOKEN not in name_value


def test_behind_https_the_cookie_is_secure(house: Any, open_client: Any) -> None:
    client = open_client(house(token=TOKEN, public_url="https://chat.example.com"))
    response = client.post("/login", data={"token": TOKEN}, headers=OURS)
    assert "Secure" in response.headers["set-cookie"].split("; ")


def test_the_cookie_opens_pages_and_api(logged_in: TestClient) -> None:
    assert logged_in.get("/").status_code == 200
    assert logged_in.post(CHAT, json=BODY, headers=OURS).status_code == 200


def test_the_cookie_outlives_a_restart_but_not_a_new_token(logged_in: TestClient, house: Any, open_client: Any) -> None:
    cookie = {"cookie": f"{COOKIE}={logged_in.cookies[COOKIE]}; theme=dark"}
    assert open_client(house(token=TOKEN)).get(SAVED, headers=cookie).status_code == 200
    assert open_client(house(token="another-token")).get(SAVED, headers=cookie).status_code == 401


def test_a_session_id_of_the_client_is_never_adopted(client: TestClient) -> None:
    """HDR-07, fixation"""
    response = client.post("/login", data={"token": TOKEN}, headers={**OURS, "cookie": f"{COOKIE}=chosen"})
    assert "chosen" not in response.headers["set-cookie"]


def test_the_logout_takes_the_cookie_back(logged_in: TestClient) -> None:
    response = logged_in.post("/logout", headers=OURS)
    assert (response.status_code, response.headers["location"]) == (303, "/login")
    assert COOKIE not in logged_in.cookies
    assert logged_in.get("/").status_code == 303


def test_only_our_own_page_logs_in_and_out(logged_in: TestClient) -> None:
    for path in ("/login", "/logout"):
        foreign = logged_in.post(path, data={"token": TOKEN}, headers={"origin": "https://evil.example"})
        assert (foreign.status_code, "set-cookie" in foreign.headers) == (403, False)


@pytest.mark.parametrize("form", [{}, {"token": ""}, {"other": "x"}, {"token": "\u20ac"}, {"token": "x" * 10_000}])
def test_a_form_without_the_token_is_answered_with_the_form(client: TestClient, form: dict[str, str]) -> None:
    response = client.post("/login", data=form, headers={**OURS, "content-type": "application/x-www-form-urlencoded"})
    assert response.status_code == 401
    assert '<form class="login" method="post" action="/login">' in response.text


def test_the_login_form_needs_no_script(client: TestClient) -> None:
    page = client.get("/login").text
    assert '<input id="token" name="token" type="password"' in page
    assert "hx-" not in page[page.index("<form") :]


def test_without_a_token_there_is_nothing_to_log_in_to(house: Any, open_client: Any) -> None:
    client = open_client(house())
    assert client.get(SAVED).status_code == 200
    assert client.get(SAVED, headers={"authorization": "Bearer anything"}).status_code == 200
    assert client.get("/login").headers["location"] == "/"
    assert client.post("/login", data={"token": "x"}, headers=OURS).headers["location"] == "/"


def test_a_preflight_carries_no_token_and_needs_none(house: Any, open_client: Any) -> None:
    client = open_client(house(token=TOKEN, allowed_origins=("https://app.example.com",)))
    headers = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    assert client.options(CHAT, headers=headers).status_code == 204
    refused = client.post(CHAT, json=BODY, headers={"origin": "https://app.example.com"})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://app.example.com")


def test_the_token_is_not_in_what_a_policy_or_a_door_shows(house: Any) -> None:
    """GLOB-06"""
    assert TOKEN not in repr(house(token=TOKEN).policy)
    assert TOKEN not in repr(vars(Door(TOKEN, secure_cookie=False)))
