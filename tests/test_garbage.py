"""Cycles are collected when there are many of them, and once a minute; not by Python as it likes."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc, weakref
from app.garbage import MANY, MIDDLE, SECONDS, YOUNG, Collector

class Node:
    pass

def old_cycle():
    node = Node()
    node.self = node
    gc.collect(0), gc.collect(1)  # it has outlived two looks, as what a long stream holds has
    return weakref.ref(node)

seconds = 0.0
collector = Collector(lambda: seconds)
old = old_cycle()
assert not collector.look(), "nothing has been made yet"

seconds = SECONDS
kept = [[] for _ in range(YOUNG * (MIDDLE + 2) * 2)]
assert old() is not None
assert collector.look(), "a minute has passed"
assert old() is None
assert not collector.look(), "and not again at once"

old = old_cycle()
kept += [[] for _ in range(YOUNG * (MIDDLE + 2) * (MANY + 2))]
assert old() is not None, "Python itself does not look"
assert collector.look(), "much has been made"
assert old() is None
print("done")
"""


def test_cycles_are_looked_for_when_much_was_made_and_once_a_minute() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "done\n", done.stderr
