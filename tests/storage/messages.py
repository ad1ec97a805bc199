"""What the storage tests say to each other."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from app.core.conversations import Conversation, Saved
from app.core.messages import UIMessage
from app.storage.sqlite import SqliteStore
from app.storage.words import spaced

Opened: TypeAlias = Callable[..., Awaitable[SqliteStore]]
"""The fixture `opened`."""


def message(role: str, message_id: str, text: str = "", **more: Any) -> UIMessage:
    return UIMessage.model_validate(
        {"id": message_id, "role": role, "parts": [{"type": "text", "text": text or f"This is {message_id}."}], **more}
    )


def user(message_id: str, text: str = "", **more: Any) -> UIMessage:
    return message("user", message_id, text, **more)


def assistant(message_id: str, text: str = "", **more: Any) -> UIMessage:
    return message("assistant", message_id, text, **more)


def ids(conversation: Conversation | Saved | None) -> list[str]:
    assert conversation is not None
    if isinstance(conversation, Saved):
        return list(conversation.message_ids)
    return [message.id for message in conversation.messages]


async def save_and_load(store: SqliteStore, *what: Any, **how: Any) -> Conversation:
    """What stands there after a save."""
    block_id, *_ = what
    await store.save(*what, **how)
    conversation = await store.load(block_id)
    assert conversation is not None
    return conversation


def connect(path: Path | str) -> sqlite3.Connection:
    """To the file itself, with the function that its triggers call."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.create_function("spaced", 1, spaced, deterministic=True)
    return connection


class Clock:
    """A second later each time it is asked."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time
