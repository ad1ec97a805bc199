"""What is taken for JSON, and what JSON looks like when it leaves."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidJson
from app.wire.json import dump_json, parse_json, parse_object

BACKSLASH = b"\\"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"   ", id="blank"),
        pytest.param(b"{", id="open"),
        pytest.param(b'{"a":1', id="cut"),
        pytest.param(b'{"a":1}}', id="rest"),
        pytest.param(b'{"a":1}{"b":2}', id="two"),
        pytest.param(b'{"a":1,}', id="trailing-comma"),
        pytest.param(b"{'a':1}", id="single-quotes"),
        pytest.param(b"{a:1}", id="bare-key"),
        pytest.param(b"// no\n{}", id="comment"),
        pytest.param(b"undefined", id="undefined"),
        pytest.param(b"a=1&b=2", id="form"),
        pytest.param(b"<html>", id="html"),
        pytest.param(b'{"a":01}', id="leading-zero"),
        pytest.param(b'{"a":+1}', id="plus"),
        pytest.param(b'{"a":.5}', id="no-integer"),
        pytest.param(b'{"a":0x10}', id="hex"),
        pytest.param(b'{"a":NaN}', id="nan"),
        pytest.param(b'{"a":Infinity}', id="infinity"),
        pytest.param(b'{"a":-Infinity}', id="minus-infinity"),
        pytest.param(b'{"a":1e999}', id="1e999"),
        pytest.param(b'{"a":[{"b":-1e999}]}', id="minus-1e999-inside"),
        pytest.param(b'{"a":1' + b"0" * 400 + b".0}", id="400-digits-and-a-point"),
        pytest.param(b'{"a":' + b"9" * 5_000 + b"}", id="5000-digits"),
        pytest.param(b'{"a":' + b"9" * 309 + b"}", id="too-big-for-a-float"),
        pytest.param(b'{"a":"\n"}', id="raw-line-end"),
        pytest.param(b'{"a":"\\x41"}', id="bad-escape"),
        pytest.param(b'{"a":"\\u12"}', id="short-escape"),
        pytest.param(b'{"a":"\\ud83d"}', id="lone-high-surrogate"),
        pytest.param(b'{"a":"\\ude00"}', id="lone-low-surrogate"),
        pytest.param(b'{"\\ud83d":1}', id="lone-surrogate-in-a-key"),
        pytest.param(b'{"a":"\\ude00\\ud83d"}', id="reversed-surrogates"),
        pytest.param(b'{"a":"\xed\xa0\xbd"}', id="surrogate-in-utf8"),
        pytest.param(b'{"a":"\xff"}', id="not-utf8"),
        pytest.param(b'{"a":"\xc0\x80"}', id="overlong-nul"),
        pytest.param(b'{"a":"\xe2\x82"}', id="cut-character"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte-order-mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="utf-16"),
        pytest.param('{"a":1}'.encode("utf-32-le"), id="utf-32"),
        pytest.param(b"\x1f\x8b\x08\x00", id="gzip"),
        pytest.param(b'{"a":"\x00"}', id="raw-nul"),
        pytest.param(b'{"a":1}\x00', id="nul-behind"),
        pytest.param(b'{"a":"\\u0000"}', id="nul"),
        pytest.param(b'{"a\\u0000":1}', id="nul-in-a-key"),
        pytest.param(b'{"a":"x' + BACKSLASH * 2 + b'\\u0000"}', id="nul-behind-a-backslash"),
        pytest.param(b"[" * 300 + b"]" * 300, id="deep-lists"),
        pytest.param(b'{"a":' * 300 + b"1" + b"}" * 300, id="deep-objects"),
        pytest.param(b"[" * 1_000_000, id="a-million-brackets"),
        pytest.param(b'{"__proto__":{"admin":true}}', id="proto"),
        pytest.param(b'{"a":[[{"__proto__":1}]]}', id="proto-inside"),
        pytest.param(b'{"\\u005f_proto__":1}', id="proto-escaped"),
        pytest.param(b'{"constructor":{"prototype":{}}}', id="constructor-prototype"),
        pytest.param(b'{"a":{"constructor":{"prototype":1}}}', id="constructor-prototype-inside"),
    ],
)
def test_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJson) as raised:
        parse_json(body)
    assert raised.value.code == "invalid_json"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        pytest.param(b' {"a": [1, 2.5, true, null, "b"]} \r\n', {"a": [1, 2.5, True, None, "b"]}, id="plain"),
        pytest.param(b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}, id="surrogate-pair"),
        pytest.param('{"ü":"😀\u2028"}'.encode(), {"ü": "😀\u2028"}, id="utf-8"),
        pytest.param(b'{"a":"' + BACKSLASH * 2 + b'u0000"}', {"a": "\\u0000"}, id="escaped-backslash-then-u0000"),
        pytest.param(b'{"a":"' + BACKSLASH * 4 + b'u0000"}', {"a": "\\\\u0000"}, id="two-backslashes-then-u0000"),
        pytest.param(b'{"a":"\\u0001\\u001f\\u007f"}', {"a": "\x01\x1f\x7f"}, id="other-controls"),
        pytest.param(b'{"a":"__proto__","b":["constructor"]}', {"a": "__proto__", "b": ["constructor"]}, id="as-text"),
        pytest.param(b'{"constructor":"Bob"}', {"constructor": "Bob"}, id="a-constructor"),
        pytest.param(b'{"prototype":{}}', {"prototype": {}}, id="a-prototype"),
        pytest.param(b'{"a":1e308}', {"a": 1e308}, id="large"),
        pytest.param(b'{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}, id="long-integer"),
        pytest.param(b'{"a":1,"a":2}', {"a": 2}, id="the-last-of-two-keys"),
    ],
)
def test_is_read(body: bytes, value: Any) -> None:
    assert parse_json(body) == value


def test_200_levels_are_read() -> None:
    assert parse_json(b"[" * 200 + b"]" * 200)


@pytest.mark.parametrize("body", [b"[]", b'"a"', b"1", b"null", b'[{"a":1}]'])
def test_an_object_must_be_one(body: bytes) -> None:
    with pytest.raises(InvalidJson, match="must be a JSON object"):
        parse_object(body)


def test_an_object_is_read() -> None:
    assert parse_object(b'{"a":1}') == {"a": 1}


def test_the_message_says_where_but_not_what() -> None:
    with pytest.raises(InvalidJson) as raised:
        parse_json(b'{"password": hunter2}')
    assert raised.value.message == "The body is not valid JSON in UTF-8; see line 1 column 14."


LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.mark.parametrize("text", ["\n", "\r\n", "\r", "data: [DONE]\n\nevent: x", LINE_ENDS, "ü" + LINE_ENDS])
def test_a_document_is_one_line_for_every_reader(text: str) -> None:
    """SSE-05, SSE-06"""
    document = dump_json({"delta": text, text: 1})
    assert len(document.decode().splitlines()) == 1
    assert json.loads(document) == {"delta": text, text: 1}


@pytest.mark.parametrize("text", ["\ud83d", "a\ude00ü\n", "\ude00\ud83d"])
def test_half_a_surrogate_pair_does_not_stop_the_stream(text: str) -> None:
    """SSE-08: the other half comes in the next delta, and the client puts them together."""
    document = dump_json({"delta": text})
    assert document.isascii()
    assert json.loads(document) == {"delta": text}


def test_two_halves_make_one_emoji_at_the_client() -> None:
    first, second = (dump_json(half).decode().strip('"') for half in ("\ud83d", "\ude00"))
    assert json.loads(f'"{first}{second}"') == "😀"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_lacks_becomes_null(number: float) -> None:
    assert dump_json({"a": number}) == b'{"a":null}'


def test_a_document_is_compact_and_keeps_the_order() -> None:
    assert (
        dump_json({"type": "text-delta", "id": "1", "delta": "ü"})
        == '{"type":"text-delta","id":"1","delta":"ü"}'.encode()
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_what_goes_out_comes_in_again(value: Any) -> None:
    document = dump_json(value)
    assert len(document.decode().splitlines()) == 1
    try:
        assert parse_json(document) == value
    except InvalidJson:
        assert any(refused in document.decode() for refused in ("\\u0000", "__proto__"))


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(InvalidJson):  # any other error fails
        parse_json(body)
