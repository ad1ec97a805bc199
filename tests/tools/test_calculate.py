from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.tools import ToolFailure
from app.tools.calculate import calculate

EXACT = {
    "0.1 + 0.2": "0.3",
    "1/3 + 2/3": "1",
    "2 ** 200": "1606938044258990275541962092341162602522202993782792835301376",
    "2^10": "1024",
    "2 ** -3": "0.125",
    "-2 ** 2": "-4",
    "1_000 \u00d7 3 ÷ 4 \u2212 1": "749",
    "100000000000000000000000000000000001 * 3.0": "300000000000000000000000000000000003",
    "0.12345678901234567890123456789": "0.12345678901234567890123456789",
    "1e-30": "0.000000000000000000000000000001",
    "1.5e3": "1500",
    "0x10": "16",
    "7 // 2": "3",
    "-7 % 3": "2",
    "10 % 3.3": "0.1",
    "round(2.5)": "3",
    "round(-1.005, 2)": "-1.01",
    "round(1234, -2)": "1200",
    "floor(-0.5) + ceil(0.5)": "0",
    "max(1, 5/2, 2) - min(3, 0.5)": "2",
    "abs(-3)": "3",
    "gcd(12, 18) + lcm(4, 6)": "18",
    "factorial(20)": "2432902008176640000",
    "sqrt(2.25)": "1.5",
}


@pytest.mark.parametrize("expression", EXACT)
def test_what_has_an_exact_value_is_exact(expression: str) -> None:
    assert calculate(expression) == {"expression": expression, "result": EXACT[expression], "exact": True}


ROUNDED = {
    "sqrt(2)": "1.41421356237309504880168872421",
    "2 ** 0.5": "1.41421356237309504880168872421",
    "pi": "3.14159265358979323846264338328",
    "exp(1) - e": "0",
    "ln(e)": "1",
    "log(8, 2)": "3",
    "log(1000)": "3",
    "sin(pi / 6)": "0.5",
    "cos(0)": "1",
    "tan(pi / 4)": "1",
    "sqrt(2) * 10 ** 40": "1.41421356237309504880168872421E+40",
}


@pytest.mark.parametrize("expression", ROUNDED)
def test_what_has_none_is_rounded_and_says_so(expression: str) -> None:
    assert calculate(expression) == {"expression": expression, "result": ROUNDED[expression], "exact": False}


def test_a_fraction_without_an_end_is_told_both_ways() -> None:
    assert calculate("2/3") == {
        "expression": "2/3",
        "result": "0.666666666666666666666666666667",
        "exact": False,
        "fraction": "2/3",
    }


NO_EXPRESSION = "This cannot be calculated. Write it like (3 + 4) * sqrt(2)."
TOO_BIG = "The result is too big: numbers may have 3,900 digits."
NO_VALUE = "This has no value among the real numbers."
REFUSED = {
    "1 / 0": "This divides by zero.",
    "0 ** -1": "This divides by zero.",
    "5 % 0": "This divides by zero.",
    "sqrt(-1)": NO_VALUE,
    "(-8) ** (1/3)": NO_VALUE,
    "ln(0)": NO_VALUE,
    "9 ** 9 ** 9": TOO_BIG,
    "9 ** -9999": TOO_BIG,
    "2 ** 12999 * 2 ** 12999": TOO_BIG,
    "exp(10000)": TOO_BIG,
    "1e999999999": "There is a number in it that is too big or too small.",
    "1e-999999999": "There is a number in it that is too big or too small.",
    "factorial(100000)": "There must be a whole number of at most 1,000.",
    "round(1/3, 5000)": "There must be a whole number of at most 1,000.",
    "gcd(0.5, 1)": "There must be a whole number.",
    "": NO_EXPRESSION,
    "5!": NO_EXPRESSION,
    "x + 1": NO_EXPRESSION,
    "1; 2": NO_EXPRESSION,
    "a = 1": NO_EXPRESSION,
    "True + 1": NO_EXPRESSION,
    "1 if 2 else 3": NO_EXPRESSION,
    "1 < 2": NO_EXPRESSION,
    "1 << 10": NO_EXPRESSION,
    "2j": NO_EXPRESSION,
    "'a' * 9": NO_EXPRESSION,
    "[1] * 9": NO_EXPRESSION,
    "sqrt": NO_EXPRESSION,
    "sqrt()": NO_EXPRESSION,
    "max(*[1, 2])": NO_EXPRESSION,
    "lambda: 1": NO_EXPRESSION,
    "__import__('os')": NO_EXPRESSION,
    "(1).__class__": NO_EXPRESSION,
    "f'{1}'": NO_EXPRESSION,
    "-" * 900 + "1": NO_EXPRESSION,
    "(" * 400 + "1" + ")" * 400: NO_EXPRESSION,
    "1" * 900 + "**" + "1" * 90: TOO_BIG,
}


@pytest.mark.parametrize("expression", REFUSED)
def test_what_cannot_be_calculated_says_why(expression: str) -> None:
    with pytest.raises(ToolFailure) as raised:
        calculate(expression)
    assert str(raised.value) == REFUSED[expression]


numbers = st.decimals(-1000, 1000, allow_nan=False, places=3)
expressions = st.recursive(
    numbers.map(lambda number: f"({number})"),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), inner).map(
        lambda parts: f"({' '.join(parts)})"
    ),
    max_leaves=12,
)


@given(expressions)
def test_any_expression_has_a_result_or_a_reason(expression: str) -> None:
    try:
        answer = calculate(expression)
    except ToolFailure as failure:
        reason = str(failure)
    else:
        reason = "none"
        assert len(answer["result"]) < 5_000
        assert Decimal(answer["result"]).is_finite()
    assert reason in {TOO_BIG, NO_VALUE, "This divides by zero.", "none"}


@given(numbers, numbers)
def test_sums_and_products_are_those_of_fractions(left: Decimal, right: Decimal) -> None:
    assert Fraction(calculate(f"({left}) + ({right})")["result"]) == Fraction(left) + Fraction(right)
    assert Fraction(calculate(f"({left}) * ({right})")["result"]) == Fraction(left) * Fraction(right)
