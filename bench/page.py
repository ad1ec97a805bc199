"""What the page costs in the browser: headless Chromium, conversations of 10 and of 2,000 messages, answers of three kinds.

Milliseconds are those that the main thread computes, not those that pass: others on the machine count little.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from bench import machine
from bench.plan import Plan
from bench.servers import Process, server
from scripts.machine import find_chromium

SHORT, LONG = 10, 2_000
PER_SECOND = 60
SECONDS = 4
KINDS = {"prose": f"paced-{PER_SECOND * SECONDS * 3}-{PER_SECOND}"}
ARGUMENTS = ("--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking")
WATCH = """() => {
    window.flushes = 0;
    window.longest = 0;
    addEventListener("htmx:sse:before:message", () => { flushes += 1; });
    new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
    }).observe({ type: "longtask" });
}"""
ANSWER = "Here is **what I think**.\n\n- first\n- second\n\n```python\nprint('hello')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
