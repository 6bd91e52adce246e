"""Numbers that know whether they are exact."""

from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from parley.tools.spec import ToolFailed

MAX_BITS = 16_000  # nearly 5,000 digits
DIGITS = 30  # of what is not rational, reckoned
_SHOWN = 20
_WHOLE_DIGITS = 300


@dataclass(frozen=True, slots=True)
class Number:
    """A value; not exact once a root, a logarithm or the like has been rounded."""

    value: Fraction
    is_exact: bool = True

    def __post_init__(self) -> None:
        if max(self.value.numerator.bit_length(), self.value.denominator.bit_length()) > MAX_BITS:
            raise ToolFailed("The numbers become too large.")


def told(number: Number) -> str:
    """Write a number: exactly where its digits end soon enough, else rounded, which is then said."""
    if number.is_exact and (exact := _exact(number.value)):
        return exact
    rounded = _rounded(number.value)
    if not number.is_exact:
        return rounded
    fraction = str(number.value)
    return f"{rounded} (rounded{f'; exactly {fraction}' if len(fraction) <= 2 * _SHOWN else ''})"


def _exact(value: Fraction) -> str:
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


def _rounded(value: Fraction) -> str:
    with localcontext(prec=_SHOWN) as context:
        context.Emax, context.Emin = 999_999, -999_999
        rounded = (_decimal(value.numerator) / _decimal(value.denominator)).normalize()
        return f"{rounded:f}" if -_SHOWN <= rounded.adjusted() < _SHOWN else str(rounded)


def _decimal(whole: int) -> Decimal:
    return Decimal(whole)


def to_decimal(value: Fraction) -> Decimal:
    """Return it in the current context's digits."""
    return Decimal(value.numerator) / Decimal(value.denominator)
