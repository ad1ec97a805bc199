from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.sse import MAX_EVENT_BYTES, EventTooLongError, Splitter


def split(*reads: bytes) -> list[bytes]:
    splitter = Splitter()
    return [event for read in reads for event in splitter.feed(read)]


def test_one_read_may_bring_many_events() -> None:
    assert split(b'data: {"a":1}\n\ndata: {"b":2}\n\n') == [b'{"a":1}', b'{"b":2}']


def test_an_event_may_take_many_reads() -> None:
    assert split(b"da", b"ta: he", b"llo", b"\n", b"\ndata: x") == [b"hello"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_all_line_ends_of_the_standard_count(end: bytes) -> None:
    stream = end.join([b"event: message", b"data: one", b"", b"data: two", b"", b""])
    assert split(stream) == [b"one", b"two"]
    assert split(*(bytes([byte]) for byte in stream)) == [b"one", b"two"]


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_no_other_character_ends_a_line(end: str) -> None:
    assert split(f"data: a{end}b\n\n".encode()) == [f"a{end}b".encode()]


def test_several_data_lines_are_one_text() -> None:
    assert split(b"data: a\ndata:b\ndata:  c\ndata\n\n") == [b"a\nb\n c\n"]


def test_comments_other_fields_and_events_without_data_say_nothing() -> None:
    assert split(b": keep-alive\n\nid: 7\nretry: 5\n\nevent: ping\n\n:\n\ndata: x\nid: 8\n\n") == [b"x"]


def test_empty_lines_between_events_do_no_harm() -> None:
    assert split(b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n") == [b"a", b"b"]


def test_a_byte_order_mark_is_skipped() -> None:
    assert split(b"\xef", b"\xbb\xbfdata: a\n", b"\n") == [b"a"]


def test_the_end_may_lack_its_blank_line() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: [DONE]") == []
    assert splitter.flush() == [b"[DONE]"]
    assert splitter.flush() == []


def test_an_event_without_end_is_refused() -> None:
    splitter = Splitter()
    assert splitter.feed(b"x" * MAX_EVENT_BYTES) == []
    with pytest.raises(EventTooLongError):
        splitter.feed(b"x")


lines = st.sampled_from([b"data: {}", b"data:x", b"event: e", b": c", b"", b"id: 1"])


@given(st.lists(lines), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.data())
def test_reads_do_not_matter(written: list[bytes], end: bytes, data: st.DataObject) -> None:
    stream = b"".join(line + end for line in written)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    reads = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert split(*reads) == split(stream)
