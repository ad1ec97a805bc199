"""What a client reads when something went wrong."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.core.errors import InvalidRequest, NotFound, ProviderTimeout
from app.web.errors import Refusal, error_response

CHAT = "/api/ai/chat/b1"
JSON = {"content-type": "application/json"}


@pytest.fixture
def client(house: Any, open_client: Any) -> TestClient:
    return open_client(house())


def scope(path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "headers": pairs}


def test_programs_get_one_shape(client: TestClient) -> None:
    """LEAK-02"""
    response = client.get("/api/nowhere")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "type": "error",
        "error": {
            "type": "not_found_error",
            "code": "not_found",
            "message": "There is nothing at this address.",
            "param": None,
        },
        "request_id": response.headers["x-request-id"],
    }


@pytest.mark.parametrize("path", ["/api/nowhere", "/v1/nowhere", "/api", "/v1", "/api/ai/chat/b1/x"])
def test_an_unknown_api_address_is_answered_in_json(client: TestClient, path: str) -> None:
    assert client.get(path, headers={"accept": "text/html"}).json()["error"]["code"] == "not_found"


def test_another_method_is_answered_in_json_with_those_that_work(client: TestClient) -> None:
    response = client.delete("/v1/messages")
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("error", "status", "error_type"),
    [
        (InvalidRequest("No."), 400, "invalid_request_error"),
        (Refusal(401, "unauthorized", "No."), 401, "authentication_error"),
        (Refusal(403, "foreign_origin", "No."), 403, "permission_error"),
        (NotFound("No."), 404, "not_found_error"),
        (Refusal(413, "request_too_large", "No."), 413, "request_too_large"),
        (Refusal(418, "teapot", "No."), 418, "invalid_request_error"),
        (Refusal(429, "too_many_failures", "No."), 429, "rate_limit_error"),
        (ProviderTimeout("No."), 504, "timeout_error"),
        (Refusal(529, "provider_unavailable", "No."), 529, "api_error"),
    ],
)
def test_the_type_is_the_one_that_sdks_know_for_the_status(error: Any, status: int, error_type: str) -> None:
    response = error_response(scope("/v1/messages"), error)
    assert response.status_code == status
    assert f'"type":"{error_type}"'.encode() in response.body


def test_the_field_at_fault_is_named() -> None:
    response = error_response(scope("/v1/messages"), InvalidRequest("Must be a user.", param="messages[0].role"))
    assert b'"param":"messages[0].role"' in response.body


def test_a_chat_client_gets_the_sentence_that_it_will_show(client: TestClient) -> None:
    response = client.post(CHAT, content="{", headers=JSON)
    assert response.status_code == 400
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-palaver-error-code"] == "invalid_json"
    assert response.text == "The body is not valid JSON in UTF-8; see line 1 column 1."


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream", "text/event-stream, */*", ""])
def test_what_chat_clients_accept_by_default_is_no_wish_for_json(client: TestClient, accept: str) -> None:
    response = client.post(CHAT, content="{", headers={**JSON, "accept": accept})
    assert response.headers["content-type"].startswith("text/plain")


def test_a_chat_client_that_asks_for_json_gets_json(client: TestClient) -> None:
    response = client.post(CHAT, content="{", headers={**JSON, "accept": "application/json, text/event-stream"})
    assert response.json()["error"]["code"] == "invalid_json"


def test_the_guard_speaks_to_chat_clients_alike(client: TestClient) -> None:
    response = client.post(CHAT, content="{}", headers={"content-type": "text/plain"})
    assert response.headers["x-palaver-error-code"] == "unsupported_media_type"
    assert response.text == "Send the body as JSON, with `Content-Type: application/json`."


def test_a_client_learns_when_to_come_back(client: TestClient) -> None:
    busy = client.get("/api/busy")
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "7")
    storage = client.get("/api/busy?storage")
    assert (storage.status_code, storage.headers["retry-after"]) == (503, "1")


def test_people_get_a_page(client: TestClient) -> None:
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/html")
    assert "<title>Not Found" in response.text
    assert "There is nothing at this address." in response.text
    assert response.headers["x-request-id"] in response.text


def test_htmx_gets_only_what_it_will_put_into_the_page(client: TestClient) -> None:
    response = client.get("/busy", headers={"hx-request": "true"})
    assert response.status_code == 429
    assert "The model service is busy." in response.text
    assert "<html" not in response.text


def test_a_program_can_have_json_for_a_page(client: TestClient) -> None:
    assert client.get("/nowhere", headers={"accept": "application/json"}).json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", ["/%3Cscript%3Ealert(1)%3C/script%3E", "/%22onload=%22x", "/{{7*7}}", "/c/b1/%3Cb%3E"])
def test_an_unknown_path_is_not_repeated(client: TestClient, path: str) -> None:
    """PAGE-02"""
    for answer in (client.get(path), client.get("/api" + path)):
        assert answer.status_code == 404
        assert not [piece for piece in ("alert(1)", "onload=", "7*7", "<b>") if piece in answer.text]


def test_what_a_page_says_is_escaped() -> None:
    from jinja2 import Environment, FileSystemLoader

    templates = Environment(loader=FileSystemLoader("templates"), autoescape=True)
    values = {"status": 400, "phrase": "Bad", "code": "x", "request_id": "r", "message": "<img src=x onerror=y>"}
    assert "&lt;img src=x" in templates.get_template("parts/error.html").render(values)


@pytest.mark.parametrize("path", ["/api/bug", "/bug", "/v1/../api/bug"])
def test_a_bug_tells_nothing_but_the_id_of_the_request(
    client: TestClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """LEAK, GLOB-01, GLOB-02"""
    response = client.get(path)
    assert response.status_code == 500
    assert response.headers["x-request-id"] in response.text
    assert not [leak for leak in ("sk-", "Traceback", "RuntimeError", ".py", "/bug") if leak in response.text]
    (record,) = [record for record in caplog.records if record.exc_info]
    assert (record.levelno, record.name) == (logging.ERROR, "app.web.security")
    assert record.request_id == response.headers["x-request-id"]  # type: ignore[attr-defined]


def test_a_bug_in_mid_stream_ends_the_connection(house: Any, serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(house().app())
    with server.connect() as connection:
        connection.sendall(b"GET /api/late-bug HTTP/1.1\r\n" + server.host + b"\r\n")
        (reply,) = server.replies(connection)
    assert reply.status == 200
    assert not reply.body.endswith(b"0\r\n\r\n")
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_a_reader_that_takes_nothing_is_dropped_without_ado(
    house: Any, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    dropped = threading.Event()
    caplog.set_level(logging.INFO, "app.web.security")
    caplog.handler.addFilter(lambda record: record.getMessage() != "reader dropped" or dropped.set() is None)
    server = serve(house().app())
    with server.connect() as connection:
        connection.sendall(b"GET /api/endless HTTP/1.1\r\n" + server.host + b"\r\n")
        assert dropped.wait(10)
    assert not [record for record in caplog.records if record.exc_info]


def test_failures_of_the_outside_are_logged_without_a_traceback(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/api/busy?storage")
    (record,) = [record for record in caplog.records if record.name == "app.web.errors"]
    assert (record.levelno, record.code, record.exc_info) == (logging.WARNING, "storage_unavailable", None)  # type: ignore[attr-defined]


def test_before_the_application_has_started_a_sentence_must_do() -> None:
    response = error_response(scope("/"), NotFound("There is nothing here."))
    assert (response.status_code, response.body) == (404, b"There is nothing here.")
