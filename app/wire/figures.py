"""Numbers for people: exact ones for tables, short ones for axes and headlines, dollars."""

from __future__ import annotations

from app.core.usage import UsageTotal

UNKNOWN = "\N{EN DASH}"
FREE, NO_PRICE = "Free", "No price known"
_SHORT = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k"))


def exact(number: int) -> str:
    return f"{number:,}"


def short(number: float) -> str:
    """At most three digits: `950`, `1.2k`, `34k`, `5.61M`."""
    for size, letter in _SHORT:
        if number >= size * 0.9995:
            scaled = number / size
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            text = f"{scaled:.{digits}f}"
            return (text.rstrip("0").rstrip(".") if "." in text else text) + letter
    return f"{number:,.0f}"


def dollars(amount: float) -> str:
    """Cents; below ten cents as many digits as tell something."""
    if amount == 0 or amount >= 0.095:
        return f"${amount:,.2f}"
    return f"${amount:.4f}" if amount >= 0.0001 else "<$0.0001"


def cost_text(total: UsageTotal) -> str:
    """Of the calls whose price is known, if any is."""
    if total.unpriced_calls >= total.calls:
        return UNKNOWN
    return dollars(total.cost_usd) if total.cost_usd else FREE


def axis_dollars(amount: float) -> str:
    """Without cents where there are none: `$20`, `$2.50`, `$0.004`."""
    text = f"{amount:,.6f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents.ljust(2, '0')}" if cents else f"${whole}"


def share(part: float, whole: float) -> str:
    percent = 100 * part / whole if whole else 0.0
    return f"{percent:.0f}%" if percent == 0 or percent >= 1 else "<1%"


def size(count: int) -> str:
    """Of data: `12 KB`, `3.4 MB`."""
    scaled, unit = float(count), "bytes"
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if scaled < 1000 or unit == "TB":
            break
        scaled /= 1000
    return f"{scaled:.1f} {unit}" if unit not in ("bytes", "KB") and scaled < 100 else f"{scaled:,.0f} {unit}"
