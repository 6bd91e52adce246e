from contextlib import suppress
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.toolrunner.builtin.calculator import evaluate
from functions.toolrunner.builtin.exact_math import Number, format_number
from parley.tools.spec import ToolFailed

decimals = st.decimals(-(10**9), 10**9, places=4, allow_nan=False)
numbers = st.integers(-(10**12), 10**12).map(str) | decimals.map(lambda number: f"{number:f}")


@st.composite
def expressions(draw, depth=3):
    """Draw an expression and its value as a fraction."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        text = draw(numbers)
        return (f"({text})" if text.startswith("-") else text), Fraction(text)
    (a, x), (b, y) = draw(expressions(depth=depth - 1)), draw(expressions(depth=depth - 1))
    sign = draw(st.sampled_from(["+", "-", "*", "/"] if y else ["+", "-", "*"]))
    value = {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else x}[sign]
    return f"({a} {sign} {b})", value


@given(expressions())
def test_the_four_operations_are_exact(case):
    expression, value = case

    assert evaluate(expression) == Number(value)


@given(st.lists(numbers.filter(lambda number: not number.startswith("-")), min_size=2, max_size=6), st.data())
def test_products_bind_tighter_than_sums_and_both_to_the_left(values, data):
    signs = [data.draw(st.sampled_from("+-*")) for _ in values[1:]]
    expression = values[0] + "".join(f" {sign} {value}" for sign, value in zip(signs, values[1:], strict=True))
    with_fractions = "".join(f"Fraction('{part}') " if part not in "+-*" else f"{part} " for part in expression.split())

    assert evaluate(expression).value == eval(with_fractions, {"Fraction": Fraction})


@given(decimals)
def test_a_decimal_is_formatted_with_all_its_digits(value):
    assert Decimal(format_number(evaluate(f"0 + {value:f}" if value >= 0 else f"0 - {-value:f}"))) == value


@given(st.decimals(0, 1000, places=3), st.decimals(-(10**6), 10**6, places=2))
def test_a_percentage_is_a_hundredth(percent, whole):
    expected = Fraction(percent) * Fraction(whole) / 100

    assert evaluate(f"{percent:f}% of ({whole:f})").value == expected
    assert evaluate(f"({whole:f}) + {percent:f}%").value == Fraction(whole) + expected


@given(st.fractions(min_value=0, max_value=10**9))
def test_a_root_of_a_square_is_exact(value):
    assert evaluate(f"sqrt(({value.numerator}/{value.denominator})^2)") == Number(value)


@given(st.decimals("0.001", 10**6, places=3))
def test_irrational_results_are_right_to_20_digits(value):
    with localcontext(prec=60):
        for name, exact in (("sqrt", value.sqrt()), ("ln", value.ln()), ("log10", value.log10())):
            result = format_number(evaluate(f"{name}({value:f})"))
            assert abs(Decimal(result.split(" ")[0]) - exact) <= abs(exact) * Decimal("1e-19"), name


@given(st.text(max_size=40) | st.text("0123456789.+-*/%^!(), eofpisqrt", max_size=60))
def test_any_text_gives_a_value_or_a_tool_failure(text):
    with suppress(ToolFailed):
        assert format_number(evaluate(text))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("12.5% of 840", "105"),
        ("What", None),
        ("0.1 + 0.2", "0.3"),
        ("-2^2", "-4"),
        ("2^3^2", "512"),
        ("2^-1", "0.5"),
        ("17 % 5", "2"),
        ("-7 % 3", "2"),
        ("7 // 2", "3"),
        ("50% + 50%", "1"),
        ("200 - 10%", "180"),
        ("12.5 percent of 840", "105"),
        ("3 × 4 ÷ 2 − 1", "5"),
        ("2² + 2³", "12"),
        ("1_000_000 / 8", "125000"),
        ("round(2.675, 2)", "2.68"),
        ("round(-2.5)", "-3"),
        ("10!", "3628800"),
        ("cbrt(-27)", "-3"),
        ("log(8, 2)", "3"),
        ("sin(pi/6)", "0.5"),
        ("degrees(pi)", "180"),
        ("radians(180) / pi", "1"),
        ("gcd(12, 18) + lcm(4, 6)", "18"),
        ("abs(-3) + floor(-1.5) + ceil(1.2) + trunc(-1.7)", "2"),
        ("tau / pi", "2"),
        ("sum(1, 2, 3) - min(1, 2)", "5"),
        ("max(1, 2, 3) + mean(2, 4)", "6"),
        ("1/3", "0.33333333333333333333 (rounded; exactly 1/3)"),
        ("2 + 2 =", "4"),
        ("PI", "3.1415926535897932385"),
        ("200 + (10%)", "200.1"),
        ("200 + -10%", "180"),
        ("50% + 50% + 10%", "1.1"),
        ("2 * 3!! ^ 2", "1036800"),
        ("5 % -3", "-2.95"),
        ("007 + 1.5e3of 2", "3007"),
    ],
)
def test_common_notation_is_understood(expression, value):
    if value is None:
        with pytest.raises(ToolFailed):
            evaluate(expression)
    else:
        assert format_number(evaluate(expression)) == value


@pytest.mark.parametrize(
    "expression",
    [
        "9^9^9^9",
        "1e999999999",
        "10^100000",
        "(10!)!",
        "2^(10^18)",
        "exp(10^9)",
        "1001!",
        "(" * 500 + "1" + ")" * 500,
        "-" * 900 + "1",
        "1/7^9999",
    ],
)
def test_expressions_that_would_take_too_long_are_refused(expression):
    with pytest.raises(ToolFailed, match=r"too large|too deeply|factorial"):
        evaluate(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os')",
        "open('x')",
        "a.b",
        "[1]",
        "lambda: 1",
        "1; 2",
        "1 if 1 else 2",
        "print(1)",
        "1 and 2",
        "2(3)",
        "1/0",
        "5 % 0",
        "0^-1",
        "max()",
        "max(*1)",
        "max(**1)",
        "1, 2",
        "1 2",
        "not 1",
        "5 .percent",
        "sin + 1",
    ],
)
def test_nothing_but_arithmetic_is_evaluated(expression):
    with pytest.raises(ToolFailed):
        evaluate(expression)


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [("+", "", 59), ("-", "", 59), ("1^", "", 59), ("(", ")", 59), ("max(1, ", ")", 29), ("1 + (", ")", 29), ("1 - 2 * (", ")", 19)],
)
def test_an_expression_has_sixty_levels_at_most(opening, closing, levels):
    def nested(count):
        return f"{opening * count}1{closing * count}"

    assert evaluate(nested(levels)).is_exact
    with pytest.raises(ToolFailed, match="nested too deeply"):
        evaluate(nested(levels + 1))


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_power_of_ten_has_three_thousand_places_at_most(sign):
    assert evaluate(f"1e{sign}3000").is_exact
    with pytest.raises(ToolFailed, match="too large"):
        evaluate(f"1e{sign}3001")
