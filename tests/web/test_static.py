"""Static files: joined, compressed, kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from app.core.errors import NotFound
from app.web.static import Assets, static_files

RULE = "p { color: red; }\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"a.css": RULE * 40, "b.css": "b {}", "a.js": "const x = 1;", "b.js": "const x = 2;"}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def client(folder: Path) -> TestClient:
    return TestClient(Starlette(routes=[Route("/static/{path:path}", static_files(folder))]))


def test_several_files_of_a_kind_are_one_answer(client: TestClient, folder: Path) -> None:
    address = Assets(folder).address("b.css", "a.css")
    answer = client.get(address)
    assert address.startswith("/static/b+a.css?v=")
    assert answer.text == "b {}" + RULE * 40
    assert answer.headers["cache-control"].endswith("immutable")
    assert answer.headers["content-type"].startswith("text/css")


def test_modules_that_are_joined_keep_their_names_apart(client: TestClient) -> None:
    assert client.get("/static/a+b.js").text.count("try {") == 2
    assert client.get("/static/a.js").text == "const x = 1;"


@pytest.mark.parametrize(
    ("accepted", "encoding"), [("gzip, br", "gzip"), ("br;q=1, gzip;q=0.5", "gzip"), ("gzip;q=0", None), ("", None)]
)
def test_files_are_compressed_for_whoever_takes_it(client: TestClient, accepted: str, encoding: str | None) -> None:
    answer = client.get("/static/a.css", headers={"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert answer.text == RULE * 40
    assert answer.headers["vary"] == "accept-encoding"


def test_what_has_not_changed_is_not_sent_again(client: TestClient) -> None:
    tag = client.get("/static/a.css").headers["etag"]
    assert client.get("/static/a.css", headers={"if-none-match": tag}).status_code == 304


@pytest.mark.parametrize(
    "path", ["c.css", "a+c.css", "a+b+a.css", "../a.css", "a+.css", "+.css", "a", "", "a+b", "x" * 700]
)
def test_what_is_not_there_is_not_found(folder: Path, path: str) -> None:
    with pytest.raises(NotFound):
        Assets(folder).get(path)
