"""Which files are named by messages, of any branch, of one conversation or of all."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.messages import UIMessage
from app.storage.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def asking(message_id: str, *file_ids: str, text: str = "look") -> UIMessage:
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    parts += [{"type": "file", "mediaType": "image/png", "url": f"/files/{file_id}"} for file_id in file_ids]
    return UIMessage.model_validate({"id": message_id, "role": "user", "parts": parts})


async def test_each_conversation_has_its_files(store: SqliteStore) -> None:
    await store.save("one", [asking("m1", A, B)], placement="branch")
    await store.save("two", [asking("m1", B), asking("m2", C)], placement="branch")
    await store.save("none", [asking("m1", text="about /files/ in general")], placement="branch")
    assert await store.file_ids("one") == {A, B}
    assert await store.file_ids("two") == {B, C}
    assert await store.file_ids("none") == await store.file_ids("unknown") == frozenset()
    assert await store.file_ids() == {A, B, C}


async def test_an_edit_does_not_let_go_of_the_file_of_the_older_version(store: SqliteStore) -> None:
    await store.save("one", [asking("m1", A)], placement="branch")
    await store.save("one", [asking("m1", B)], placement="branch")
    assert await store.file_ids("one") == {A, B}


async def test_a_picture_in_a_text_is_named_too(store: SqliteStore) -> None:
    await store.save("one", [asking("m1", text=f"![a picture](/files/{A})")], placement="branch")
    assert await store.file_ids("one") == {A}


async def test_what_is_deleted_names_nothing(store: SqliteStore) -> None:
    await store.save("one", [asking("m1", A)], placement="branch")
    await store.delete("one")
    assert await store.file_ids() == frozenset()
