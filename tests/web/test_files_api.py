"""Attachments over HTTP: sent inside messages, served with safe headers, shown on the page, gone when deleted."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from tests.web.conftest import CONFIGURATION, RunningServer

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.7\n" + bytes(range(256))
HTML = b"<!doctype html><script>alert(1)</script>"
OpenApp = Callable[..., TestClient]
APP = "http://app.example:3000"
CHAT = "/api/ai/chat/b1"
SAVED = "/api/ai/conversations/b1"


def data_url(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def url_of(content: bytes) -> str:
    return f"/files/{sha256(content).hexdigest()}"


def file_part(url: str, media_type: str = "image/png", **more: Any) -> dict[str, Any]:
    return {"type": "file", "mediaType": media_type, "url": url, **more}


def message(number: int, *parts: dict[str, Any], text: str = "image") -> dict[str, Any]:
    return {"id": f"m{number}", "role": "user", "parts": [*parts, {"type": "text", "text": text}]}


def save(client: TestClient, *parts: dict[str, Any], url: str = SAVED) -> Any:
    return client.post(url, json={"messages": [message(1, *parts)]})


def upload(client: TestClient, content: bytes, media_type: str = "image/png") -> str:
    assert save(client, file_part(data_url(content, media_type), media_type)).status_code == 200
    return url_of(content)


def load(client: TestClient, url: str = SAVED, **headers: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = client.get(url, headers=headers).json()["messages"]
    return messages


def urls(messages: list[dict[str, Any]]) -> list[str]:
    return [part["url"] for message in messages for part in message["parts"] if part["type"] == "file"]


def on_disk(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "data" / "files").rglob("*") if path.is_file()]


@pytest.fixture
def create(tmp_path: Path) -> Callable[..., ASGIApp]:
    """The whole application with other server settings."""

    def create(**settings: Any) -> ASGIApp:
        config = tmp_path / "palaver.toml"
        config.write_text(CONFIGURATION)
        server = ServerSettings(data=tmp_path / "data", config=config, **settings)
        return create_app(server, lambda: open_deps(server, {}, port=8000))

    return create


@pytest.fixture
def open_app(create: Callable[..., ASGIApp]) -> Iterator[OpenApp]:
    """A client of it."""
    with ExitStack() as stack:

        def start(**settings: Any) -> TestClient:
            app = create(**settings)
            client = stack.enter_context(TestClient(app, "http://127.0.0.1:8000", follow_redirects=False))
            client.headers = {"user-agent": "test"}
            return client

        yield start


# In messages


def test_a_save_gives_every_file_an_address(client: TestClient, tmp_path: Path) -> None:
    picture = file_part(data_url(PNG), filename="a.png", providerMetadata={"x": {"y": 1}})
    assert save(client, picture, file_part(data_url(PDF, "application/pdf"), "application/pdf")).status_code == 200
    (loaded,) = load(client)
    assert loaded["parts"][0] == {**picture, "url": url_of(PNG)}
    assert urls([loaded]) == [url_of(PNG), url_of(PDF)]
    assert [client.get(url).content for url in urls([loaded])] == [PNG, PDF]
    assert b"base64" not in b"".join(path.read_bytes() for path in (tmp_path / "data").glob("palaver.db*"))


def test_saving_again_changes_nothing_whatever_the_form(client: TestClient, tmp_path: Path) -> None:
    for url in (data_url(PNG), url_of(PNG), data_url(PNG), f"http://127.0.0.1:8000{url_of(PNG)}"):
        assert save(client, file_part(url)).json()["version"] == 1
    assert len(on_disk(tmp_path)) == 1


def test_one_picture_in_many_messages_is_stored_once(client: TestClient, tmp_path: Path) -> None:
    for name in "abc":
        save(client, file_part(data_url(PNG)), file_part(data_url(PNG)), url=f"/api/ai/conversations/{name}")
    assert len(on_disk(tmp_path)) == 1


def test_a_turn_shows_the_image_to_the_model_and_a_later_one_does_so_by_its_address(client: TestClient) -> None:
    described = f"image/png, {len(PNG)} bytes"
    first = client.post(CHAT + "?protocol=text", json={"messages": [message(1, file_part(data_url(PNG)))]})
    assert described in first.text
    stored = load(client)
    assert urls(stored) == [url_of(PNG)]
    follow_up = message(2, file_part(url_of(PNG)))
    second = client.post(CHAT + "?protocol=text", json={"messages": [*stored, follow_up]})
    assert described in second.text
    again = client.post(CHAT + "?protocol=text", json={"message": message(3, file_part(url_of(PNG)))})
    assert described in again.text
    assert [m["role"] for m in load(client)] == ["user", "assistant"] * 3


def test_a_client_that_sends_the_data_again_makes_no_second_message(client: TestClient) -> None:
    question = message(1, file_part(data_url(PNG)))
    client.post(CHAT, json={"messages": [question]})
    _, answer = before = load(client)
    client.post(CHAT, json={"messages": [question, answer, message(2, text="say hi")]})
    assert load(client)[:2] == before
    assert len(load(client)) == 4


def test_sdk_4_sends_attachments_and_gets_addresses(client: TestClient) -> None:
    attachment = {"name": "a.png", "contentType": "image/png", "url": data_url(PNG)}
    question = {
        "role": "user",
        "content": "image",
        "parts": [{"type": "text", "text": "image"}],
        "experimental_attachments": [attachment],
    }
    assert f"{len(PNG)}" in client.post(CHAT, json={"id": "x", "messages": [question]}).text
    loaded = load(client, SAVED + "?sdk=4")
    assert loaded[0]["experimental_attachments"] == [{**attachment, "url": url_of(PNG)}]
    version = client.get(SAVED).json()["version"]
    for files in (loaded[0]["experimental_attachments"], [attachment]):
        sent = [{**loaded[0], "experimental_attachments": files}, loaded[1]]
        assert client.post(SAVED, json={"messages": sent}).json()["version"] == version


def test_a_hand_written_content_list_may_hold_an_image(client: TestClient) -> None:
    content = [{"type": "text", "text": "image"}, {"type": "image", "url": data_url(PNG)}]
    answer = client.post(CHAT + "?protocol=text", json={"messages": [{"role": "user", "content": content}]})
    assert "image/png" in answer.text
    assert urls(load(client)) == [url_of(PNG)]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("data:image/png;base64,@@@", "not valid base64"),
        ("data:image/svg+xml,<svg/>", "base64 data: URL"),
        (data_url(PNG + bytes(5_000_000)), "at most 5 MB"),
    ],
)
def test_a_bad_file_is_refused_in_turns_and_saves(client: TestClient, tmp_path: Path, url: str, why: str) -> None:
    body = {"messages": [message(1, file_part(url))]}
    for target in (CHAT, SAVED):
        refused = client.post(target, json=body, headers={"accept": "application/json"})
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "unsupported_content"
        assert refused.json()["error"]["param"] == "messages[0].parts[0]"
        assert why in refused.json()["error"]["message"]
    assert client.get(SAVED).status_code == 404
    assert on_disk(tmp_path) == []


def test_an_unknown_file_is_refused_by_name(client: TestClient) -> None:
    body = {"messages": [message(1, file_part(url_of(b"never sent")))]}
    refused = client.post(CHAT, json=body, headers={"accept": "application/json"})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "messages[0].parts[0]"


def test_a_deleted_conversation_takes_its_files_with_it(client: TestClient, tmp_path: Path) -> None:
    save(client, file_part(data_url(PNG)), file_part(data_url(PDF)))
    save(client, file_part(data_url(PNG)), url="/api/ai/conversations/b2")
    client.delete(SAVED)
    assert client.get(url_of(PDF)).status_code == 404
    assert client.get(url_of(PNG)).status_code == 200
    client.delete("/api/ai/conversations/b2")
    assert client.get(url_of(PNG)).status_code == 404
    assert on_disk(tmp_path) == []


# Served


def test_an_image_is_shown(client: TestClient) -> None:
    answer = client.get(upload(client, PNG))
    headers = answer.headers
    assert answer.content == PNG
    assert headers["content-type"] == "image/png"
    assert headers["content-disposition"] == f'inline; filename="{sha256(PNG).hexdigest()[:16]}.png"'
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    ("content", "claimed", "media_type", "extension"),
    [
        (HTML, "text/html", "text/plain; charset=utf-8", ".txt"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml", "text/plain", ".txt"),
        (HTML, "image/png", "text/plain", ".txt"),
        (b"\x00" + HTML, "text/html", "application/octet-stream", ""),
        (b'{"a": 1}', "application/json", "text/plain", ".txt"),
        (PDF, "text/html", "application/pdf", ".pdf"),
        (b"MZ\x90\x00", "application/x-msdownload", "application/octet-stream", ""),
    ],
)
def test_everything_else_is_a_download_of_a_harmless_type(
    client: TestClient, content: bytes, claimed: str, media_type: str, extension: str
) -> None:
    headers = client.get(upload(client, content, claimed)).headers
    assert headers["content-type"].startswith(media_type)
    assert headers["content-disposition"] == f'attachment; filename="{sha256(content).hexdigest()[:16]}{extension}"'
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("report.pdf", "report.pdf"),
        ("Überblick 世界.pdf", "Überblick 世界.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.pdf", "a.pdf"),
        ('a"; filename="evil.exe', 'a"; filename="evil.exe'),
        ("a\r\nset-cookie: x=1", "aset-cookie: x=1"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("x" * 500 + ".pdf", "x" * 116 + ".pdf"),
        ("...", f"{sha256(PDF).hexdigest()[:16]}.pdf"),
    ],
)
def test_a_download_has_a_safe_name(client: TestClient, asked: str, given: str) -> None:
    headers = client.get(upload(client, PDF), params={"name": asked}).headers
    disposition = headers["content-disposition"]
    kind, _, name = disposition.partition("; ")
    assert kind == "attachment"
    if name.startswith("filename*=utf-8''"):
        encoded = name.removeprefix("filename*=utf-8''")
        assert encoded.isascii()
        assert not set(encoded) & set('"; \r\n')
        assert unquote(encoded) == given
    else:
        assert name == f'filename="{given}"'
    assert "set-cookie" not in headers


def test_a_part_of_a_file_can_be_had(client: TestClient) -> None:
    url = upload(client, PDF)
    answer = client.get(url, headers={"range": "bytes=0-3"})
    assert (answer.status_code, answer.content) == (206, b"%PDF")
    assert client.get(url, headers={"range": "bytes=9999-"}).status_code == 416
    many = client.get(url, headers={"range": "bytes=" + ",".join(["0-"] * 5_000)})
    assert len(many.content) <= len(PDF) + 1_000
    assert client.head(url).headers["content-length"] == str(len(PDF))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "..%2fpalaver.db",
        "..%2f..%2fpalaver.toml",
        "%2fetc%2fpasswd",
        "a" * 64,
        "A" * 64,
        "a" * 63 + "%00",
        f"{sha256(PNG).hexdigest()[:2]}/{sha256(PNG).hexdigest()}",
        sha256(PNG).hexdigest().upper(),
        f"{sha256(PNG).hexdigest()}.png",
        f"{sha256(PNG).hexdigest()}%0a",
    ],
)
def test_there_is_nothing_else(client: TestClient, path: str) -> None:
    upload(client, PNG)
    assert client.get(f"/files/{path}").status_code in (404, 405)


def test_no_path_leads_out_of_the_folder(
    serve: Callable[[ASGIApp], RunningServer], create: Callable[..., ASGIApp], tmp_path: Path
) -> None:
    server = serve(create())
    for target in (
        b"/files/../palaver.db",
        b"/files/%2e%2e/palaver.db",
        b"/files/..%2fpalaver.db",
        b"/files//etc/passwd",
    ):
        reply = server.get(target)
        assert reply.status == 404
        assert b"SQLite" not in reply.body
    assert (tmp_path / "data" / "palaver.db").exists()


def test_files_are_read_only(client: TestClient) -> None:
    url = upload(client, PNG)
    for method in ("POST", "PATCH", "DELETE"):
        assert client.request(method, url, json={}).status_code == 405
    assert client.get(url).status_code == 200


def test_a_half_written_file_is_not_served(client: TestClient, tmp_path: Path) -> None:
    upload(client, PNG)
    (path,) = on_disk(tmp_path)
    half = path.with_name(f"{path.name}.0123.part")
    half.write_bytes(PNG[:20])
    assert client.get(f"/files/{half.name}").status_code == 404
    assert client.get(url_of(PNG)).content == PNG


def test_files_are_behind_the_door(open_app: OpenApp) -> None:
    client = open_app(token="secret-token")
    key = {"authorization": "Bearer secret-token"}
    body = {"messages": [message(1, file_part(data_url(PNG)))]}
    assert client.post(SAVED, json=body, headers=key).status_code == 200
    assert client.get(url_of(PNG)).status_code == 401
    assert client.get(url_of(b"unknown")).status_code == 401, "nobody learns what is there"
    assert client.get(url_of(PNG), headers=key).content == PNG


# Other origins


def test_a_page_of_a_listed_origin_gets_addresses_that_it_can_show(open_app: OpenApp) -> None:
    client = open_app(allowed_origins=(APP,))
    save(client, file_part(data_url(PNG)))
    (address,) = urls(load(client, origin=APP))
    assert address == f"http://127.0.0.1:8000{url_of(PNG)}"
    assert urls(load(client)) == [url_of(PNG)], "our own page and programs get the short form"
    assert save(client, file_part(address)).json()["version"] == 1

    fetched = client.get(address, headers={"origin": APP, "sec-fetch-site": "cross-site"})
    assert fetched.headers["access-control-allow-origin"] == APP
    shown = client.get(address, headers={"referer": f"{APP}/", "sec-fetch-site": "cross-site"})
    assert shown.content == PNG
    assert shown.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "Sec-Fetch-Site, Referer" in shown.headers["vary"], "a cache must not mix up who asked"
    assert "Referer" not in client.get(address).headers["vary"], "our own pages may share what one of them got"


def test_sdk_4_on_a_listed_origin_gets_them_too(open_app: OpenApp) -> None:
    client = open_app(allowed_origins=(APP,))
    save(client, file_part(data_url(PNG)))
    (loaded,) = load(client, SAVED + "?sdk=4", origin=APP)
    assert loaded["experimental_attachments"][0]["url"] == f"http://127.0.0.1:8000{url_of(PNG)}"


def test_behind_a_proxy_the_addresses_are_those_of_the_public_url(open_app: OpenApp) -> None:
    client = open_app(allowed_origins=(APP,), public_url="https://chat.example.com")
    save(client, file_part(data_url(PNG)))
    assert urls(load(client, origin=APP)) == [f"https://chat.example.com{url_of(PNG)}"]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "referer": "http://127.0.0.1:9999/"},
        {"sec-fetch-site": "cross-site", "referer": "https://evil.example/?http://app.example:3000/"},
        {"sec-fetch-site": "cross-site", "referer": "http://app.example:3000.evil.example/"},
        {"sec-fetch-site": "cross-site", "referer": "http://app.example:30000/"},
        {"sec-fetch-site": "cross-site", "referer": "http://app.example:3000@evil.example/"},
        {"sec-fetch-site": "cross-site", "origin": "null", "referer": f"{APP}/"},
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example", "referer": f"{APP}/"},
    ],
)
def test_no_other_page_learns_which_files_are_here(open_app: OpenApp, headers: dict[str, str]) -> None:
    client = open_app(allowed_origins=(APP,))
    save(client, file_part(data_url(PNG)))
    for url in (url_of(PNG), url_of(b"unknown")):
        refused = client.get(url, headers=headers)
        assert refused.status_code == 403
        assert refused.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in refused.headers


def test_a_referer_opens_nothing_but_files(open_app: OpenApp) -> None:
    client = open_app(allowed_origins=(APP,))
    save(client, file_part(data_url(PNG)))
    assert client.get(SAVED, headers={"sec-fetch-site": "cross-site", "referer": f"{APP}/"}).status_code == 403


# On the page


def test_the_page_shows_pictures_and_offers_other_files(client: TestClient) -> None:
    save(client, file_part(data_url(PNG), filename="cat.png"), file_part(data_url(PDF), "application/pdf"))
    page = client.get("/c/b1").text
    assert f'<img class="picture" src="{url_of(PNG)}" alt="cat.png" loading="lazy" decoding="async">' in page
    assert f'href="{url_of(PDF)}?name=' in page
    assert "base64" not in page


def test_the_page_escapes_the_name_of_a_file(client: TestClient) -> None:
    name = '"><script>alert(1)</script>&x=1.pdf'
    save(client, file_part(data_url(PDF), "application/pdf", filename=name), file_part(data_url(PNG), filename=name))
    page = client.get("/c/b1").text
    assert "<script>alert(1)" not in page
    assert "?name=%22%3E%3Cscript%3Ealert%281%29%3C/script%3E%26x%3D1.pdf" in page


def test_the_page_links_no_address_that_is_not_a_file_of_ours(client: TestClient) -> None:
    hostile = [
        "/files/../logout",
        "//evil.example/files/x",
        "javascript:alert(1)",
        f"https://evil.example{url_of(b'x')}",
    ]
    save(client, *(file_part(url, filename="a.png") for url in hostile))
    page = client.get("/c/b1").text
    for url in hostile:
        assert url not in page
