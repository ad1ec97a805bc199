"""What a block id looks like: the name of a conversation in URLs, in the database and in exports."""

from __future__ import annotations

import re

_BLOCK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")


def is_block_id(text: str) -> bool:
    return _BLOCK_ID.fullmatch(text) is not None
