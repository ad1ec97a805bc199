"""What the page costs in headless Chromium: conversations of 10 and of 2,000 messages, answers of three kinds.

Milliseconds are those that the main thread computes, not those that pass: others on the machine count little.
"""

from __future__ import annotations

import importlib.util
import json
import urllib.request
from collections.abc import Callable
from typing import Any

from bench import machine
from bench.plan import Plan
from bench.servers import Process, server
from bench.ways import PAGE_PRESET
from scripts.machine import find_chromium

LENGTHS = (10, 2_000)
"""Messages of a conversation."""
KINDS = {"prose": "paced-480-60", "code": "code-500-60", "table": "table-200-60"}
"""The model of each kind of answer: words; 5,000 lines of code; 2,000 rows."""
PATIENCE = 60_000
REST = 500
"""Milliseconds that an opened page gets for what it does by itself."""
FLUSHES = 10
"""Of an answer, before the measured ones."""

_ARGUMENTS = ("--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking")
_ANSWER = """Here is **what I think**.

- first
- second

```python
print("hello")
```

| a | b |
|---|---|
| 1 | 2 |
"""
_WATCH = """
window.seen = { flushes: 0, longest: 0, shift: 0 };
addEventListener("htmx:sse:before:message", () => { seen.flushes += 1; });
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) seen.longest = Math.max(seen.longest, duration);
}).observe({ type: "longtask", buffered: true });
new PerformanceObserver((list) => {
  for (const { value } of list.getEntries()) seen.shift += value;
}).observe({ type: "layout-shift", buffered: true });
"""


def page(plan: Plan, service: Process, tell: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """Figures by the length of the conversation, the least of so many rounds; none where there is no Chromium."""
    if importlib.util.find_spec("playwright") is None or (chromium := find_chromium()) is None:
        tell("Playwright or Chromium is not installed: what the page costs in a browser is left out.")
        return {}
    from playwright.sync_api import sync_playwright

    found: dict[str, dict[str, float]] = {}
    with server("palaver", service) as process, machine.pinned(machine.LOAD_CORES), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        url = f"http://127.0.0.1:{process.port}"
        for length in LENGTHS:
            rounds = [
                {name: value for kind in KINDS for name, value in _measured(browser, url, length, kind, number).items()}
                for number in range(plan.rounds)
            ]
            found[str(length)] = {name: round(min(each[name] for each in rounds), 2) for name in rounds[0]}
            tell(f"{length:,} messages: {found[str(length)]}")
        browser.close()
    return found


def _measured(browser: Any, url: str, length: int, kind: str, number: int) -> dict[str, float]:
    """One visit: what opening costs, and a flush of an answer."""
    block = f"{kind}-{length}-{number}"
    _save(url, block, length)
    _ask(f"{url}/api/ai/blocks/{block}", {"ai:preset": PAGE_PRESET, "ai:model": KINDS[kind]}, "PATCH")
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(_WATCH)
    visit = context.new_page()
    session = context.new_cdp_session(visit)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    html = visit.goto(f"{url}/c/{block}").body()
    visit.wait_for_timeout(REST)
    opened, longest = _computed(session), visit.evaluate("seen.longest")
    visit.locator("#text").fill("Go on")
    visit.locator("#composer-action button").click()
    while visit.evaluate("seen.flushes") < FLUSHES:
        visit.wait_for_timeout(50)
    before, flushes = _computed(session), visit.evaluate("seen.flushes")
    visit.locator("#composer-action .send:not(.stop)").wait_for(timeout=PATIENCE)
    after, seen = _computed(session), visit.evaluate("seen")
    context.close()
    return {
        "kilobytes": len(html) / 1024,
        "open": opened,
        "longest": longest,
        kind: (after - before) / (seen["flushes"] - flushes),
        "shift": seen["shift"],
    }


def _computed(session: Any) -> float:
    """Milliseconds that the main thread has computed so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(metric["value"]) * 1000 for metric in metrics if metric["name"] == "TaskDuration")


def _save(url: str, block: str, length: int) -> None:
    messages = [
        {
            "id": f"{block}-{number}",
            "role": "assistant" if number % 2 else "user",
            "parts": [{"type": "text", "text": _ANSWER if number % 2 else f"Question {number}?"}],
        }
        for number in range(length)
    ]
    _ask(f"{url}/api/ai/conversations/{block}", {"messages": messages}, "POST")


def _ask(url: str, body: object, method: str) -> None:
    data, headers = json.dumps(body).encode(), {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
        answer.read()
