"""The calculator's numbers, which know whether they are exact, and its constants and functions.

Rational results stay exact; others have 30 digits, trigonometric ones 15.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException, localcontext
from fractions import Fraction

from parley.tools.spec import ToolFailed

MAX_BITS = 16_000  # nearly 5,000 digits


DIGITS = 30  # of what is not rational, reckoned


_SHOWN_DIGITS = 20


_WHOLE_DIGITS = 300


@dataclass(frozen=True, slots=True)
class Number:
    """A value; not exact once a root, a logarithm or the like has been rounded."""

    value: Fraction
    is_exact: bool = True

    def __post_init__(self) -> None:
        if max(self.value.numerator.bit_length(), self.value.denominator.bit_length()) > MAX_BITS:
            raise ToolFailed("The numbers become too large.")


def format_number(number: Number) -> str:
    """Write a number: exactly where its digits end soon enough, else rounded, which is then said."""
    if number.is_exact and (exact := _exact_digits(number.value)):
        return exact
    rounded = _rounded_digits(number.value)
    if not number.is_exact:
        return rounded
    fraction = str(number.value)
    return f"{rounded} (rounded{f'; exactly {fraction}' if len(fraction) <= 2 * _SHOWN_DIGITS else ''})"


def _exact_digits(value: Fraction) -> str:
    """Return all its digits, or nothing if they have no end or are too many."""
    rest, places = value.denominator, 0
    for prime in (2, 5):
        times = 0
        while rest % prime == 0:
            rest, times = rest // prime, times + 1
        places = max(places, times)
    whole = abs(value.numerator) * 10**places // value.denominator if rest == 1 and places <= _WHOLE_DIGITS else 0
    if rest != 1 or places > _WHOLE_DIGITS or whole.bit_length() > _WHOLE_DIGITS * 4:
        return ""
    digits = str(whole).rjust(places + 1, "0")
    written = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{written}" if value < 0 else written


def _rounded_digits(value: Fraction) -> str:
    with localcontext(prec=_SHOWN_DIGITS) as context:
        context.Emax, context.Emin = 999_999, -999_999
        rounded = (_as_decimal(value.numerator) / _as_decimal(value.denominator)).normalize()
        return f"{rounded:f}" if -_SHOWN_DIGITS <= rounded.adjusted() < _SHOWN_DIGITS else str(rounded)


def _as_decimal(whole: int) -> Decimal:
    return Decimal(whole)


def to_decimal(value: Fraction) -> Decimal:
    """Return it in the current context's digits."""
    return Decimal(value.numerator) / Decimal(value.denominator)


type NumberFunction = Callable[[Sequence[Number]], Number]


_MAX_FACTORIAL = 1000


_MAX_PLACES = 300


def power(base: Number, exponent: Number) -> Number:
    """Raise; exactly where the exponent is whole, or a root comes out even."""
    a, b = base.value, exponent.value
    if a == 0 and b < 0:
        raise ToolFailed("Nothing can be divided by zero.")
    if b.denominator == 1:
        _check_size(a, abs(b.numerator))
        return Number(a**b.numerator, base.is_exact and exponent.is_exact)
    if a < 0:
        raise ToolFailed("A negative number has no such power.")
    if b.denominator == 2 and (root := _square_root(a)) is not None:
        return power(Number(root, base.is_exact), Number(Fraction(b.numerator), exponent.is_exact))
    return _compute_decimal(lambda: to_decimal(a) ** to_decimal(b))


def factorial(number: Number) -> Number:
    """Return n!. Raises ToolFailed above 1000 and for what is not whole."""
    if number.value.denominator != 1 or not 0 <= number.value <= _MAX_FACTORIAL:
        raise ToolFailed(f"A factorial is of a whole number from 0 to {_MAX_FACTORIAL}.")
    return Number(Fraction(math.factorial(number.value.numerator)), number.is_exact)


def _check_size(base: Fraction, times: int) -> None:
    if abs(base) not in (0, 1) and max(base.numerator.bit_length(), base.denominator.bit_length()) * times > 2 * MAX_BITS:
        raise ToolFailed("The numbers become too large.")


def _square_root(value: Fraction) -> Fraction | None:
    above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
    return Fraction(above, below) if above * above == value.numerator and below * below == value.denominator else None


def _compute_decimal(reckon: Callable[[], Decimal]) -> Number:
    with localcontext(prec=DIGITS + 10) as context:
        context.Emax, context.Emin = 999_999, -999_999
        try:
            found = reckon()
            context.prec = DIGITS
            found = +found
        except (DecimalException, ValueError, OverflowError, ZeroDivisionError) as exc:
            raise ToolFailed("This has no value, or one that is too large.") from exc
    if not found.is_finite() or abs(found.adjusted()) > MAX_BITS // 4:
        raise ToolFailed("The numbers become too large.")
    return Number(Fraction(found), is_exact=False)


def _unary(reckon: Callable[[Number], Number]) -> NumberFunction:
    def function(given: Sequence[Number]) -> Number:
        if len(given) != 1:
            raise ToolFailed(f"This function takes one value, not {len(given)}.")
        return reckon(given[0])

    return function


def _unary_exact(reckon: Callable[[Fraction], Fraction | int]) -> NumberFunction:
    return _unary(lambda number: Number(Fraction(reckon(number.value)), number.is_exact))


def _unary_decimal(reckon: Callable[[Decimal], Decimal], *, exact: Mapping[int, int]) -> NumberFunction:
    """`exact` has the arguments whose results are whole."""

    def function(number: Number) -> Number:
        if number.value in exact:
            return Number(Fraction(exact[number.value.numerator]), number.is_exact)
        return _compute_decimal(lambda: reckon(to_decimal(number.value)))

    return _unary(function)


def _unary_float(reckon: Callable[[float], float]) -> NumberFunction:
    def function(number: Number) -> Number:
        return _compute_decimal(lambda: Decimal(f"{reckon(float(number.value)):.15g}"))

    return _unary(function)


def _variadic(reckon: Callable[[list[Fraction]], Fraction | int]) -> NumberFunction:
    return lambda given: Number(Fraction(reckon([one.value for one in given])), all(one.is_exact for one in given))


def _integers_only(reckon: Callable[..., int]) -> NumberFunction:
    def function(given: Sequence[Number]) -> Number:
        if any(one.value.denominator != 1 for one in given):
            raise ToolFailed("This function takes whole numbers.")
        return Number(Fraction(reckon(*(one.value.numerator for one in given))))

    return function


def _round(given: Sequence[Number]) -> Number:
    """Round half away from zero, as people do."""
    places = given[1].value if len(given) == 2 else Fraction(0)
    if len(given) > 2 or places.denominator != 1 or abs(places) > _MAX_PLACES:
        raise ToolFailed("round takes a value and, if you like, a whole number of places.")
    scale = Fraction(10) ** places.numerator
    value = given[0].value * scale
    return Number(Fraction(math.floor(abs(value) + Fraction(1, 2))) * (1 if value >= 0 else -1) / scale)


def _log(given: Sequence[Number]) -> Number:
    if len(given) != 2:
        raise ToolFailed("log takes a value and a base: log(8, 2). There are ln, log10 and log2 as well.")
    return _compute_decimal(lambda: to_decimal(given[0].value).ln() / to_decimal(given[1].value).ln())


def _root(given: Sequence[Number]) -> Number:
    return _unary(lambda number: power(number, Number(Fraction(1, 2))))(given)


def _cube_root(number: Number) -> Number:
    size = abs(number.value)
    found = _compute_decimal(lambda: to_decimal(size) ** (Decimal(1) / 3)) if size else Number(Fraction(0))
    near = Fraction(round(found.value))
    root = Number(near, number.is_exact) if near**3 == size else found
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
    "sqrt": _root,
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
