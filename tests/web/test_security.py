"""What gets past the guard, and what its answers carry. Ids such as HOST-03 name the rule in the threat model."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

CHAT = "/api/ai/chat/b1"
SAVED = "/api/ai/conversations/b1"
BODY = {"messages": [{"role": "user", "content": "hi"}]}
OURS = "http://localhost:8000"
APP = "https://app.example.com"


@pytest.fixture
def loopback(house: Any) -> Any:
    """A server as it is by default."""
    return house()


@pytest.fixture
def client(loopback: Any, open_client: Any) -> TestClient:
    return open_client(loopback)


def code_of(response: Any) -> str:
    return response.headers.get("x-palaver-error-code") or response.json()["error"]["code"]


# --- Host and DNS rebinding


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("evil.example", id="HOST-01"),
        pytest.param("evil.example:8000", id="HOST-02"),
        pytest.param("127.0.0.1.evil.example:8000", id="HOST-03"),
        pytest.param("localhost.evil.example:8000", id="HOST-04"),
        pytest.param("evil-localhost:8000", id="HOST-05"),
        pytest.param("a.localhost.evil.example", id="HOST-06"),
        pytest.param("0.0.0.0:8000", id="HOST-07"),
        pytest.param("169.254.169.254", id="HOST-10"),
        "localhost.:8000",
        "localhost:8001",
        "localhost",
        "127.0.0.2:8000",
        "[::]:8000",
        "[0:0:0:0:0:0:0:1]:8000",
        "localhost:08000",
    ],
)
@pytest.mark.parametrize("path", [CHAT, SAVED, "/", "/health", "/static/icon.svg", "/login", "/nowhere"])
def test_a_foreign_host_is_answered_421_everywhere(client: TestClient, loopback: Any, host: str, path: str) -> None:
    assert client.get(path, headers={"host": host}).status_code == 421
    assert client.post(CHAT, json=BODY, headers={"host": host}).status_code == 421
    assert loopback.calls == []


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("localhost:8000@evil.example", id="HOST-08"),
        pytest.param("evil.example#localhost:8000", id="HOST-09"),
        pytest.param("localhost:8000/../?", id="HOST-14"),
        pytest.param("evil/?", id="HOST-14-litellm"),
        "",
        "localhost:8000,evil.example",
        "localhost:8000 evil.example",
        "localhost:",
        "localhost:99999999",
        "[::1",
        "localhost:8000\t",
        "http://localhost:8000",
    ],
)
def test_a_malformed_host_is_answered_400(client: TestClient, loopback: Any, host: str) -> None:
    response = client.post(CHAT, json=BODY, headers={"host": host})
    assert (response.status_code, code_of(response)) == (400, "invalid_host")
    assert loopback.calls == []


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LocalHost:8000"])
def test_the_names_of_this_machine_are_served(client: TestClient, host: str) -> None:
    """HOST-15"""
    assert client.get("/health", headers={"host": host}).status_code == 200


def test_missing_and_doubled_hosts_are_answered_400(loopback: Any, serve: Any) -> None:
    """HOST-13"""
    server = serve(loopback.app())
    for hosts in (b"", b"Host:\r\n", server.host * 2, server.host + b"Host: evil.example\r\n"):
        (reply,) = server.exchange(b"GET /health HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
        assert reply.status == 400


@pytest.mark.parametrize("name", ["x-forwarded-host", "forwarded", "x-original-host", "x-host"])
def test_a_forwarded_host_changes_nothing(client: TestClient, name: str) -> None:
    """HOST-11, HOST-12"""
    assert client.get("/health", headers={"host": "evil.example", name: "localhost:8000"}).status_code == 421
    redirect = client.get("/c/b1/", headers={name: "evil.example"})
    assert "evil" not in str(redirect.headers)


def test_a_listed_host_is_served_on_its_port_or_on_any(house: Any, open_client: Any) -> None:
    client = open_client(house(allowed_hosts=("chat.example.com", "10.0.0.5:9000")))

    def status(host: str) -> int:
        return client.get("/health", headers={"host": host}).status_code

    assert {status(host) for host in ("chat.example.com", "Chat.Example.com:8443", "10.0.0.5:9000")} == {200}
    assert {status(host) for host in ("10.0.0.5", "10.0.0.5:8000", "a.chat.example.com")} == {421}


def test_the_usual_port_needs_not_be_said(house: Any, open_client: Any) -> None:
    client = open_client(house(), base_url="http://localhost")
    assert client.get("/health").status_code == 200


# --- Cross-site requests

FOREIGN_ORIGINS = [
    pytest.param("https://evil.example", id="CSRF-05"),
    pytest.param("null", id="CSRF-06"),
    pytest.param("http://localhost:8000.evil.example", id="CSRF-07"),
    pytest.param("http://evil-localhost:8000", id="CSRF-08"),
    pytest.param("http://localhost:3000", id="CSRF-09"),
    "http://127.0.0.1:8000",
    "http://localhost",
    "localhost:8000",
    "http://localhost:8000/",
    "http://localhost:8000 https://evil.example",
    "file://",
    "chrome-extension://abcdefgh",
    "",
]


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", CHAT),
        ("POST", CHAT + "/stop"),
        pytest.param("POST", SAVED, id="CSRF-14"),
        pytest.param("POST", "/v1/messages", id="CSRF-15"),
        ("PATCH", "/api/ai/blocks/b1"),
        ("DELETE", SAVED),
        pytest.param("POST", "/c/b1", id="CSRF-19"),
        ("POST", "/login"),
        ("GET", SAVED),
    ],
)
def test_another_origin_is_refused_before_anything_happens(
    client: TestClient, loopback: Any, method: str, path: str, origin: str
) -> None:
    response = client.request(method, path, json=BODY, headers={"origin": origin})
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers
    assert loopback.calls == []


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Same-Origin", "nonsense"])
@pytest.mark.parametrize(("method", "path"), [("POST", CHAT), ("POST", "/c/b1"), ("GET", SAVED), ("DELETE", SAVED)])
def test_what_a_browser_calls_foreign_is_refused_without_an_origin(
    client: TestClient, loopback: Any, method: str, path: str, site: str
) -> None:
    """CSRF-10, CSRF-11, CSRF-20"""
    assert client.request(method, path, headers={"sec-fetch-site": site}).status_code == 403
    assert client.request(method, path, headers={"sec-fetch-site": site, "origin": OURS}).status_code == 403
    assert loopback.calls == []


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param("text/plain", id="CSRF-01"),
        pytest.param("application/x-www-form-urlencoded", id="CSRF-02"),
        pytest.param("multipart/form-data; boundary=x", id="CSRF-03"),
        pytest.param(None, id="CSRF-04"),
        pytest.param("text/plain;charset=UTF-8", id="CSRF-12"),
        pytest.param("text/plain, application/json", id="CSRF-13"),
        "text/plain; application/json",
        "application/json, text/plain",
        "application/json; charset=utf-8; boundary=x",
        "application/json; charset=utf-16",
        "application/json; a=text/plain",
        "application/json-seq",
        "application/jsonp",
        "text/json",
        "application/ json",
        "",
    ],
)
@pytest.mark.parametrize("path", [CHAT, SAVED, "/v1/messages"])
def test_an_api_takes_json_and_nothing_else(
    client: TestClient, loopback: Any, path: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = client.post(path, content=json.dumps(BODY), headers=headers)
    assert (response.status_code, code_of(response)) == (415, "unsupported_media_type")
    assert loopback.calls == []


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/json ;"],
)
def test_json_may_say_that_it_is_utf8(client: TestClient, content_type: str) -> None:
    response = client.post(CHAT, content=json.dumps(BODY), headers={"content-type": content_type})
    assert response.status_code == 200


def test_two_content_types_are_refused(loopback: Any, serve: Any) -> None:
    """CSRF-13: which one would the next reader take?"""
    server = serve(loopback.app())
    types = b"Content-Type: application/json\r\nContent-Type: text/plain\r\n"
    (reply,) = server.exchange(
        b"POST /api/ai/chat/b1 HTTP/1.1\r\n" + server.host + types + b"Content-Length: 2\r\n\r\n{}"
    )
    assert (reply.status, loopback.calls) == (400, [])


def test_reading_methods_and_overrides_change_nothing(client: TestClient, loopback: Any) -> None:
    """CSRF-16"""
    for name in ("x-http-method-override", "x-method-override", "x-http-method"):
        client.get(CHAT, headers={name: "POST"})
        client.head(CHAT, headers={name: "DELETE"})
    client.get(CHAT, params={"_method": "POST"})
    assert set(loopback.calls) == {"GET", "HEAD"}


@pytest.mark.parametrize("extra", [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}])
def test_our_own_page_may_post(client: TestClient, extra: dict[str, str]) -> None:
    """CSRF-17"""
    assert client.post(CHAT, json=BODY, headers={"origin": OURS, **extra}).status_code == 200
    assert client.post("/c/b1", data={"text": "hi"}, headers={"origin": OURS, **extra}).status_code == 200
    assert client.post(CHAT + "/stop", headers={"origin": OURS, **extra}).status_code == 200


def test_our_own_page_may_sit_behind_a_proxy_that_hides_its_name(house: Any, open_client: Any) -> None:
    client = open_client(house(public_url="https://chat.example.com"))
    assert client.post(CHAT, json=BODY, headers={"origin": "https://chat.example.com"}).status_code == 200
    assert client.post(CHAT, json=BODY, headers={"origin": "http://chat.example.com"}).status_code == 403


def test_programs_without_an_origin_are_served(client: TestClient) -> None:
    """CSRF-18"""
    assert client.post(CHAT, json=BODY).status_code == 200
    assert client.post(CHAT + "/stop").status_code == 200
    assert client.get(SAVED).status_code == 200


def test_a_post_to_a_page_must_say_that_it_comes_from_ours(client: TestClient, loopback: Any) -> None:
    """CSRF-19: every browser says it; programs have the API."""
    assert client.post("/c/b1", data={"text": "hi"}).status_code == 403
    assert client.post("/c/b1", data={"text": "hi"}, headers={"sec-fetch-site": "none"}).status_code == 403
    assert client.post("/c/b1", data={"text": "hi"}, headers={"sec-fetch-site": "same-origin"}).status_code == 200
    assert loopback.calls == ["form"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "text/plain; boundary=x"])
def test_a_page_takes_forms_only(client: TestClient, content_type: str) -> None:
    headers = {"origin": OURS, "content-type": content_type}
    assert client.post("/c/b1", content="text=hi", headers=headers).status_code == 415


def test_a_form_with_files_comes_from_our_pages_too(client: TestClient, loopback: Any) -> None:
    files = {"upload": ("a.txt", b"hello")}
    assert client.post("/c/b1", files=files, headers={"origin": "https://evil.example"}).status_code == 403
    assert client.post("/c/b1", files=files, headers={"origin": OURS}).status_code == 200
    assert loopback.calls == ["form"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", "image/png", ""]
)
def test_a_file_is_taken_as_bytes_only_so_that_no_page_elsewhere_can_send_one(
    client: TestClient, content_type: str
) -> None:
    refused = client.post("/api/ai/files", content=b"hello", headers={"content-type": content_type})
    assert (refused.status_code, code_of(refused)) == (415, "unsupported_media_type")
    assert "application/octet-stream" in refused.json()["error"]["message"]


def test_a_link_from_elsewhere_opens_a_page(client: TestClient) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/c/b1", headers=headers).status_code == 200


# --- CORS

PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}


@pytest.mark.parametrize("path", [CHAT, SAVED, CHAT + "/stop", "/v1/messages", "/health", "/", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_answer_lets_a_foreign_origin_read(client: TestClient, path: str, method: str) -> None:
    """CORS-01, GLOB-03"""
    response = client.request(method, path, headers={"origin": "https://evil.example"})
    assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("extra", [{}, {"access-control-request-private-network": "true"}])
@pytest.mark.parametrize("path", [CHAT, SAVED, "/v1/messages", "/nowhere"])
def test_a_preflight_of_a_foreign_origin_is_not_approved(client: TestClient, path: str, extra: dict[str, str]) -> None:
    """CORS-02, CORS-03"""
    response = client.options(path, headers={"origin": "https://evil.example", **PREFLIGHT, **extra})
    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.fixture
def listed(house: Any, open_client: Any) -> TestClient:
    return open_client(house(allowed_origins=(APP, "http://localhost:5173")))


def test_a_listed_origin_gets_its_preflight(listed: TestClient) -> None:
    """CORS-04"""
    response = listed.options(CHAT, headers={"origin": APP, **PREFLIGHT})
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == APP
    assert response.headers["vary"] == "Origin"
    assert response.headers["access-control-max-age"] == "600"
    assert {"POST", "GET", "PATCH", "DELETE"} <= set(response.headers["access-control-allow-methods"].split(", "))
    allowed = set(response.headers["access-control-allow-headers"].split(", "))
    assert allowed >= {"content-type", "authorization", "user-agent", "last-event-id", "idempotency-key", "if-match"}
    assert allowed >= {"x-ai-sdk", "x-stream-protocol", "x-ai-model", "x-ai-max-tokens", "x-ai-response-format"}
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_listed_origin_can_chat_and_read(listed: TestClient, site: str) -> None:
    """CORS-05"""
    headers = {"origin": APP, "sec-fetch-site": site}
    chat = listed.post(CHAT, json=BODY, headers=headers)
    assert (chat.status_code, chat.headers["access-control-allow-origin"]) == (200, APP)
    saved = listed.get(SAVED, headers=headers)
    assert saved.headers["access-control-allow-origin"] == APP
    assert {"etag", "retry-after", "x-request-id"} <= set(saved.headers["access-control-expose-headers"].split(", "))


def test_a_listed_origin_can_read_what_went_wrong(listed: TestClient) -> None:
    for response in (
        listed.post(CHAT, content="{", headers={"origin": APP, "content-type": "application/json"}),
        listed.post(CHAT, content="{}", headers={"origin": APP, "content-type": "text/plain"}),
        listed.get("/api/busy", headers={"origin": APP}),
        listed.get("/api/bug", headers={"origin": APP}),
    ):
        assert response.status_code >= 400
        assert response.headers["access-control-allow-origin"] == APP


@pytest.mark.parametrize(
    "origin",
    [
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "https://evilapp.example.com",
        "https://sub.app.example.com",
        "https://APP.example.com",
        "https://app.example.com/",
        "http://localhost:5174",
        "null",
        "*",
    ],
)
def test_near_misses_of_a_listed_origin_are_foreign(listed: TestClient, origin: str) -> None:
    """CORS-06"""
    for response in (
        listed.post(CHAT, json=BODY, headers={"origin": origin}),
        listed.options(CHAT, headers={"origin": origin, **PREFLIGHT}),
    ):
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers


def test_caches_learn_that_the_origin_matters(listed: TestClient) -> None:
    assert listed.get(SAVED).headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in listed.get(SAVED).headers


def test_a_listed_origin_has_no_business_with_our_pages(listed: TestClient) -> None:
    response = listed.post("/c/b1", data={"text": "hi"}, headers={"origin": APP})
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


# --- Headers of the answers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", SAVED),
        ("GET", "/static/icon.svg"),
        ("GET", "/nowhere"),
        ("GET", "/api/nowhere"),
        ("GET", "/api/bug"),
        ("GET", "/bug"),
        ("PUT", CHAT),
        ("POST", "/c/b1"),
        ("POST", CHAT),
    ],
)
def test_every_answer_carries_the_basic_headers(client: TestClient, method: str, path: str) -> None:
    """HDR-05, GLOB-05"""
    headers = client.request(method, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("path", ["/", "/c/b1", "/login", "/nowhere", "/bug", "/busy"])
def test_every_page_carries_the_content_security_policy(house: Any, open_client: Any, path: str) -> None:
    """HDR-01, HDR-02, HDR-03"""
    client = open_client(house(token="a-token-for-tests"))
    headers = client.get(path, headers={"authorization": "Bearer a-token-for-tests"}).headers
    assert headers["content-type"].startswith("text/html")
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "font-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "object-src": "'none'",
    }
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"


def test_conversations_are_json_that_nobody_stores(client: TestClient) -> None:
    """HDR-05"""
    headers = client.get(SAVED).headers
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert client.get("/").headers["cache-control"] == "no-store"


def test_what_an_endpoint_says_about_caching_stands(client: TestClient) -> None:
    assert client.post(CHAT, json=BODY).headers["cache-control"] == "no-cache"
    assert client.get("/static/nothing.css").headers["cache-control"] == "no-store", "it may be there tomorrow"


def test_a_stream_passes_chunk_by_chunk(client: TestClient) -> None:
    with client.stream("POST", CHAT, json=BODY) as response:
        assert list(response.iter_raw()) == [b'data: {"type":"start"}\n\n', b"data: 1\n\n"]


def test_request_ids_are_never_the_clients(client: TestClient) -> None:
    ids = {client.get("/health", headers={"x-request-id": "mine"}).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert "mine" not in ids


def test_a_websocket_is_refused(client: TestClient) -> None:
    """RAW-09"""
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(CHAT):
        pass


# --- Raw HTTP


@pytest.fixture
def server(loopback: Any, serve: Any) -> Any:
    return serve(loopback.app())


def post(server: Any, headers: bytes, body: bytes = b"", path: bytes = b"/api/ai/chat/b1") -> bytes:
    lines = server.host + b"Content-Type: application/json\r\n" + headers
    return b"POST " + path + b" HTTP/1.1\r\n" + lines + b"\r\n" + body


SMUGGLED = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", id="RAW-01"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", id="RAW-01-reversed"),
        pytest.param(b"Content-Length: 5\r\nContent-Length: 0\r\n", id="RAW-01-two-lengths"),
        pytest.param(b"Transfer-Encoding: gzip, chunked\r\n", id="RAW-02"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n", id="RAW-02-unknown"),
        pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", id="RAW-02-doubled"),
        pytest.param(b"Transfer-Encoding: chunked, identity\r\n", id="RAW-02-list"),
        pytest.param(b"Transfer-Encoding : chunked\r\n", id="RAW-02-space"),
        pytest.param(b"Transfer-Encoding:\x0bchunked\r\n", id="RAW-02-control"),
        pytest.param(b"Content-Length: -1\r\n", id="RAW-03-negative"),
        pytest.param(b"Content-Length: +5\r\n", id="RAW-03-plus"),
        pytest.param(b"Content-Length: 0x5\r\n", id="RAW-03-hex"),
        pytest.param(b"Content-Length: 5, 5\r\n", id="RAW-03-list"),
        pytest.param(b"Content-Length: " + b"9" * 30 + b"\r\n", id="RAW-03-huge"),
        pytest.param(b"X: a\x00b\r\n", id="RAW-04-nul"),
        pytest.param(b"X: a\rb\r\n", id="RAW-04-cr"),
    ],
)
def test_ambiguous_framing_is_refused_and_nothing_is_smuggled(server: Any, loopback: Any, headers: bytes) -> None:
    replies = server.exchange(post(server, headers, b"0\r\n\r\n" + SMUGGLED))
    assert [400 <= reply.status < 502 and reply.status != 500 for reply in replies] == [True]
    assert loopback.calls == []


@pytest.mark.parametrize("size", [b"zz", b"-1", b"5;" + b"x" * 10, b"ffffffffffffffffff", b"5 5"])
def test_bad_chunks_never_become_a_request(server: Any, loopback: Any, size: bytes) -> None:
    """RAW-03"""
    server.exchange(post(server, b"Transfer-Encoding: chunked\r\n", size + b"\r\nhello\r\n0\r\n\r\n"))
    assert loopback.calls == []
    assert server.get(b"/health").status == 200


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        pytest.param(b"/health", b"X: " + b"x" * 100_000 + b"\r\n", 431, id="RAW-04-header"),
        pytest.param(b"/health", b"X: x\r\n" * 20_000, 431, id="RAW-04-many-headers"),
        pytest.param(b"/" + b"x" * 20_000, b"", 414, id="RAW-04-target"),
        pytest.param(b"/?" + b"x" * 20_000, b"", 414, id="RAW-04-query"),
        pytest.param(b"/" + b"x" * 100_000, b"", 400, id="RAW-04-parser"),
        pytest.param(b"/api/ai/chat/" + b"x" * 8_000, b"", 200, id="PATH-09"),
    ],
)
def test_heads_have_a_limit(server: Any, target: bytes, headers: bytes, status: int) -> None:
    assert server.get(target, headers).status == status
    assert server.get(b"/health").status == 200


@pytest.mark.parametrize("method", [b"PUT", b"TRACE", b"CONNECT", b"PROPFIND", b"NONSENSE", b"post", b"QUERY"])
def test_other_methods_are_refused_and_nothing_is_echoed(server: Any, loopback: Any, method: bytes) -> None:
    """RAW-08"""
    target = b"127.0.0.1:80" if method == b"CONNECT" else b"/api/ai/chat/b1"
    lines = server.host + b"X-Mine: echo-me\r\nConnection: close\r\n\r\n"
    (reply,) = server.exchange(method + b" " + target + b" HTTP/1.1\r\n" + lines)
    assert reply.status in {400, 404, 405, 501}
    assert b"echo-me" not in reply.body
    assert loopback.calls == []


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"TLS/1.2, HTTP/1.1"])
def test_upgrades_are_refused(server: Any, loopback: Any, protocol: bytes) -> None:
    """RAW-09"""
    headers = b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    (reply,) = server.exchange(b"GET /api/ai/chat/b1 HTTP/1.1\r\n" + server.host + headers + b"\r\n")
    assert reply.status == 400
    assert loopback.calls == []


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"deflate, gzip", b"identity"])
def test_encoded_bodies_are_refused(server: Any, loopback: Any, encoding: bytes) -> None:
    (reply,) = server.exchange(post(server, b"Content-Encoding: " + encoding + b"\r\nContent-Length: 2\r\n", b"{}"))
    assert (reply.status, loopback.calls) == (415, [])


def test_what_is_no_http_gets_the_same_error_shape(server: Any) -> None:
    (reply,) = server.exchange(b"hello, is this the chat?\r\n\r\n")
    assert (reply.status, reply.headers["x-content-type-options"]) == (400, "nosniff")
    assert json.loads(reply.body)["error"]["code"] == "invalid_http"


def test_the_server_does_not_tell_what_it_is(server: Any) -> None:
    """HDR-08"""
    assert "server" not in server.get(b"/health").headers


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(b"Origin: https://evil.example\r\n", id="origin"),
        pytest.param(b"Content-Encoding: gzip\r\n", id="coding"),
        pytest.param(b"Host: evil.example\r\n", id="host"),
        pytest.param(b"Authorization: a\r\nAuthorization: b\r\n", id="doubled"),
    ],
)
def test_after_a_refusal_the_body_is_not_the_next_request(server: Any, refused: bytes) -> None:
    """RAW-07"""
    body = SMUGGLED * 3
    headers = refused + b"Content-Length: %d\r\n" % (len(body) + 1000)
    replies = server.exchange(post(server, headers, body))
    assert [reply.headers["connection"] for reply in replies] == ["close"]


def test_a_body_that_no_endpoint_read_is_not_the_next_request(server: Any) -> None:
    """RAW-07, for answers of the application"""
    headers = b"Content-Length: 1000\r\n"
    replies = server.exchange(post(server, headers, SMUGGLED, path=b"/api/unread"))
    assert [(reply.status, reply.headers["connection"]) for reply in replies] == [(200, "close")]


def test_half_open_connections_do_not_stop_others(server: Any) -> None:
    """RAW-10"""
    half_open: list[socket.socket] = []
    try:
        for _ in range(200):
            connection = server.connect()
            connection.sendall(b"POST /api/ai/chat/b1 HTTP/1.1\r\nHost: ")
            half_open.append(connection)
        assert server.get(b"/health").status == 200
    finally:
        for connection in half_open:
            connection.close()


# --- Paths


@pytest.mark.parametrize(
    "block_id",
    [
        pytest.param(b"../../etc/passwd", id="PATH-01"),
        pytest.param(b"..%2f..%2fetc%2fpasswd", id="PATH-02"),
        pytest.param(b"%2e%2e/%2e%2e", id="PATH-03"),
        pytest.param(b"..\\..\\x", id="PATH-04"),
        pytest.param(b"a%00b", id="PATH-05"),
        pytest.param(b"a%0d%0aSet-Cookie:%20x=1", id="PATH-06"),
        pytest.param(b"a%0ab", id="PATH-07"),
        pytest.param(b"%ff%fe", id="PATH-08"),
        pytest.param(b"\xff\xfe", id="PATH-08-raw"),
        pytest.param("😀".encode(), id="PATH-10"),
        pytest.param(b"%3Cscript%3Ealert(1)%3C/script%3E", id="PATH-11"),
    ],
)
@pytest.mark.parametrize("prefix", [b"/api/ai/unknown/", b"/c/nowhere/", b"/static/"])
def test_odd_paths_are_neither_reflected_nor_fatal(server: Any, prefix: bytes, block_id: bytes) -> None:
    """PAGE-02, PAGE-03 and the transport's half of PATH: the ids themselves are checked by the endpoints."""
    reply = server.get(prefix + block_id)
    assert reply.status in {400, 404}
    assert "set-cookie" not in reply.headers
    assert b"<script>alert" not in reply.body
    assert b"root:" not in reply.body


def test_path_tricks_do_not_leave_the_api(house: Callable[..., Any], serve: Any) -> None:
    """AUTH-04: what looks public to one reader and not to another is not public."""
    guarded = serve(house(token="a-token-for-tests").app())
    for path in (b"//api/ai/chat/b1", b"/static/../api/ai/chat/b1", b"/static%2f..%2fapi/ai/chat/b1", b"/health/../"):
        reply = guarded.get(path)
        assert reply.status in {303, 401, 404}
        assert b"start" not in reply.body
