"""Charts as SVG text: horizontal bars, and lines over logarithmic axes, in the reader's light or dark theme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 760
ROW = 34
LABELS = 250
"""Where bars begin: their names stand to the left."""
TOP = 48
PLOT = (64, 550, 60, 340)
"""Of a line chart: its left, right, top and bottom edge. Names stand to the right."""
LINE_HEIGHT = 18

Points = Sequence[tuple[float, float]]

_STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .soft { fill: #59636e }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .s0 { --color: #0f7b6c } .s1 { --color: #6e7781 } .s2 { --color: #b35900 }
  .s3 { --color: #8250df } .s4 { --color: #0969da }
  rect { fill: var(--color) }
  circle { fill: var(--color) }
  polyline { fill: none; stroke: var(--color); stroke-width: 2.5; stroke-linejoin: round }
  text.name { fill: var(--color); font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .soft { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .s0 { --color: #3fc1ab } .s1 { --color: #9198a1 } .s2 { --color: #f0883e }
    .s3 { --color: #b392f0 } .s4 { --color: #58a6ff }
  }
"""


def bars(title: str, unit: str, rows: Sequence[tuple[str, float, bool]]) -> str:
    """A bar for each of (name, value, whether it is ours)."""
    bottom = TOP + len(rows) * ROW
    most = max(value for _, value, _ in rows)
    step = _nice(most / 5)
    right = WIDTH - 76
    scale = (right - LABELS) / most
    drawn = [_text(0, 20, title, "title")]
    for number in range(int(most / step) + 1):
        x = LABELS + number * step * scale
        drawn.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}"/>')
        drawn.append(_text(x, bottom + 18, _number(number * step), "soft", "middle"))
    drawn.append(_text((LABELS + right) / 2, bottom + 40, unit, "soft", "middle"))
    for number, (name, value, is_ours) in enumerate(rows):
        y = TOP + number * ROW
        length = max(2.0, value * scale)
        drawn.append(_text(LABELS - 12, y + 16, name, "", "end"))
        drawn.append(
            f'<rect class="{"s0" if is_ours else "s1"}" x="{LABELS}" y="{y}" width="{length:.1f}" height="22" rx="3"/>'
        )
        drawn.append(_text(LABELS + length + 8, y + 16, _number(value), "soft"))
    return _svg(title, bottom + 52, drawn)


def lines(title: str, x_label: str, y_label: str, series: Mapping[str, Points]) -> str:
    """A line for each name, ours first. Both axes are logarithmic."""
    left, right, top, bottom = PLOT
    points = [point for each in series.values() for point in each]
    x_ticks = sorted({x for x, _ in points})
    low = math.floor(math.log10(min(y for _, y in points)))
    high = max(low + 1, math.ceil(math.log10(max(y for _, y in points))))
    x_low, x_high = math.log10(x_ticks[0]), math.log10(x_ticks[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - x_low) / ((x_high - x_low) or 1)
        return left + across * (right - left), bottom - (math.log10(y) - low) / (high - low) * (bottom - top)

    drawn = [_text(0, 20, title, "title"), _text(0, top - 16, y_label, "soft")]
    for power in range(low, high + 1):
        _, y = place(x_ticks[0], 10**power)
        drawn.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        drawn.append(_text(left - 10, y + 4, _number(10.0**power), "soft", "end"))
    for tick in x_ticks:
        x, _ = place(tick, 10**low)
        drawn.append(_text(x, bottom + 20, _number(tick), "soft", "middle"))
    drawn.append(_text((left + right) / 2, bottom + 42, x_label, "soft", "middle"))
    for number, each in enumerate(series.values()):
        placed = [place(x, y) for x, y in each]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in placed)
        drawn.append(f'<g class="s{number}"><polyline points="{joined}"/>{dots}</g>')
    ends = {name: place(*each[-1])[1] for name, each in series.items() if each}
    for name, y in _apart(ends).items():
        drawn.append(_text(right + 14, y + 4, name, f"name s{list(series).index(name)}"))
    return _svg(title, bottom + 54, drawn)


def _apart(ends: Mapping[str, float]) -> dict[str, float]:
    """Heights for the names, in their order, none upon another."""
    placed: dict[str, float] = {}
    before = -math.inf
    for name, y in sorted(ends.items(), key=lambda item: item[1]):
        before = placed[name] = max(y, before + LINE_HEIGHT)
    return placed


def _nice(step: float) -> float:
    """The next of 1, 2, 5, 10, 20 … above."""
    power = 10 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, height: float, drawn: Sequence[str]) -> str:
    size = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *drawn, "</svg>", ""])
