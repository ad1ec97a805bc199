"""The tool calls of conversations: `core.ports.ToolLedger` over SQLite. They go with their conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import Any

from app.core.messages import ProviderMetadata
from app.core.tools import CallState, ToolRecord
from app.storage.database import Database, Row
from app.storage.drafts import storable

_COLUMNS = (
    "tool_call_id, message_id, tool_name, runs, state, approval_id, error_text, dynamic, call_metadata,"
    " result_metadata, input, output"
)

_READ = f"SELECT {_COLUMNS} FROM tool_calls WHERE block_id = :block_id"  # noqa: S608  # a constant

# A conversation that was deleted meanwhile does not come back.
_PUT = f"""
INSERT INTO tool_calls (block_id, {_COLUMNS})
SELECT block_id, :tool_call_id, :message_id, :tool_name, :runs, :state, :approval_id, :error_text, :dynamic,
  :call_metadata, :result_metadata, :input, :output
FROM conversations WHERE block_id = :block_id
ON CONFLICT (block_id, tool_call_id) DO UPDATE SET
  state = excluded.state, approval_id = excluded.approval_id, error_text = excluded.error_text,
  result_metadata = excluded.result_metadata, output = excluded.output
"""  # noqa: S608  # a constant

_CHANGE = """
UPDATE tool_calls SET state = :state, error_text = :error_text, result_metadata = :result_metadata, output = :output
WHERE block_id = :block_id AND tool_call_id = :tool_call_id AND state = :when
RETURNING state
"""

_COPY = f"""
INSERT INTO tool_calls (block_id, {_COLUMNS})
SELECT :new_block_id, {_COLUMNS} FROM tool_calls
WHERE block_id = :block_id
  AND message_id IN (SELECT id FROM messages WHERE block_id = :new_block_id)
ON CONFLICT (block_id, tool_call_id) DO NOTHING
"""  # noqa: S608  # a constant


class SqliteToolLedger:
    """Implements `core.ports.ToolLedger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def records(self, block_id: str) -> Mapping[str, ToolRecord]:
        rows = await self._database.read(_READ, {"block_id": block_id})
        return {record.tool_call_id: record for record in map(_to_record, rows)}

    async def put(self, block_id: str, records: Sequence[ToolRecord]) -> None:
        """As the port says. The name and the arguments of a call stay what they were when it was first written."""
        values = [_to_values(block_id, record) for record in records]

        def put(connection: Connection) -> None:
            connection.executemany(_PUT, values)

        await self._database.write(put)

    async def change(self, block_id: str, record: ToolRecord, *, when: CallState) -> bool:
        values = {**_to_values(block_id, record), "when": when}

        def change(connection: Connection) -> bool:
            return bool(list(connection.execute(_CHANGE, values)))

        return await self._database.write(change)


def copy_calls(connection: Connection, block_id: str, new_block_id: str) -> None:
    """Give a fork, whose messages are there already, the calls that stand in them."""
    connection.execute(_COPY, {"block_id": block_id, "new_block_id": new_block_id})


def _to_values(block_id: str, record: ToolRecord) -> dict[str, Any]:
    return {
        "block_id": block_id,
        "tool_call_id": record.tool_call_id,
        "message_id": record.message_id,
        "tool_name": storable(record.tool_name),
        "runs": record.runs,
        "state": record.state,
        "approval_id": record.approval_id,
        "error_text": None if record.error_text is None else storable(record.error_text),
        "dynamic": record.dynamic,
        "call_metadata": _dump_metadata(record.call_metadata),
        "result_metadata": _dump_metadata(record.result_metadata),
        "input": json.dumps(record.input),
        "output": json.dumps(record.output),
    }


def _to_record(row: Row) -> ToolRecord:
    call_id, message_id, tool_name, runs, state, approval_id, error_text, dynamic, *rest = row
    call_metadata, result_metadata, value, output = (None if text is None else json.loads(text) for text in rest)
    return ToolRecord(
        tool_call_id=call_id,
        message_id=message_id,
        tool_name=tool_name,
        input=value,
        runs=runs,
        state=state,
        approval_id=approval_id,
        output=output,
        error_text=error_text,
        dynamic=bool(dynamic),
        call_metadata=call_metadata,
        result_metadata=result_metadata,
    )


def _dump_metadata(metadata: ProviderMetadata | None) -> str | None:
    return None if metadata is None else json.dumps(metadata)
