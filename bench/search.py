"""What a search costs in a big store: `python -m bench.search [messages]` makes one and measures."""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from app.core.messages import UIMessage
from app.storage.sqlite import SqliteStore, open_store

MESSAGES = 100_000
IN_EACH = 20
"""Messages of one conversation."""
WORDS = 90
"""Of one message."""
ROUNDS = 20


def vocabulary(chance: random.Random) -> list[str]:
    """Words as languages have them: the first are said in nearly every message, most of them hardly ever."""
    return ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(30_000)]


async def fill(store: SqliteStore, words: list[str], chance: random.Random, messages: int) -> None:
    weights = list(accumulate(1 / (rank + 1) for rank in range(len(words))))
    for number in range(messages // IN_EACH):
        said = [" ".join(chance.choices(words, cum_weights=weights, k=WORDS)) for _ in range(IN_EACH)]
        history = [
            UIMessage.model_validate(
                {"id": f"m{i}", "role": ("user", "assistant")[i % 2], "parts": [{"type": "text", "text": text}]}
            )
            for i, text in enumerate(said)
        ]
        await store.save(f"chat-{number}", history, placement="merge")


async def measure(store: SqliteStore, name: str, query: str) -> None:
    took = []
    found = 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = len((await store.page(query=query)).items)
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    print(f"{name:28} {found:3} found   p50 {statistics.median(took):7.1f} ms   p95 {took[-2]:7.1f} ms", flush=True)


async def main(messages: int) -> None:
    chance = random.Random(1)
    words = vocabulary(chance)
    with tempfile.TemporaryDirectory() as folder:
        store = await open_store(Path(folder) / "palaver.db", now=lambda: datetime.now(UTC))
        await fill(store, words, chance, messages)
        for name, query in (
            ("the list, no search", ""),
            ("a word of every message", words[0]),
            ("a common word", words[20]),
            ("a rare word", words[20_000]),
            ("no such word", "qqqqqqqqqqqq"),
            ("one letter", "a"),
            ("two letters", "ab"),
            ("two common words", f"{words[0]} {words[1]}"),
            ("a common and a rare word", f"{words[0]} {words[20_000]}"),
        ):
            await measure(store, name, query)
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES))
