"""The tool calls of one conversation while a turn is made: what is recorded, before anything is run or told."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from app.core.errors import AppError
from app.core.ports import ToolLedger
from app.core.tools import CallState, ToolRecord

log = logging.getLogger(__name__)

MOST_BLOCKS = 500
MOST_CALLS = 500
"""Of temporary conversations that are remembered, and of the calls of each."""
MOST_CHARACTERS = 50_000_000
"""Of the arguments and outputs of all temporary conversations but the last."""


class CallBook:
    """The records as this turn knows them. One that cannot be written after its call goes with the next that can."""

    def __init__(self, ledger: ToolLedger, block_id: str, records: Mapping[str, ToolRecord]) -> None:
        """`records`: what is known already, by call id."""
        self.block_id = block_id
        self.records = dict(records)
        self._ledger = ledger
        self._unwritten: dict[str, ToolRecord] = {}

    async def put(self, records: Sequence[ToolRecord]) -> None:
        """Raises StorageUnavailable: nothing is recorded, so nothing may happen."""
        if records:
            await self._ledger.put(self.block_id, [*self._unwritten.values(), *records])
            self._unwritten.clear()
            self.records.update((record.tool_call_id, record) for record in records)

    async def settle(self, records: Sequence[ToolRecord]) -> None:
        """Note what has become of calls: that has happened, whatever the ledger does."""
        self.records.update((record.tool_call_id, record) for record in records)
        self._unwritten.update((record.tool_call_id, record) for record in records)
        try:
            await self._ledger.put(self.block_id, list(self._unwritten.values()))
        except AppError as error:
            log.warning("tool result not recorded", extra={"block_id": self.block_id, "code": error.code})
        else:
            self._unwritten.clear()

    async def change(self, record: ToolRecord, *, when: CallState) -> bool:
        """Write `record` if the call's state is still `when`."""
        if await self._ledger.change(self.block_id, record, when=when):
            self.records[record.tool_call_id] = record
            return True
        return False


class TemporaryLedger:
    """Implements `core.ports.ToolLedger` for conversations that are not stored. The oldest are forgotten."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[str, OrderedDict[str, ToolRecord]] = OrderedDict()
        self._characters = 0

    async def records(self, block_id: str) -> Mapping[str, ToolRecord]:
        return dict(self._blocks.get(block_id, {}))

    async def put(self, block_id: str, records: Sequence[ToolRecord]) -> None:
        calls = self._blocks.setdefault(block_id, OrderedDict())
        self._blocks.move_to_end(block_id)
        new = {record.tool_call_id: record for record in records}
        gone = [calls[call_id] for call_id in new if call_id in calls]
        calls.update(new)
        gone += [calls.popitem(last=False)[1] for _ in range(len(calls) - MOST_CALLS)]
        self._characters += _characters(new.values()) - _characters(gone)
        while len(self._blocks) > MOST_BLOCKS or (self._characters > MOST_CHARACTERS and len(self._blocks) > 1):
            _, oldest = self._blocks.popitem(last=False)
            self._characters -= _characters(oldest.values())

    async def change(self, block_id: str, record: ToolRecord, *, when: CallState) -> bool:
        known = (await self.records(block_id)).get(record.tool_call_id)
        if known is None or known.state != when:
            return False
        await self.put(block_id, [record])
        return True


def _characters(records: Iterable[ToolRecord]) -> int:
    return sum(len(repr(record.input)) + len(repr(record.output)) for record in records)
