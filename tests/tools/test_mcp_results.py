from __future__ import annotations

import base64
from typing import Any

import pytest
from mcp_types import CallToolResult, ReadResourceResult

from app.core.tools import ToolFailure, ToolFile, ToolOutput, ToolSource
from app.tools.mcp_results import read_call_result, read_resource_result

X = base64.b64encode(b"x").decode()


def result(*content: dict[str, Any], **more: Any) -> CallToolResult:
    return CallToolResult.model_validate({"content": list(content), **more})


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def test_texts_are_joined_and_structure_comes_before_them() -> None:
    assert read_call_result(result(text("a"), text("b"))) == ToolOutput("a\n\nb")
    assert read_call_result(result(text("a"), structuredContent={"b": 1})) == ToolOutput({"b": 1})
    assert read_call_result(result()) == ToolOutput("")


def test_what_is_no_text_is_a_file_or_a_source() -> None:
    output = read_call_result(
        result(
            text("See:"),
            {"type": "image", "data": X, "mimeType": "image/png"},
            {"type": "audio", "data": X, "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "file:///a/b.bin", "blob": X}},
            {"type": "resource", "resource": {"uri": "file:///c.txt", "text": "inside"}},
            {"type": "resource_link", "uri": "https://a.example/x", "name": "x", "title": "The X"},
            {"type": "resource_link", "uri": "file:///d", "name": "d"},
        )
    )
    assert output == ToolOutput(
        "See:\n\ninside\n\nThe X: https://a.example/x\n\nd: file:///d",
        (
            ToolFile("image/png", b"x"),
            ToolFile("audio/wav", b"x"),
            ToolFile("application/octet-stream", b"x", "b.bin"),
        ),
        (ToolSource("https://a.example/x", "The X"),),
    )


def test_an_error_is_a_failure_with_a_bounded_text() -> None:
    with pytest.raises(ToolFailure, match=r"^Not that way\.$"):
        read_call_result(result(text("Not that way."), isError=True))
    with pytest.raises(ToolFailure, match=r"^The tool failed, and did not say why\.$"):
        read_call_result(result(isError=True))
    with pytest.raises(ToolFailure) as raised:
        read_call_result(result(text("x" * 10_000), isError=True))
    assert len(str(raised.value)) == 2_000


def test_too_much_is_cut() -> None:
    long = "x" * 300_000
    cut = f"{'x' * 200_000}\n[cut off here: it has 300,000 characters]"
    assert read_call_result(result(text(long))) == ToolOutput(cut)
    assert read_call_result(result(text(long), structuredContent={"result": long})) == ToolOutput(cut)
    many = [{"type": "image", "data": X, "mimeType": "image/png"}] * 30
    assert len(read_call_result(result(*many)).files) == 20


@pytest.mark.parametrize("data", ["not base64!", "A" * 14_000_000])
def test_a_file_that_cannot_be_taken_is_mentioned(data: str) -> None:
    output = read_call_result(result({"type": "image", "data": data, "mimeType": "image/png"}))
    assert output == ToolOutput("[a file of type image/png that is too big or damaged was left out]")


def test_resources_are_texts_and_files() -> None:
    contents = [{"uri": "a://b", "text": "one"}, {"uri": "a://c", "blob": X, "mimeType": "image/png"}]
    found = ReadResourceResult.model_validate({"contents": contents, "ttlMs": 0, "cacheScope": "private"})
    assert read_resource_result(found) == ToolOutput("one", (ToolFile("image/png", b"x", "c"),))
