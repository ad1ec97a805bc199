"""Attachments of a conversation: kept once, named by messages, gone with the last message that names them.

What a client sends inside a message (a `data:` URL) is taken out before anything is stored: the message then says
`/files/<id>`, the same for the same content, so that a message sent again is the message that is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.core.attached import check_attachable
from app.core.conversations import ConversationStore
from app.core.errors import UnsupportedContent
from app.core.files import File, file_id_in, file_id_of, file_url, is_data_url, read_data_url, to_file
from app.core.messages import FilePart, Part, Role, UIMessage
from app.core.ports import Files

log = logging.getLogger(__name__)

MAX_PROMPT_BYTES = 20_000_000
"""Of all files that one model call is given; one that is named twice counts twice."""

ORPHAN_SECONDS = 24 * 3600.0
"""How old a file must be before it counts as left behind: the message that it was uploaded for was never sent, or a
crash came between its writing and that of its message.
"""

CLEANING_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Received:
    """Messages as they may be stored."""

    messages: tuple[UIMessage, ...]
    contents: Mapping[str, bytes]
    """The files that came inside them, by id. Not stored yet."""


class Attachments:
    def __init__(self, files: Files, conversations: ConversationStore) -> None:
        self._files = files
        self._conversations = conversations
        self._held: Counter[str] = Counter()
        """Files that are about to be named by a message that is being saved."""
        self._lock = asyncio.Lock()
        """Nothing is removed while something is put."""

    async def receive(self, messages: Sequence[UIMessage]) -> Received:
        """Check the files in the messages and take them out. Nothing is stored.

        Raises:
            UnsupportedContent: a `data:` URL that is none, or too big; `param` names the part.
        """
        urls = {part.url for _, part in _file_parts(messages)}
        if not urls:
            return Received(tuple(messages), {})
        ours = {url: file_id for url in urls if (file_id := await self._own_file(url)) is not None}
        return await asyncio.to_thread(_take_out, messages, ours)

    async def read(self, messages: Sequence[UIMessage], contents: Mapping[str, bytes]) -> Mapping[str, File]:
        """The files that a model shall get with `messages`; one that is not there is left out. Those of answers come
        last, as far as there is room.

        Raises:
            UnsupportedContent: the user's are too big together.
        """
        files: dict[str, File] = {}
        total = 0
        asked = list(_file_parts(messages, role="user"))
        answered = list(_file_parts(messages, role="assistant"))
        for number, (where, part) in enumerate(asked + answered):
            file_id = file_id_in(part.url)
            file = None if file_id is None else files.get(file_id) or await self._file(file_id, contents)
            if file_id is None or file is None:
                continue  # whoever converts the messages will name it
            total += len(file.data) * 3 // 4
            if total > MAX_PROMPT_BYTES and number >= len(asked):
                break
            if total > MAX_PROMPT_BYTES:
                raise UnsupportedContent(
                    f"The files of this conversation are too big: a model gets at most {MAX_PROMPT_BYTES // 1_000_000} "
                    "MB of them. Start a new conversation.",
                    param=where,
                )
            files[file_id] = file
        return files

    async def _file(self, file_id: str, contents: Mapping[str, bytes]) -> File | None:
        content = contents[file_id] if file_id in contents else await self._files.read(file_id)
        return None if content is None else await asyncio.to_thread(to_file, content)

    @asynccontextmanager
    async def kept(self, messages: Iterable[UIMessage], contents: Mapping[str, bytes]) -> AsyncGenerator[None, None]:
        """Store `contents`, as far as the messages name them. Save the messages inside: until this ends, no file that
        they name is removed.
        """
        named = {file_id for _, part in _file_parts(messages) if (file_id := file_id_in(part.url)) is not None}
        self._held.update(named)
        try:
            if named:
                async with self._lock:
                    for file_id in named & contents.keys():
                        await self._files.put(contents[file_id])
            yield
        finally:
            self.release(named)

    async def keep(self, content: bytes, where: str) -> str:
        """Store a file that a message is going to name; if none ever does, it is removed with what crashes leave
        behind. Its id.

        Raises:
            UnsupportedContent: no model could be given it; `param` is `where`.
        """
        check_attachable(content, where)
        async with self._lock:
            return await self._files.put(content)

    async def hold(self, content: bytes) -> str:
        """Store a file that an answer will name; nothing removes it before it is released. Its id."""
        async with self._lock:
            file_id = await self._files.put(content)
            self._held[file_id] += 1
        return file_id

    def release(self, file_ids: Iterable[str]) -> None:
        for file_id in file_ids:
            self._held[file_id] -= 1
            if not self._held[file_id]:
                del self._held[file_id]

    async def delete_conversation(self, block_id: str) -> bool:
        """Delete it with the files that nothing else names. False where there is no such conversation."""
        named = await self._conversations.file_ids(block_id)
        existed = await self._conversations.delete(block_id)
        await self.remove_unnamed(named)
        return existed

    async def keep_clean(self) -> None:
        """For as long as the server runs."""
        while True:
            await self.remove_orphans()
            await asyncio.sleep(CLEANING_SECONDS)

    async def remove_orphans(self) -> None:
        """What was uploaded and never sent, and what a crash has left behind."""
        try:
            await self.remove_unnamed(await self._files.older_than(ORPHAN_SECONDS))
        except Exception:  # it must not end the task group, and with it every run
            log.exception("orphaned files not removed")

    async def _own_file(self, url: str) -> str | None:
        """The file that the address names. An absolute one may be of any server: it is ours where we have the file."""
        file_id = file_id_in(url)
        if file_id is None or url.startswith("/") or await self._files.find(file_id) is not None:
            return file_id
        return None

    async def remove_unnamed(self, file_ids: AbstractSet[str]) -> None:
        """Remove those of the files that no message names."""
        if not file_ids:
            return
        async with self._lock:
            # In this order: what is let go of meanwhile has been saved, perhaps after the names were read.
            held = set(self._held)
            named = await self._conversations.file_ids()
            await self._files.remove(file_ids - named - held)


def _file_parts(messages: Iterable[UIMessage], *, role: Role | None = None) -> Iterator[tuple[str, FilePart]]:
    """The file parts and their paths; with `role`, only those of its messages."""
    for index, message in enumerate(messages):
        for number, part in enumerate(message.parts):
            if isinstance(part, FilePart) and role in (None, message.role):
                yield f"messages[{index}].parts[{number}]", part


def _take_out(messages: Sequence[UIMessage], ours: Mapping[str, str]) -> Received:
    """`ours`: the addresses that name files of this server, and which."""
    contents: dict[str, bytes] = {}

    def without_content(part: Part, where: str) -> Part:
        if not isinstance(part, FilePart):
            return part
        if is_data_url(part.url):
            content = read_data_url(part.url, where)
            file_id = file_id_of(content)
            contents[file_id] = content
        elif part.url in ours:
            file_id = ours[part.url]
        else:
            return part
        return part.model_copy(update={"url": file_url(file_id)})

    rewritten = []
    for index, message in enumerate(messages):
        parts = tuple(without_content(part, f"messages[{index}].parts[{i}]") for i, part in enumerate(message.parts))
        rewritten.append(message.model_copy(update={"parts": parts}))
    return Received(tuple(rewritten), contents)
