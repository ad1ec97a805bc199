"""Runs every test: those of the code, then those in the browser. Fails if even one was skipped.

Two processes, because Playwright's synchronous interface and anyio both want to own the event loop.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from scripts.machine import prepare

LANES = ("tests", "e2e")
LANE_SECONDS = 1800
"""After which a lane hangs, such as at its exit on a thread that a failed test left behind."""


def run(lane: str, report: Path) -> Counter[str]:
    """Run one folder of tests with pytest.

    Returns:
        how many passed, failed and were skipped; a lane that broke before its tests has failed once.
    """
    print(f"== pytest {lane}", flush=True)
    command = [sys.executable, "-m", "pytest", lane, f"--junit-xml={report}"]
    try:
        exit_code = subprocess.call(command, timeout=LANE_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"pytest {lane} did not end within {LANE_SECONDS} seconds", flush=True)
        exit_code = 1
    if not report.exists():
        return Counter(failed=1)
    suite = ElementTree.parse(report).getroot()[0]
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    skipped = int(suite.attrib["skipped"])
    passed = int(suite.attrib["tests"]) - failed - skipped
    return Counter(passed=passed, skipped=skipped, failed=failed or int(exit_code != 0))


def main() -> int:
    prepare()
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for lane in LANES:
            total += run(lane, Path(folder, f"{lane}.xml"))
    if total["skipped"]:
        print("\nA skipped test is a failure here: what it needs must be installed. Its reason stands above.")
    print(f"\nTotal: {total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return int(total["failed"] > 0 or total["skipped"] > 0 or total["passed"] == 0)


if __name__ == "__main__":
    sys.exit(main())
