"""What an answer is based on, as a numbered list: each address once, and what its marks such as `[1]` mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit

from app.core.messages import Part, SourceDocumentPart, SourceUrlPart, UIMessage
from app.wire.surroundings import Surroundings
from app.wire.transcript import element_id


@dataclass(frozen=True, slots=True)
class Source:
    number: int
    url: str
    """Empty for a document."""
    title: str
    host: str


class Sources:
    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self.listed: list[Source] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._marks: list[int] = []
        for part in parts:
            if isinstance(part, SourceUrlPart):
                self.add(part.url, part.title or "")
            elif isinstance(part, SourceDocumentPart):
                self.add("", part.title)

    @property
    def marks(self) -> tuple[int, ...]:
        """The number of what a service called its first source, its second, …; 0 for one that is not listed."""
        return tuple(self._marks)

    def add(self, url: str, title: str) -> Source | None:
        """The source, if the list has not got it yet."""
        key = (url.rstrip("/"), "" if url else title)
        if (number := self._numbers.get(key)) is not None:
            self._marks.append(number)
            return None
        host = _host(url)
        if not (host or (title and not url)):
            self._marks.append(0)
            return None
        source = Source(len(self.listed) + 1, url, title or host, host)
        self._numbers[key] = source.number
        self._marks.append(source.number)
        self.listed.append(source)
        return source


def surroundings(message: UIMessage) -> Callable[[], Surroundings]:
    """Where the texts of a message stand, one after the other."""
    numbers, element, marks = count(1), element_id(message.id), Sources(message.parts).marks
    return lambda: Surroundings(element, next(numbers), marks)


def _host(url: str) -> str:
    """Empty where it is no address that a link may lead to."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return (parts.hostname or "").removeprefix("www.") if parts.scheme in ("http", "https") else ""
