"""Which attachments the messages name: what nothing names any more may go."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.storage.database import Database

_NAMED = re.compile(r"/files/([0-9a-f]{64})")


async def read_file_ids(database: Database, block_id: str | None) -> frozenset[str]:
    """Of one conversation or of all. A mention in a text counts too: a picture in an answer is one. So does a share:
    it shows what was said when it was made, also after a message was deleted.
    """
    of_one = "" if block_id is None else " AND block_id = :block_id"
    rows = await database.read(
        f"SELECT body FROM messages WHERE instr(body, '/files/') > 0{of_one}"  # noqa: S608
        f" UNION ALL SELECT messages FROM shares WHERE instr(messages, '/files/') > 0{of_one}",
        {"block_id": block_id},
    )
    return named_files(body for (body,) in rows)


def named_files(bodies: Iterable[str]) -> frozenset[str]:
    return frozenset(file_id for body in bodies for file_id in _NAMED.findall(body))
