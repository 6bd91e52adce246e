"""The calculator's bounds, and how exact and rounded results are written."""

from fractions import Fraction

import pytest

from functions.toolrunner.builtin.calculator import evaluate
from functions.toolrunner.builtin.exact_math import format_number
from parley.tools.spec import ToolFailed


def value_of(expression):
    return format_number(evaluate(expression))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1/(3*10^37)", f"{'3.' + '3' * 19}E-38 (rounded; exactly 1/3{'0' * 37})"),
        ("1/(3*10^38)", f"{'3.' + '3' * 19}E-39 (rounded)"),
        ("10^361", "1" + "0" * 361),
        ("10^362", "1E+362 (rounded)"),
        ("exp(1)", "2.7182818284590452354"),
        ("radians(1)", "0.017453292519943295769"),
        ("cbrt(27)/7", "0.42857142857142857143 (rounded; exactly 3/7)"),
        ("exp(45)", "34934271057485095348"),
        ("exp(47)", "2.5813128861900673962E+20"),
        ("exp(-46)", "0.000000000000000000010530617357553812379"),
        ("exp(-47)", "3.8739976286871871129E-21"),
        ("pi^2", "9.8696044010893586188"),
        ("pi / 3", "1.0471975511965977462"),
        ("sin(1)", "0.841470984807897"),
        ("cbrt(2)", "1.2599210498948731648"),
        ("cbrt(-2)", "-1.2599210498948731648"),
        ("cbrt(0)", "0"),
        ("cbrt(0.5)", "0.79370052598409973738"),
        ("cbrt(27)", "3"),
        ("4^0.5", "2"),
        ("4^1.5", "8"),
        ("4^-0.5", "0.5"),
        ("2^0.5", "1.4142135623730950488"),
        ("0^0", "1"),
        ("0^0.5", "0"),
        ("0^100000", "0"),
        ("1^100000", "1"),
        ("(-1)^100001", "-1"),
        ("log10(1000) + log2(8) + ln(1) + exp(0)", "7"),
        ("log10(11)", "1.0413926851582250408"),
        ("log2(2^199) / 3", "66.333333333333333333 (rounded; exactly 199/3)"),
        ("log2(2^200) / 3", "66.666666666666666667"),
        ("log(2, 8) * 3", "1"),
        ("degrees(1)", "57.295779513082320877"),
        ("degrees(pi)", "180"),
        ("log2(3)", "1.5849625007211561815"),
        ("tau", "6.2831853071795864769"),
        ("e", "2.7182818284590452354"),
        ("1/3", "0.33333333333333333333 (rounded; exactly 1/3)"),
        ("round(1234, -2)", "1200"),
        ("round(2.5)", "3"),
        ("round(-0.4)", "0"),
        ("round(0.05, 1)", "0.1"),
        ("mean(1, 2, 6)", "3"),
        ("0!", "1"),
        ("1e3000 / 1e2999", "10"),
        ("-" * 59 + "1", "-1"),
        ("200 - 10% - 10%", "162"),
        ("10% + 200", "200.1"),
    ],
)
def test_a_result_has_the_digits_that_it_should(expression, value):
    assert value_of(expression) == value


def test_a_fraction_has_three_hundred_places_or_is_rounded():
    assert len(value_of("1 / 2^300")) == len("0.") + 300
    assert value_of("1 / 2^301").endswith("(rounded)")


@pytest.mark.parametrize("expression", ["10^62 / 3", "10^100 / 7"])
def test_a_long_number_that_does_not_end_is_said_to_be_rounded(expression):
    assert "(rounded" in value_of(expression)


@pytest.mark.parametrize(
    ("expression", "is_small_enough"), [("2^15999", True), ("2^16000", False), ("1/2^15999", True), ("1/2^16000", False)]
)
def test_a_number_has_sixteen_thousand_bits_at_most(expression, is_small_enough):
    if is_small_enough:
        assert evaluate(expression).is_exact
    else:
        with pytest.raises(ToolFailed, match="too large"):
            evaluate(expression)


def test_a_number_that_is_not_exact_has_four_thousand_places_at_most():
    assert value_of("exp(9211)").endswith("E+4000")
    with pytest.raises(ToolFailed, match="too large"):
        evaluate("exp(9213)")


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1e3001", "too large"),
        ("1e-3001", "too large"),
        ("0^-1", "Division by zero"),
        ("0^-0.5", "Division by zero"),
        ("(-4)^0.5", "negative number"),
        ("1.5!", "0 to 1000"),
        ("(0-1)!", "0 to 1000"),
        ("ln(0)", "too large"),
        ("log(8, 1)", "does not exist"),
        ("asin(2)", "does not exist"),
        ("log(8)", "a value and a base"),
        ("sqrt(1, 2)", "takes one value, not 2"),
        ("gcd(1.5, 2)", "integers only"),
        ("round(1, 2, 3)", "at most 300"),
        ("round(1, 301)", "at most 300"),
        ("round(1, 0.5)", "at most 300"),
        ("-" * 60 + "1", "too deeply"),
        ("sin", "'\\(' is missing"),
        ("x + 1", "'x' is unknown"),
        ("f(1)", "'f' is not a function"),
        ("1 ? 2", "not arithmetic"),
        ("1 +", "malformed"),
    ],
)
def test_an_expression_without_a_value_gives_the_reason(expression, reason):
    with pytest.raises(ToolFailed, match=reason):
        evaluate(expression)


def test_an_irrational_result_has_thirty_digits():
    assert evaluate("sqrt(2)").value == Fraction("1.41421356237309504880168872421")
    assert evaluate("ln(2) * 1").value == Fraction("0.693147180559945309417232121458")


def test_the_largest_factorial_is_that_of_a_thousand():
    assert evaluate("1000! / 999!").value == evaluate("1!").value * 1000
    with pytest.raises(ToolFailed, match="0 to 1000"):
        evaluate("1001!")


def test_a_value_is_rounded_to_three_hundred_places():
    assert value_of("round(1/3, 300)") == "0." + "3" * 300
