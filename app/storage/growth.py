"""What answers in flight have said since they were last written as a whole: added piece by piece, put together only
after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Connection

from app.core.messages import UIMessage
from app.core.said import Growth, from_row, grown, to_row
from app.storage.drafts import storable

_PUT = """
INSERT INTO growth (row, said)
SELECT row, :said FROM messages WHERE block_id = :block_id AND id = :id AND status = 'streaming'
"""


def put_growth(connection: Connection, growths: Sequence[Growth]) -> None:
    """Of an answer that is not in flight any more nothing is kept."""
    connection.executemany(
        _PUT,
        [
            {
                "block_id": growth.block_id,
                "id": growth.message_id,
                "said": storable(json.dumps(to_row(growth.said), ensure_ascii=False, separators=(",", ":"))),
            }
            for growth in growths
        ],
    )


def forget_growth(connection: Connection, row: int) -> None:
    """The answer in this row has been written as a whole."""
    connection.execute("DELETE FROM growth WHERE row = :row", {"row": row})


def with_growth(connection: Connection, row: int, message: UIMessage) -> UIMessage:
    """The answer in this row with everything that it has said."""
    rows = connection.execute("SELECT said FROM growth WHERE row = :row ORDER BY number", {"row": row}).fetchall()
    return grown(message, [piece for (said,) in rows for piece in from_row(json.loads(said))]) if rows else message
