"""Files that a model or a tool makes: kept like attachments, and held until the answer that names them is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.chat.attachments import Attachments
from app.chat.outputs import plain
from app.core.errors import UnsupportedContent
from app.core.events import GeneratedFile
from app.core.files import MAX_FILE_BYTES, file_url, is_data_url, media_type_of, read_data_url
from app.core.tools import ToolFile

MAX_BYTES = 100_000_000
"""Of all files of one run."""

TOO_BIG = f"A file that was made is missing: it has more than {MAX_FILE_BYTES // 1_000_000} MB."
TOO_MUCH = f"A file that was made is missing: an answer may make at most {MAX_BYTES // 1_000_000} MB of files."


class MadeFiles:
    """Of one run. What could not be kept is in `problems`."""

    def __init__(self, attachments: Attachments) -> None:
        self.problems: list[str] = []
        self._attachments = attachments
        self._held: list[str] = []
        self._bytes = 0

    async def keep_generated(self, event: GeneratedFile) -> GeneratedFile | None:
        """The file under an address of ours. None where it cannot be kept."""
        if not is_data_url(event.url):
            return event
        try:
            content = read_data_url(event.url, "file")
        except UnsupportedContent as error:
            self.problems.append(f"A file that the model made is missing. {error.message}")
            return None
        url = await self._keep(content)
        return None if url is None else replace(event, media_type=media_type_of(content), url=url)

    async def keep_output(self, files: Sequence[ToolFile]) -> list[GeneratedFile]:
        kept = []
        for file in files:
            if len(file.content) > MAX_FILE_BYTES:
                self.problems.append(TOO_BIG)
            elif (url := await self._keep(file.content)) is not None:
                name = None if file.filename is None else str(plain(file.filename))
                kept.append(GeneratedFile(media_type_of(file.content), url, filename=name))
        return kept

    def release(self) -> None:
        """The answer is stored, or there is none."""
        self._attachments.release(self._held)
        self._held = []

    async def _keep(self, content: bytes) -> str | None:
        """Its address; None where the run has made too much."""
        if self._bytes + len(content) > MAX_BYTES:
            self.problems.append(TOO_MUCH)
            return None
        self._bytes += len(content)
        file_id = await self._attachments.hold(content)
        self._held.append(file_id)
        return file_url(file_id)
