"""Exact arithmetic: every number is a fraction, and only what has no exact value (a root, a logarithm, a sine) is
rounded. No number grows beyond MAX_BITS, whatever is written, so that no expression takes long.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field

from app.core.tools import ToolFailure

MAX_BITS = 13_000
"""Of numerator and denominator: 3,900 digits. Python writes no number of more than 4,300."""
MAX_DECIMALS = 1_000
MAX_FACTORIAL = 1_000
MAX_FRACTION = 100
"""Characters of a fraction that is told beside its rounded value."""
DIGITS = 30
"""Of a result that had to be rounded."""

Expression = Annotated[str, Field(min_length=1, max_length=1_000)]

_decimal = Context(prec=50)
_CONSTANTS = {
    "pi": Decimal("3.14159265358979323846264338327950288419716939937510"),
    "e": Decimal("2.71828182845904523536028747135266249775724709369995"),
}
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "^": "**"})  # noqa: RUF001 - people copy them


def calculate(expression: Expression) -> dict[str, Any]:
    """Calculate exactly: 0.1 + 0.2 is 0.3, and 2 ** 200 has all its digits. Use it for every calculation.

    Args:
        expression: numbers, + - * / // % ** and parentheses; sqrt, abs, round, floor, ceil, min, max, gcd, lcm,
            factorial, exp, ln, log (to base 10, or to a second argument), sin, cos, tan (of radians); pi and e
    """
    calculation = _Calculation(expression.translate(_SPELLINGS).strip())
    try:
        value = calculation.run()
    except ToolFailure:
        raise
    except ZeroDivisionError:
        raise ToolFailure("This divides by zero.") from None
    except (ArithmeticError, OverflowError):
        raise ToolFailure("This has no value among the real numbers.") from None
    except Exception:  # noqa: BLE001 - parser and evaluator have an error of their own for every mistake
        raise ToolFailure("This cannot be calculated. Write it like (3 + 4) * sqrt(2).") from None
    return {"expression": expression, **_written(value, exact=calculation.exact)}


class _Calculation:
    """One expression; `exact` is whether nothing had to be rounded so far."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.exact = True

    def run(self) -> Fraction:
        from simpleeval import SimpleEval

        evaluator = SimpleEval(operators=self._operators(), functions=self._functions(), names=self._name)
        known = (ast.UnaryOp, ast.BinOp, ast.Call, ast.Name)
        evaluator.nodes = {kind: evaluator.nodes[kind] for kind in known}
        evaluator.nodes[ast.Constant] = self._number
        return Fraction(evaluator.eval(self._text, ast.parse(self._text, mode="eval").body))

    def _operators(self) -> Mapping[type[ast.AST], Callable[..., Fraction]]:
        return {
            ast.Add: _bounded(operator.add),
            ast.Sub: _bounded(operator.sub),
            ast.Mult: _bounded(operator.mul),
            ast.Div: _bounded(operator.truediv),
            ast.FloorDiv: _bounded(operator.floordiv),
            ast.Mod: _bounded(operator.mod),
            ast.Pow: self._power,
            ast.UAdd: operator.pos,
            ast.USub: operator.neg,
        }

    def _functions(self) -> Mapping[str, Callable[..., Any]]:
        return {
            "sqrt": lambda x: self._power(x, Fraction(1, 2)),
            "abs": abs,
            "round": lambda x, places=Fraction(0): _round(x, _whole(places, MAX_DECIMALS)),
            "floor": math.floor,
            "ceil": math.ceil,
            "min": min,
            "max": max,
            "gcd": lambda *numbers: math.gcd(*map(_whole, numbers)),
            "lcm": lambda *numbers: _check(Fraction(math.lcm(*map(_whole, numbers)))),
            "factorial": lambda n: math.factorial(_whole(n, MAX_FACTORIAL)),
            "exp": lambda x: self._rounded(_as_decimal(x).exp(_decimal)),
            "ln": lambda x: self._rounded(_as_decimal(x).ln(_decimal)),
            "log": self._log,
            "sin": lambda x: self._rounded(Decimal(repr(round(math.sin(x), 15)))),
            "cos": lambda x: self._rounded(Decimal(repr(round(math.cos(x), 15)))),
            "tan": lambda x: self._rounded(Decimal(repr(round(math.tan(x), 13)))),
        }

    def _name(self, node: ast.Name) -> Fraction:
        return self._rounded(_CONSTANTS[node.id])

    def _number(self, node: ast.Constant) -> Fraction:
        """A number as it is written; Python would have made the nearest float of it."""
        written = ast.get_source_segment(self._text, node)
        if written is None or isinstance(node.value, bool | str | bytes | complex | None):
            raise TypeError("no number")
        if isinstance(node.value, int):
            return _check(Fraction(node.value))
        number = Decimal(written)
        if abs(number.adjusted()) > MAX_DECIMALS:
            raise ToolFailure("There is a number in it that is too big or too small.")
        return Fraction(number)

    def _power(self, base: Fraction, exponent: Fraction) -> Fraction:
        base, exponent = Fraction(base), Fraction(exponent)
        if exponent.denominator == 1:
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            if bits > 1 and bits * abs(exponent.numerator) > 2 * MAX_BITS:
                raise _too_big()
            return _check(Fraction(base**exponent.numerator))
        if exponent == Fraction(1, 2) and base >= 0:
            root = Fraction(math.isqrt(base.numerator), math.isqrt(base.denominator))
            if root * root == base:
                return root
        return self._rounded(_decimal.power(_as_decimal(base), _as_decimal(exponent)))

    def _log(self, number: Fraction, base: Fraction = Fraction(10)) -> Fraction:
        if base == 10:
            return self._rounded(_as_decimal(number).log10(_decimal))
        return self._rounded(_decimal.divide(_as_decimal(number).ln(_decimal), _as_decimal(base).ln(_decimal)))

    def _rounded(self, number: Decimal) -> Fraction:
        """A value that may be off in its last digits: those are cut, so that log(8, 2) is 3."""
        self.exact = False
        if not number.is_finite():
            raise ArithmeticError("no number")
        if number and abs(number.adjusted()) > MAX_DECIMALS:
            raise _too_big()
        return Fraction(Context(prec=40).plus(number))


def _bounded(operation: Callable[[Fraction, Fraction], Any]) -> Callable[[Fraction, Fraction], Fraction]:
    return lambda left, right: _check(Fraction(operation(Fraction(left), Fraction(right))))


def _check(number: Fraction) -> Fraction:
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > MAX_BITS:
        raise _too_big()
    return number


def _too_big() -> ToolFailure:
    return ToolFailure("The result is too big: numbers may have 3,900 digits.")


def _whole(number: Fraction, limit: int | None = None) -> int:
    whole = Fraction(number)
    if whole.denominator != 1 or (limit is not None and abs(whole) > limit):
        raise ToolFailure(f"There must be a whole number{f' of at most {limit:,}' if limit else ''}.")
    return whole.numerator


def _round(number: Fraction, places: int) -> Fraction:
    """Halves away from zero, as people do it; Python would round them to even."""
    scale = Fraction(10) ** places
    rounded = math.floor(abs(Fraction(number)) * scale + Fraction(1, 2)) / scale
    return _check(-rounded if number < 0 else rounded)


def _as_decimal(number: Fraction) -> Decimal:
    number = Fraction(number)
    return _decimal.divide(Decimal(number.numerator), Decimal(number.denominator))


def _written(number: Fraction, *, exact: bool) -> dict[str, Any]:
    if exact and (decimals := _decimals(number)) is not None:
        scaled = abs(number.numerator) * 10**decimals // number.denominator
        digits = str(scaled).rjust(decimals + 1, "0")
        text = f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
        return {"result": f"-{text}" if number < 0 else text, "exact": True}
    rounded = _as_decimal(number).normalize(Context(prec=DIGITS))
    written = f"{rounded:f}" if -DIGITS < rounded.adjusted() < DIGITS else str(rounded)
    answer: dict[str, Any] = {"result": written, "exact": False}
    if exact and len(fraction := f"{number.numerator}/{number.denominator}") <= MAX_FRACTION:
        answer["fraction"] = fraction
    return answer


def _decimals(number: Fraction) -> int | None:
    """How many decimals it takes to write the number exactly; None for 1/3, and for more than MAX_DECIMALS."""
    rest = number.denominator
    counts = []
    for prime in (2, 5):
        count = 0
        while rest % prime == 0 and count <= MAX_DECIMALS:
            rest //= prime
            count += 1
        counts.append(count)
    return max(counts) if rest == 1 and max(counts) <= MAX_DECIMALS else None
