"""The numbers, functions and constants of the calculator.

Rational results are exact. Other results are rounded to 30 digits, and trigonometric results to 15.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException, Inexact, localcontext
from fractions import Fraction

from parley.tools.spec import ToolFailed

MAX_BITS = 16_000  # nearly 5,000 digits
IRRATIONAL_DIGITS = 30
TOO_LARGE = "The numbers become too large."
DIVISION_BY_ZERO = "Division by zero has no result."
_GUARD_DIGITS = 10
_MAX_DECIMAL_EXPONENT = 999_999
_MAX_FACTORIAL = 1000
_MAX_PLACES = 300
_MAX_EXACT_DIGITS = 362
_ROUNDED_DIGITS = 20
_MAX_FRACTION_CHARACTERS = 40

type NumberFunction = Callable[[Sequence[Number]], Number]


@dataclass(frozen=True, slots=True)
class Number:
    """A value, and whether it is exact. Raises ToolFailed if the value is too large or has too many digits."""

    value: Fraction
    is_exact: bool = True

    def __post_init__(self) -> None:
        if max(self.value.numerator.bit_length(), self.value.denominator.bit_length()) > MAX_BITS:
            raise ToolFailed(TOO_LARGE)


def format_number(number: Number) -> str:
    """Return the number as text. Inexact numbers are rounded. Exact numbers with too many digits are rounded and marked as rounded."""
    if number.is_exact and (digits := _exact_digits(number.value)):
        return digits
    rounded = _rounded_digits(number.value)
    if not number.is_exact:
        return rounded
    fraction = str(number.value)
    return f"{rounded} (rounded{f'; exactly {fraction}' if len(fraction) <= _MAX_FRACTION_CHARACTERS else ''})"


def _exact_digits(value: Fraction) -> str:
    """Return all decimal digits, or an empty string if there are too many or infinitely many."""
    with localcontext(prec=_MAX_EXACT_DIGITS) as context:
        context.traps[Inexact] = True
        try:
            digits = Decimal(value.numerator) / Decimal(value.denominator)
        except Inexact:
            return ""
    places = -min(int(digits.as_tuple().exponent), 0)
    return f"{digits:f}" if digits.adjusted() < _MAX_EXACT_DIGITS and places <= _MAX_PLACES else ""


def _rounded_digits(value: Fraction) -> str:
    with localcontext(prec=_ROUNDED_DIGITS, Emax=_MAX_DECIMAL_EXPONENT, Emin=-_MAX_DECIMAL_EXPONENT):
        rounded = to_decimal(value).normalize()
        return f"{rounded:f}" if -_ROUNDED_DIGITS <= rounded.adjusted() < _ROUNDED_DIGITS else str(rounded)


def to_decimal(value: Fraction) -> Decimal:
    """Divide with the precision of the current decimal context."""
    return Decimal(value.numerator) / Decimal(value.denominator)


def power(base: Number, exponent: Number) -> Number:
    """Return the power. It is exact if the exponent is an integer, or a multiple of one half and the result is rational."""
    a, b = base.value, exponent.value
    if a == 0 and b < 0:
        raise ToolFailed(DIVISION_BY_ZERO)
    if b.denominator == 1:
        _check_power_size(a, abs(b.numerator))
        return Number(a**b.numerator, base.is_exact and exponent.is_exact)
    if a < 0:
        raise ToolFailed("A negative number has no real power with a fractional exponent.")
    if b.denominator == 2 and (root := _rational_root(a)) is not None:
        return power(Number(root, base.is_exact), Number(Fraction(b.numerator), exponent.is_exact))
    return _compute_decimal(lambda: to_decimal(a) ** to_decimal(b))


def factorial(number: Number) -> Number:
    """Return n!. Raises ToolFailed unless n is an integer from 0 to 1000."""
    if number.value.denominator != 1 or not 0 <= number.value <= _MAX_FACTORIAL:
        raise ToolFailed(f"A factorial needs an integer from 0 to {_MAX_FACTORIAL}.")
    return Number(Fraction(math.factorial(number.value.numerator)), number.is_exact)


def _check_power_size(base: Fraction, exponent: int) -> None:
    """Raise ToolFailed if the power would be far too large, so that it is never computed."""
    if abs(base) not in (0, 1) and max(base.numerator.bit_length(), base.denominator.bit_length()) * exponent > 2 * MAX_BITS:
        raise ToolFailed(TOO_LARGE)


def _rational_root(value: Fraction) -> Fraction | None:
    root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    return root if root * root == value else None


def _compute_decimal(compute: Callable[[], Decimal]) -> Number:
    """Return the rounded result of `compute`, which calculates with a few more digits than the result keeps."""
    with localcontext(prec=IRRATIONAL_DIGITS + _GUARD_DIGITS, Emax=_MAX_DECIMAL_EXPONENT, Emin=-_MAX_DECIMAL_EXPONENT) as context:
        try:
            result = compute()
            context.prec = IRRATIONAL_DIGITS
            result = +result
        except (DecimalException, ValueError, OverflowError, ZeroDivisionError) as exc:
            raise ToolFailed("The result does not exist or is too large.") from exc
    if not result.is_finite() or abs(result.adjusted()) > MAX_BITS // 4:
        raise ToolFailed(TOO_LARGE)
    return Number(Fraction(result), is_exact=False)


def _unary(compute: Callable[[Number], Number]) -> NumberFunction:
    def function(arguments: Sequence[Number]) -> Number:
        if len(arguments) != 1:
            raise ToolFailed(f"This function takes one value, not {len(arguments)}.")
        return compute(arguments[0])

    return function


def _unary_exact(compute: Callable[[Fraction], Fraction | int]) -> NumberFunction:
    return _unary(lambda number: Number(Fraction(compute(number.value)), number.is_exact))


def _unary_decimal(compute: Callable[[Decimal], Decimal], *, exact: Mapping[int, int]) -> NumberFunction:
    """Return a function of one number: its result is the integer that `exact` gives for the number, else that of `compute`."""

    def function(number: Number) -> Number:
        if number.value in exact:
            return Number(Fraction(exact[number.value.numerator]), number.is_exact)
        return _compute_decimal(lambda: compute(to_decimal(number.value)))

    return _unary(function)


def _unary_float(compute: Callable[[float], float]) -> NumberFunction:
    return _unary(lambda number: _compute_decimal(lambda: Decimal(f"{compute(float(number.value)):.15g}")))


def _variadic(compute: Callable[[list[Fraction]], Fraction | int]) -> NumberFunction:
    return lambda arguments: Number(Fraction(compute([number.value for number in arguments])), all(number.is_exact for number in arguments))


def _integers_only(compute: Callable[..., int]) -> NumberFunction:
    def function(arguments: Sequence[Number]) -> Number:
        if any(number.value.denominator != 1 for number in arguments):
            raise ToolFailed("This function takes integers only.")
        return Number(Fraction(compute(*(number.value.numerator for number in arguments))))

    return function


def _round(arguments: Sequence[Number]) -> Number:
    """Round a half away from zero, as people do, instead of to the nearest even number, as Python does."""
    places = arguments[1].value if len(arguments) == 2 else Fraction(0)
    if len(arguments) > 2 or places.denominator != 1 or abs(places) > _MAX_PLACES:
        raise ToolFailed(f"round takes a value and optionally an integer number of places, at most {_MAX_PLACES}.")
    scale = Fraction(10) ** places.numerator
    scaled = arguments[0].value * scale
    return Number(Fraction(math.floor(abs(scaled) + Fraction(1, 2))) * (1 if scaled >= 0 else -1) / scale)


def _log(arguments: Sequence[Number]) -> Number:
    if len(arguments) != 2:
        raise ToolFailed("log takes a value and a base, as in log(8, 2). Alternatives are ln, log10 and log2.")
    value, base = arguments
    return _compute_decimal(lambda: to_decimal(value.value).ln() / to_decimal(base.value).ln())


def _cube_root(number: Number) -> Number:
    size = abs(number.value)
    root = _compute_decimal(lambda: to_decimal(size) ** (Decimal(1) / 3)) if size else Number(Fraction(0))
    nearest = Fraction(round(root.value))
    root = Number(nearest, number.is_exact) if nearest**3 == size else root
    return root if number.value >= 0 else Number(-root.value, root.is_exact)


_PI = Number(Fraction("3.14159265358979323846264338327950288419716939937511"), is_exact=False)
CONSTANTS = {
    "pi": _PI,
    "tau": Number(_PI.value * 2, is_exact=False),
    "e": Number(Fraction("2.71828182845904523536028747135266249775724709369996"), is_exact=False),
}
FUNCTIONS: dict[str, NumberFunction] = {
    "abs": _unary_exact(abs),
    "floor": _unary_exact(math.floor),
    "ceil": _unary_exact(math.ceil),
    "trunc": _unary_exact(math.trunc),
    "round": _round,
    "sqrt": _unary(lambda number: power(number, Number(Fraction(1, 2)))),
    "cbrt": _unary(_cube_root),
    "exp": _unary_decimal(Decimal.exp, exact={0: 1}),
    "ln": _unary_decimal(Decimal.ln, exact={1: 0}),
    "log": _log,
    "log10": _unary_decimal(Decimal.log10, exact={10**n: n for n in range(50)}),
    "log2": _unary_decimal(lambda value: value.ln() / Decimal(2).ln(), exact={2**n: n for n in range(200)}),
    "sin": _unary_float(math.sin),
    "cos": _unary_float(math.cos),
    "tan": _unary_float(math.tan),
    "asin": _unary_float(math.asin),
    "acos": _unary_float(math.acos),
    "atan": _unary_float(math.atan),
    "radians": _unary(lambda number: Number(number.value * _PI.value / 180, is_exact=False)),
    "degrees": _unary(lambda number: Number(number.value * 180 / _PI.value, is_exact=False)),
    "min": _variadic(min),
    "max": _variadic(max),
    "sum": _variadic(sum),
    "mean": _variadic(lambda values: sum(values, Fraction(0)) / len(values)),
    "gcd": _integers_only(math.gcd),
    "lcm": _integers_only(math.lcm),
    "factorial": _unary(factorial),
}
