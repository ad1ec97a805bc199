"""Running tools: all calls of a step at once, each with a deadline and a limit to what it may give back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

from app.chat.ledger import CallBook
from app.chat.made_files import MadeFiles
from app.chat.outputs import limited, plain
from app.core.events import SourceUrl, StreamEvent, ToolOutputAvailable, ToolOutputError
from app.core.tools import CANCELLED, Tool, ToolContext, ToolFailure, ToolOutput, ToolRecord, ToolSource

log = logging.getLogger(__name__)

GRACE_SECONDS = 1.0
"""For a tool that is told to stop; then it is left alone."""
MAX_PRELIMINARY = 1_000_000
"""Characters of preliminary outputs of one call that are shown; after that only the last output is."""
MOST_SOURCES = 20
"""Of one output; so many files, too."""

_CHUNK = 100
"""Characters that it takes to show nothing."""

FAILED = "The tool failed."
NOT_JSON = "The tool gave back something that is not JSON."

Tell = Callable[[Sequence[StreamEvent]], None]


async def run_calls(
    calls: Sequence[tuple[ToolRecord, Tool]], book: CallBook, files: MadeFiles
) -> AsyncGenerator[Sequence[StreamEvent], None]:
    """Yield what comes of the calls as it comes; each is recorded before it is told. No call fails the turn.

    Closing the generator cancels what still runs and records that.
    """
    heard: asyncio.Queue[Sequence[StreamEvent] | None] = asyncio.Queue()
    tasks = [asyncio.create_task(_run(record, tool, book, files, heard.put_nowait)) for record, tool in calls]
    for task in tasks:
        task.add_done_callback(lambda _: heard.put_nowait(None))
    try:
        running = len(tasks)
        while running:
            events = await heard.get()
            if events is None:
                running -= 1
            else:
                yield events
        await asyncio.gather(*tasks)
    finally:
        await _end(tasks)
        unsettled = [book.records[record.tool_call_id] for record, _ in calls]
        cancelled = [
            record.settled("failed", error_text=CANCELLED) for record in unsettled if record.state == "running"
        ]
        if cancelled:
            await book.settle(cancelled)


async def _run(record: ToolRecord, tool: Tool, book: CallBook, files: MadeFiles, tell: Tell) -> None:
    """One call, to its end."""
    try:
        output = await _within(tool, record, book.block_id, tell)
        made = [*await files.keep_output(output.files[:MOST_SOURCES]), *_sources(record, output)]
    except ToolFailure as failure:
        await _fail(record, str(failure) or FAILED, book, tell)
    except Exception:
        log.exception("tool failed", extra={"tool": record.tool_name, "block_id": book.block_id})
        await _fail(record, FAILED, book, tell)
    else:
        await book.settle([record.settled("done", output=output.value)])
        tell([ToolOutputAvailable(record.tool_call_id, output.value, record.dynamic), *made])


def _sources(record: ToolRecord, output: ToolOutput) -> list[StreamEvent]:
    return [
        SourceUrl(f"{record.tool_call_id}-{number}", str(plain(source.url)), _title(source))
        for number, source in enumerate(output.sources[:MOST_SOURCES])
    ]


def _title(source: ToolSource) -> str | None:
    """A tool of one's own may say anything; what is no text here could not be stored, and the answer with it."""
    return None if source.title is None else str(plain(source.title))


async def _fail(record: ToolRecord, text: str, book: CallBook, tell: Tell) -> None:
    text = limited(plain(text))
    await book.settle([record.settled("failed", error_text=text)])
    tell([ToolOutputError(record.tool_call_id, text, record.dynamic)])


async def _within(tool: Tool, record: ToolRecord, block_id: str, tell: Tell) -> ToolOutput:
    """The output, if it comes in time. A tool that does not stop when it is told to is not waited for."""
    call = asyncio.create_task(_guarded(tool, record, block_id, tell))
    try:
        await asyncio.wait([call], timeout=tool.timeout)
        if not call.done():
            log.warning("tool took too long", extra={"tool": record.tool_name, "block_id": block_id})
            raise ToolFailure(f"The tool did not answer within {tool.timeout:g} seconds.")
        if call.cancelled():
            raise ToolFailure(FAILED)
        return call.result()
    finally:
        await _end([call])


async def _guarded(tool: Tool, record: ToolRecord, block_id: str, tell: Tell) -> ToolOutput:
    """Whatever a tool raises is a failure of that call: `SystemExit` and its like would end the server."""
    try:
        return await _call(tool, record, block_id, tell)
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:
        raise RuntimeError(type(error).__name__) from error


async def _call(tool: Tool, record: ToolRecord, block_id: str, tell: Tell) -> ToolOutput:
    assert tool.execute is not None, "a client's tool is not run here"
    made = tool.execute(record.input, ToolContext(block_id, record.tool_call_id))
    if not isinstance(made, AsyncIterator):
        return _output(await made)
    last: ToolOutput | None = None
    shown = 0
    async for item in made:
        last = _output(item)
        shown += len(str(last.value)) + _CHUNK
        if shown <= MAX_PRELIMINARY:
            tell([ToolOutputAvailable(record.tool_call_id, last.value, record.dynamic, preliminary=True)])
        await asyncio.sleep(0)  # a generator that waits for nothing would stop everybody
    if last is None:
        raise ToolFailure("The tool gave back nothing.")
    return last


def _output(made: Any) -> ToolOutput:
    output = made if isinstance(made, ToolOutput) else ToolOutput(made)
    try:
        value = limited(plain(output.value))
    except ValueError:
        raise ToolFailure(NOT_JSON) from None
    return ToolOutput(value, output.files, output.sources)


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
        task.add_done_callback(_forget)
    if running:
        await asyncio.wait(running, timeout=GRACE_SECONDS)


def _forget(task: asyncio.Task[Any]) -> None:
    """Look at how it ended, so that asyncio does not complain that nobody did."""
    if not task.cancelled():
        task.exception()
