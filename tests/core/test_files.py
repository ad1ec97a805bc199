"""What a file is, is decided by its first bytes; how a message names it, by its content."""

from __future__ import annotations

import base64

import pytest

from app.core.errors import UnsupportedContent
from app.core.files import (
    HEAD_BYTES,
    MAX_FILE_BYTES,
    MAX_IMAGE_BYTES,
    file_id_in,
    file_id_of,
    file_url,
    media_type_of,
    read_data_url,
    to_file,
)

PNG = b"\x89PNG\r\n\x1a\n"


def data_url(content, media_type="image/png"):
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG + b"rest", "image/png"),
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"GIF89a rest", "image/gif"),
        (b"GIF87a rest", "image/gif"),
        (b"RIFF\x10\n\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"RIFF\x10\x00\x00\x00AVI LIST", "application/octet-stream"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x00rest", "audio/mpeg"),
        (b"\xff\xfb\x90\x64rest", "audio/mpeg"),
        (b"\xff\xf3\x40\xc4rest", "audio/mpeg"),
        (b"\xff\xf1\x50\x80rest", "application/octet-stream"),
        (b"ID3 is how sounds are labelled.", "text/plain"),
        (b"%PDF-1.7\n%\xff\xff", "application/pdf"),
        (b"<svg onload=alert(1)>", "text/plain"),
        (b"<!doctype html><script>alert(1)</script>", "text/plain"),
        (b'{"a": 1}\r\n', "text/plain"),
        ("Grüße, 世界 🎈\n\ta;b;c".encode(), "text/plain"),
        (b"\xef\xbb\xbfa,b", "text/plain"),
        (b"", "text/plain"),
        (b"\x00\x01", "application/octet-stream"),
        (b"text with \x00", "application/octet-stream"),
        (b"\x7fELF", "application/octet-stream"),
        (b"MZ\x90", "application/octet-stream"),
        ("Grüße".encode("latin-1"), "application/octet-stream"),
        ("Grüße".encode("utf-16"), "application/octet-stream"),
        (b" \x89PNG\r\n\x1a\n", "application/octet-stream"),
    ],
)
def test_a_file_is_what_it_begins_with(content, media_type):
    assert media_type_of(content) == media_type


def test_a_text_may_be_cut_in_the_middle_of_a_character():
    text = ("a" * (HEAD_BYTES - 1) + "ü" + "a" * 10).encode()
    assert media_type_of(text) == media_type_of(text[:HEAD_BYTES]) == "text/plain"


def test_a_data_url_gives_its_bytes():
    assert read_data_url(data_url(PNG), "p") == PNG
    assert read_data_url(data_url(b"hi", "TEXT/plain;charset=utf-8"), "p") == b"hi"
    assert read_data_url("data:;base64,aGk=", "p") == b"hi"


@pytest.mark.parametrize(
    "url",
    [
        "data:text/plain,hello",
        "data:image/png;base64,@@@",
        "data:image/png;base64,iVBOR",
        "data:image/png;base64,aGk=\n",
        "data:image/png;base64,\u00fc",
        "data:image/png;base64",
        "data:",
        "https://127.0.0.1/a.png",
        "file:///etc/passwd",
        "",
    ],
)
def test_what_is_no_base64_data_url_is_refused(url):
    with pytest.raises(UnsupportedContent) as refused:
        read_data_url(url, "messages[0].parts[1]")
    assert refused.value.param == "messages[0].parts[1]"


@pytest.mark.parametrize(
    ("head", "limit", "says"),
    [
        (PNG, MAX_IMAGE_BYTES, "An image may have at most 5 MB"),
        (b"%PDF-", MAX_FILE_BYTES, "A file may have at most 10 MB"),
    ],
)
def test_there_is_a_limit_for_images_and_one_for_all_others(head, limit, says):
    whole = head + bytes(limit - len(head))
    assert read_data_url(data_url(whole), "p") == whole
    with pytest.raises(UnsupportedContent, match=says):
        read_data_url(data_url(whole + b"\0"), "p")


def test_what_it_is_called_does_not_lift_the_limit_of_images():
    with pytest.raises(UnsupportedContent, match="An image may have"):
        read_data_url(data_url(PNG + bytes(MAX_IMAGE_BYTES), "application/pdf"), "p")


def test_an_address_names_a_file_by_its_content():
    file_id = file_id_of(PNG)
    for url in (file_url(file_id), f"{file_url(file_id)}?name=a.png", f"https://chat.example:8443{file_url(file_id)}"):
        assert file_id_in(url) == file_id


@pytest.mark.parametrize(
    "url",
    [
        "/files/",
        "/files/abc",
        f"/files/{'A' * 64}",
        f"/files/{'a' * 65}",
        f"/files/{'a' * 64}/../../palaver.db",
        f"/files/../{'a' * 64}",
        f"//evil.example/files/{'a' * 64}",
        f"ftp://a/files/{'a' * 64}",
        f"https://a/b/files/{'a' * 64}",
        f"https://a?/files/{'a' * 64}",
        f"javascript:/files/{'a' * 64}",
        f" /files/{'a' * 64}",
        "data:image/png;base64,AAAA",
    ],
)
def test_no_other_address_names_a_file(url):
    assert file_id_in(url) is None


def test_a_model_gets_type_and_base64():
    file = to_file(PNG)
    assert (file.media_type, base64.b64decode(file.data)) == ("image/png", PNG)
