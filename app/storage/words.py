"""What counts as a word for the search: what SQLite's tokenizer says, and each character of scripts without spaces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from sqlite3 import Connection

_BREAK = "\u200b"  # zero-width space: between two words for the tokenizer, nothing to the eye

_SCRIPTS_WITHOUT_SPACES = re.compile(
    "[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)

_NO_WORD = re.compile(r"[\s\0\ud800-\udfff]+")


def spaced(text: str) -> str:
    """The text as it is indexed: Thai, Chinese, Japanese and the like with breaks between characters, so that a word
    can be found though nothing says where it begins.
    """
    return text if text.isascii() else _SCRIPTS_WITHOUT_SPACES.sub(rf"{_BREAK}\g<0>{_BREAK}", text)


def match_expression(query: str) -> str:
    """What a user types as an FTS5 expression: all words, the last one perhaps only begun. Empty where there is none.

    One letter is a word of its own: nearly everything begins with it, and it says little.

    Each word is quoted, so nothing in it is syntax.
    """
    words = [word for word in _NO_WORD.split(query) if any(map(str.isalnum, word))]
    if not words:
        return ""
    phrases = ['"' + spaced(word).replace('"', '""') + '"' for word in words]
    is_begun = len(words[-1]) > 1 and words[-1][-1].isalnum()
    return " ".join(phrases) + (" *" if is_begun else "")


def marked_pieces(snippet: str, mark: str) -> Iterator[tuple[str, bool]]:
    """The pieces of a snippet in turn, with whether they were found, from text with `mark` before and behind hits."""
    for index, piece in enumerate(snippet.replace(_BREAK, "").split(mark)):
        if piece:
            yield piece, index % 2 == 1


def forget_words(connection: Connection) -> None:
    """The search only notes that the words of what was deleted are gone; this writes its index anew without them."""
    connection.execute("INSERT INTO search (search) VALUES ('optimize')")
