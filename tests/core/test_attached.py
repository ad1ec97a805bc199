"""A file becomes what a model is given of it: text as text, everything else as it is, if the model takes it."""

from __future__ import annotations

import base64

import pytest

from app.core.attached import MAX_TEXT_BYTES, attached
from app.core.errors import UnsupportedContent
from app.core.files import AUDIO_TYPES, IMAGE_TYPES, PDF, file_id_of, file_url, to_file
from app.core.messages import FilePart
from app.core.model import Media, Text

PLACE = "messages[0].parts[1]"


def given(content, media_type="application/octet-stream", *, filename=None, takes=IMAGE_TYPES):
    url = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    return attached(FilePart(media_type=media_type, url=url, filename=filename), PLACE, {}, takes)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7", PDF),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x00", "audio/mpeg"),
    ],
)
def test_documents_and_sounds_go_to_models_that_take_them(content, media_type):
    media = Media(media_type, base64.b64encode(content).decode(), "a b.x")
    assert given(content, filename="a b.x", takes={PDF} | AUDIO_TYPES) == media
    with pytest.raises(UnsupportedContent, match="files cannot be sent to this model") as refused:
        given(content)
    assert refused.value.param == PLACE


@pytest.mark.parametrize(
    ("takes", "says"),
    [
        (set(), "PDF files cannot be sent to this model. It takes text files only."),
        ({"image/png"}, "PDF files cannot be sent to this model. It takes text files and PNG."),
        (IMAGE_TYPES, "PDF files cannot be sent to this model. It takes text files, PNG, JPEG, GIF and WebP."),
    ],
)
def test_who_sends_what_a_model_does_not_take_learns_what_it_takes(takes, says):
    with pytest.raises(UnsupportedContent) as refused:
        given(b"%PDF-1.7", takes=takes)
    assert refused.value.message == says


@pytest.mark.parametrize("media_type", ["text/csv", "image/svg+xml", "application/json", "application/octet-stream"])
def test_a_text_file_becomes_text_whatever_it_is_called(media_type):
    text = given("a,ü\n".encode("utf-8-sig"), media_type, filename='x"<&\n>.csv', takes=())
    assert text == Text('<file name="x&quot;&lt;&amp; &gt;.csv">\na,ü\n\n</file>')


def test_a_text_file_may_have_no_name():
    assert given(b"a") == Text("<file>\na\n</file>")


def test_a_text_file_may_be_so_long():
    assert isinstance(given(b"a" * MAX_TEXT_BYTES), Text)
    with pytest.raises(UnsupportedContent, match="at most 1 MB"):
        given(b"a" * (MAX_TEXT_BYTES + 1))


def test_a_text_that_turns_out_to_be_none_further_on_is_shown_as_far_as_it_is():
    text = given(b"a" * 5000 + b"\xff")
    assert isinstance(text, Text)
    assert text.text.endswith("a\ufffd\n</file>")


def test_a_stored_file_is_found_by_its_id():
    content = b"stored"
    part = FilePart(media_type="text/plain", url=file_url(file_id_of(content)))
    assert attached(part, PLACE, {file_id_of(content): to_file(content)}, ()) == Text("<file>\nstored\n</file>")
    with pytest.raises(UnsupportedContent, match="does not have this file"):
        attached(part, PLACE, {}, ())
