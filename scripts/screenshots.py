"""Makes the pictures of `docs/screenshots`: a real server with conversations that look like a week's, in Chromium.

Run by hand (`make screenshots`) when the page looks different; the pictures are part of the repository.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from app.core.events import Usage
from app.core.usage import UsageEntry
from app.storage.sqlite import open_store
from app.storage.usage import SqliteUsageLedger
from scripts.machine import find_chromium
from tests.server_process import ROOT, server_process
from tests.upstream import Upstream

FOLDER = ROOT / "docs" / "screenshots"
MOST_BYTES = 150_000
WIDE: ViewportSize = {"width": 1200, "height": 880}
NARROW: ViewportSize = {"width": 390, "height": 844}

CONFIG = """
[settings]
"ai:preset" = "claude"

[presets.claude]
provider = "anthropic"
base_url = "{upstream}"
api_key_env = "A_KEY"
model = "claude-sonnet-5-5"
title = "Claude"
description = "For most things."
system = "Answer briefly, and say when you are not sure."
temperature = 0.4
tools = ["*"]

[presets.local]
provider = "llamacpp"
base_url = "{upstream}/v1"
model = "qwen3-32b"
title = "Qwen, on the workstation"

[presets.echo]
provider = "echo"
title = "Echo"
tools = ["*"]
"""

QUESTION = "My uploads fail now and then with a 503. How do I retry them without making things worse?"

THOUGHT = "They want retries that do not pile up on a service that is busy already: backoff, jitter, a limit."

ANSWER = """\
Wait longer after each failure, add some chance so that clients do not come back all at once, and stop after a few
attempts. Retry only what can succeed the next time:

| Status | Retry? | Why |
| --- | :-: | --- |
| `429`, `503` | yes | busy; honour `Retry-After` |
| `400`, `401`, `404` | no | the answer will stay the same |

```python
for attempt in range(attempts):
    try:
        return await upload(file, id=file.hash)
    except Busy as busy:
        pause = busy.retry_after or 0.5 * 2**attempt
        await asyncio.sleep(pause * random.uniform(0.5, 1))
```

An upload must also be **safe to send twice**: give each one an id that the server remembers.
"""

OTHERS = (
    ("A plan for a small garden", 0, False),
    ("Translate the release notes", 1, False),
    ("House rules", 3, True),
    ("What TLS keeps private", 3, False),
    ("Names for a sourdough starter", 4, False),
    ("Regular expressions, explained", 9, False),
    ("A week in Lisbon", 12, False),
    ("Monolith or services?", 20, False),
)
MODELS = (("claude", "anthropic", "claude-sonnet-5-5", 1.0), ("local", "llamacpp", "qwen3-32b", 0.6))


def call(url: str, method: str, body: object) -> Any:
    request = Request(url, json.dumps(body).encode(), {"content-type": "application/json"}, method=method)
    with urlopen(request) as answer:
        return json.load(answer)


def said(role: str, number: int, *parts: dict[str, str], **metadata: object) -> dict[str, Any]:
    message = {"id": f"{role}-{number}", "role": role, "parts": list(parts)}
    return {**message, "metadata": metadata} if metadata else message


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def store_conversations(url: str) -> str:
    """The conversations of the pictures; the block id of the one that is shown."""
    now = datetime.now(UTC)
    for number, (title, days, is_pinned) in enumerate(OTHERS):
        at = (now - timedelta(days=days, minutes=5 * number + 5)).isoformat()
        messages = [said("user", 1, text(title)), said("assistant", 1, text(f"About {title}."))]
        conversation = {"id": f"other-{number}", "title": title, "messages": messages}
        conversation |= {"createdAt": at, "updatedAt": at}
        call(f"{url}/api/ai/conversations/import", "POST", {"palaver": 1, "conversation": conversation})
        if is_pinned:
            call(f"{url}/api/ai/blocks/other-{number}", "PATCH", {"pinned": True})
    usage = {"inputTokens": 612, "cachedInputTokens": 480, "outputTokens": 431}
    answer = said(
        "assistant",
        1,
        {"type": "reasoning", "text": THOUGHT},
        text(ANSWER),
        {"type": "source-url", "sourceId": "1", "url": "https://www.rfc-editor.org/rfc/rfc9110", "title": "RFC 9110"},
        model="claude-sonnet-5-5",
        usage=usage,
        durationMs=6_200,
        costUsd=0.0071,
    )
    body = {"messages": [said("user", 1, text(QUESTION)), answer]}
    call(f"{url}/api/ai/conversations/uploads", "POST", body)
    call(f"{url}/api/ai/blocks/uploads", "PATCH", {"title": "Retries for uploads"})
    return "uploads"


async def store_usage(folder: Path) -> None:
    """What two models used in the last month, less at weekends."""
    now = datetime.now(UTC)
    store = await open_store(folder / "palaver.db", now=lambda: now)
    ledger = SqliteUsageLedger(store.database)
    for days in range(30):
        day = now - timedelta(days=days)
        busy = (0.3 if day.weekday() > 4 else 1.0) * (0.6 + 0.4 * ((days * 7) % 5) / 4)
        for preset, provider, model, share in MODELS:
            tokens = int(40_000 * busy * share)
            used = Usage(tokens, tokens // 6, None, tokens // 2 if preset == "claude" else None, None)
            cost = tokens * 4e-6 if preset == "claude" else None
            at = day.isoformat()
            await ledger.add(UsageEntry(at, None, None, preset, provider, model, "chat", used, cost))
    await store.close()


@contextmanager
def a_week_of_use() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name, Upstream(models=("claude-sonnet-5-5", "qwen3-32b")) as upstream:
        folder = Path(name)
        folder.joinpath("data").mkdir()
        with ThreadPoolExecutor() as elsewhere:  # the browser's loop runs in this thread
            elsewhere.submit(asyncio.run, store_usage(folder / "data")).result()
        config = CONFIG.format(upstream=upstream.url)
        with server_process(folder, config=config, environment={"A_KEY": "not-a-key"}) as server:
            yield server.url


def shrink(png: bytes) -> bytes:
    """The same picture, packed as tightly as zlib can."""
    chunks, at, data = [], 8, b""
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += size + 12
        if kind == b"IDAT":
            data += content
        else:
            chunks.append((kind, content))
    chunks.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(data), 9)))
    packed = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return png[:8] + b"".join(packed)


def keep(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")
    picture = shrink(page.screenshot(animations="disabled", caret="hide"))
    (FOLDER / f"{name}.png").write_bytes(picture)
    print(f"{name}.png {len(picture) // 1000} KB" + (" is too big" if len(picture) > MOST_BYTES else ""))


def take(browser: Browser, url: str, block: str) -> None:
    page = browser.new_page(viewport=WIDE, reduced_motion="reduce", color_scheme="light")
    page.goto(f"{url}/c/{block}")
    page.locator("#conversation-title").click()  # out of the box
    keep(page, "chat-light")
    page.emulate_media(color_scheme="dark")
    keep(page, "chat-dark")
    page.keyboard.press("Control+k")
    page.locator("#palette [role=option]").first.wait_for()
    keep(page, "palette")
    page.keyboard.press("Escape")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1040, "height": 760})
    page.locator("#to-settings").click()
    page.get_by_text("Why: each value").click()
    page.locator("#settings-panel summary", has_text="Why").evaluate(
        "summary => summary.scrollIntoView({ block: 'start' })"
    )
    keep(page, "block-settings")
    page.keyboard.press("Escape")
    page.set_viewport_size(WIDE)
    page.locator("#to-options").click()
    page.get_by_role("menuitem", name="Share").click()
    page.get_by_role("button", name="Create a link").click()
    page.get_by_label("Link 1").wait_for()
    keep(page, "share")
    page.request.post(f"{url}/templates/examples", headers={"origin": url})
    page.goto(f"{url}/templates/explain")
    keep(page, "templates")
    page.goto(f"{url}/usage")
    keep(page, "usage")
    page.goto(f"{url}/settings?check=true")
    keep(page, "settings")
    page.set_viewport_size(NARROW)
    page.goto(f"{url}/?preset=echo")
    page.get_by_label("Message", exact=True).fill("approve")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Approve").wait_for()
    page.emulate_media(color_scheme="dark")
    keep(page, "narrow")


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with a_week_of_use() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--disable-gpu"])
        take(browser, url, store_conversations(url))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
