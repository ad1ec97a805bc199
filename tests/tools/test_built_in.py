from __future__ import annotations

from typing import Any

import pytest

from app.core.files import file_url
from app.core.messages import UIMessage, parse_messages
from app.core.tools import Tool, ToolContext, ToolFailure
from app.storage.files import FileFolder
from app.storage.sqlite import SqliteStore
from app.tools.built_in import built_in_tools
from app.tools.public_http import PublicWeb
from tests.tools.moment import NOW

pytestmark = pytest.mark.anyio


@pytest.fixture
def tools(store: SqliteStore, files: FileFolder) -> dict[str, Tool]:
    return {tool.spec.name: tool for tool in built_in_tools(lambda: NOW, store, files, PublicWeb())}


async def use(tool: Tool, block_id: str = "b1", **arguments: Any) -> Any:
    assert tool.execute is not None
    return await tool.execute(arguments, ToolContext(block_id, "call-1"))  # type: ignore[misc]


async def test_what_reaches_out_asks_and_the_rest_does_not(tools: dict[str, Tool]) -> None:
    assert {name: tool.policy for name, tool in tools.items()} == {
        "current_time": "auto",
        "calculate": "auto",
        "fetch_page": "ask",
        "search_conversations": "auto",
        "read_attachment": "auto",
    }
    for tool in tools.values():
        assert tool.spec.input_schema["additionalProperties"] is False
        assert "context" not in tool.spec.input_schema["properties"]
        described = tool.spec.input_schema["properties"].values()
        assert all(parameter["description"] for parameter in described)


async def test_the_time_is_told_in_any_zone(tools: dict[str, Tool]) -> None:
    assert await use(tools["current_time"]) == [
        {"timeZone": "UTC", "time": "2026-11-21T18:30:00+00:00", "weekday": "Saturday", "abbreviation": "UTC"}
    ]
    zones = ["Asia/Kathmandu", "America/New_York"]
    assert await use(tools["current_time"], time_zones=zones) == [
        {
            "timeZone": "Asia/Kathmandu",
            "time": "2026-11-22T00:15:00+05:45",
            "weekday": "Sunday",
            "abbreviation": "+0545",
        },
        {
            "timeZone": "America/New_York",
            "time": "2026-11-21T13:30:00-05:00",
            "weekday": "Saturday",
            "abbreviation": "EST",
        },
    ]


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "/etc/localtime", "../../etc/passwd", "Europe", "Berlin\0", "é"])
async def test_a_zone_that_is_none_says_what_one_is(tools: dict[str, Tool], name: str) -> None:
    with pytest.raises(ToolFailure, match=r"^There is no such time zone\."):
        await use(tools["current_time"], time_zones=[name])


async def test_calculating_is_a_tool(tools: dict[str, Tool]) -> None:
    assert (await use(tools["calculate"], expression="0.1 + 0.2"))["result"] == "0.3"


def said(message_id: str, text: str, *parts: dict[str, Any]) -> UIMessage:
    content = [{"type": "text", "text": text}, *parts]
    return parse_messages([{"id": message_id, "role": "user", "parts": content}])[0]


async def test_other_conversations_are_found_by_their_words(tools: dict[str, Tool], store: SqliteStore) -> None:
    await store.save("b1", [said("m1", "Where did we speak of the blue whale?")], placement="branch")
    await store.save("b2", [said("m2", "The blue whale is a mammal.")], placement="branch")
    await store.save("b3", [said("m3", "The red fox is one, too.")], placement="branch")
    (found,) = await use(tools["search_conversations"], query="blue whale")
    assert found["url"] == "/c/b2"
    assert found["excerpt"] == "The blue whale is a mammal."
    assert found["updatedAt"].startswith("2026-11-21T18:30")
    assert await use(tools["search_conversations"], query="green") == []
    with pytest.raises(ToolFailure, match=r"^limit: "):
        await use(tools["search_conversations"], query="a", limit=1_000)


def pdf(*pages: str) -> bytes:
    """By hand: a catalog, its pages with one line each, a font, and the table of where they are."""
    kids = " ".join(f"{3 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 "
        "/BaseFont /Helvetica >> >> >> /MediaBox [0 0 300 300] >>",
    ]
    for number, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /Contents {4 + 2 * number} 0 R >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    content, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    count = len(objects) + 1
    tail = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n"
    return content + tail.encode() + f"{len(content)}\n%%EOF\n".encode()


async def attach(store: SqliteStore, files: FileFolder, content: bytes, name: str | None, block_id: str = "b1") -> str:
    file_id = await files.put(content)
    part = {"type": "file", "mediaType": "text/plain", "url": file_url(file_id)}
    named = part if name is None else {**part, "filename": name}
    earlier = await store.load(block_id)
    messages = [*(earlier.messages if earlier else ()), said(f"m-{file_id[:8]}", "Look", named)]
    await store.save(block_id, messages, placement="branch")
    return file_id


async def test_attachments_are_listed_and_read_by_name(
    tools: dict[str, Tool], store: SqliteStore, files: FileFolder
) -> None:
    read = tools["read_attachment"]
    assert await use(read) == {"files": []}
    await attach(store, files, "Grüße\n".encode(), "notes.txt")
    nameless = await attach(store, files, b"a,b\n1,2\n", None)
    assert await use(read) == {"files": sorted(["notes.txt", nameless])}
    assert await use(read, file="notes.txt") == {"file": "notes.txt", "part": 1, "parts": 1, "text": "Grüße\n"}
    assert (await use(read, file=nameless))["text"] == "a,b\n1,2\n"


async def test_long_texts_come_in_parts(tools: dict[str, Tool], store: SqliteStore, files: FileFolder) -> None:
    await attach(store, files, b"a" * 40_000 + b"b" * 10, "long.txt")
    assert (await use(tools["read_attachment"], file="long.txt"))["parts"] == 2
    assert (await use(tools["read_attachment"], file="long.txt", part=2))["text"] == "b" * 10
    with pytest.raises(ToolFailure, match=r"^This file has 2 parts\.$"):
        await use(tools["read_attachment"], file="long.txt", part=3)


async def test_the_pages_of_a_pdf_are_read_ten_at_a_time(
    tools: dict[str, Tool], store: SqliteStore, files: FileFolder
) -> None:
    await attach(store, files, pdf(*(f"This is page {number}." for number in range(1, 13))), "book.pdf")
    first = await use(tools["read_attachment"], file="book.pdf")
    assert (first["parts"], first["pages"]) == (2, 12)
    assert first["text"].startswith("[page 1]\nThis is page 1.\n\n[page 2]\n")
    second = await use(tools["read_attachment"], file="book.pdf", part=2)
    assert second["text"] == "[page 11]\nThis is page 11.\n\n[page 12]\nThis is page 12."


async def test_a_page_that_is_full_is_cut(tools: dict[str, Tool], store: SqliteStore, files: FileFolder) -> None:
    await attach(store, files, pdf("x" * 50_000, "never"), "full.pdf")
    text = (await use(tools["read_attachment"], file="full.pdf"))["text"]
    assert text.endswith("x\n[cut off here]")
    assert len(text) < 41_000


UNREADABLE = {
    "damaged": (b"%PDF-1.4\nnothing more", "This PDF cannot be read: it is damaged."),
    "cut": (pdf("one", "two")[:300], "This PDF cannot be read: it is damaged."),
    "picture": (b"\x89PNG\r\n\x1a\n", "This file is neither a text nor a PDF."),
    "bytes": (b"\x00\x01\xff", "This file is neither a text nor a PDF."),
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_what_has_no_text_says_so(
    tools: dict[str, Tool], store: SqliteStore, files: FileFolder, case: str
) -> None:
    content, sentence = UNREADABLE[case]
    await attach(store, files, content, "file")
    with pytest.raises(ToolFailure) as raised:
        await use(tools["read_attachment"], file="file")
    assert str(raised.value) == sentence


async def test_only_files_of_the_conversation_at_hand_are_read(
    tools: dict[str, Tool], store: SqliteStore, files: FileFolder
) -> None:
    elsewhere = await attach(store, files, b"a secret", "secret.txt", block_id="b2")
    loose = await files.put(b"not attached at all")
    await attach(store, files, b"mine", "mine.txt")
    for name in ("secret.txt", elsewhere, loose, "../palaver.db", "nothing"):
        with pytest.raises(ToolFailure, match=r"^No such file is attached to this conversation\."):
            await use(tools["read_attachment"], file=name)
