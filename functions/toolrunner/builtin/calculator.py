"""A calculator with exact decimals: a parser by binding powers (V. Pratt, 1973). Only arithmetic is evaluated (docs/adr/0011).

expression  sum of products of signed powers; `of` and `*` bind alike, `^` binds tighter and to the right
`x%`        a hundredth of x; after + or - a hundredth of the left side, unless that is a percentage too: 200 + 10% is 220
`x % y`     the remainder, if a value follows the sign
"""

import re
from fractions import Fraction
from typing import Annotated

from pydantic import Field

from functions.toolrunner.builtin.exact_math import CONSTANTS, FUNCTIONS, Number, factorial, format_number, power
from parley.tools.decorator import tool
from parley.tools.spec import ToolFailed

MAX_DEPTH = 60


MAX_EXPONENT = 3000


_TOKEN = re.compile(r"\s*(?:(\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z]\w*)|(\*\*|//|[-+*/%^!(),]))", re.ASCII)


_PERCENT = re.compile(r"\bper ?cent\b")


_SYNONYMS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "π": "pi", "²": "^2", "³": "^3"})


_SUM, _PRODUCT, _SIGN, _POWER = 10, 20, 30, 40


_BINDING = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "//": _PRODUCT, "%": _PRODUCT, "of": _PRODUCT, "^": _POWER, "**": _POWER}


def evaluate(expression: str) -> Number:
    """Return the value. Raises ToolFailed, in words for the model, for what is no arithmetic or has no value."""
    reader = _ExpressionParser(_tokens(_PERCENT.sub("%", expression.translate(_SYNONYMS).lower())))
    value = reader.value(0)
    if reader.next:
        raise ToolFailed(f"{reader.next!r} was not expected.")
    return value


def _tokens(text: str) -> list[str]:
    text, found, at = text.strip().rstrip("=?").rstrip(), list[str](), 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if not token:
            raise ToolFailed(f"{text[at:].strip()[:1]!r} is no arithmetic.")
        found.append(token[0].strip())
        at = token.end()
    return found


class _ExpressionParser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0
        self._is_percent = False  # the value just read is a bare `x%`

    @property
    def next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def value(self, least: int) -> Number:
        """Read a value whose operators bind at least so tight."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ToolFailed("The expression is nested too deeply.")
        left = self._suffixed(self._first())
        is_percent = self._is_percent
        while (binding := _BINDING.get(self.next, -1)) > least:
            operator = self._take()
            right = self.value(_SIGN if binding == _POWER else binding)  # a power's right side may have a sign, and powers
            left = _apply_operator(operator, left, right, of_left=self._is_percent and not is_percent)
            is_percent = self._is_percent = False
        self._depth -= 1
        return left

    def _first(self) -> Number:
        word = self._take()
        self._is_percent = False
        if word in ("+", "-"):
            inner = self.value(_SIGN)
            return inner if word == "+" else Number(-inner.value, inner.is_exact)
        if word == "(":
            inner = self.value(0)
            self._expect(")")
            self._is_percent = False
            return inner
        if word[:1].isdigit() or word[:1] == ".":
            return _parse_number(word)
        return self._named(word)

    def _suffixed(self, value: Number) -> Number:
        while self.next == "!" or (self.next == "%" and not self._begins_value(self._at + 1)):
            if self._take() == "!":
                value = factorial(value)
            else:
                value, self._is_percent = Number(value.value / 100, value.is_exact), True
        return value

    def _begins_value(self, at: int) -> bool:
        word = self._tokens[at] if at < len(self._tokens) else ""
        return word[:1].isdigit() or word[:1] in (".", "(") or (word[:1].isalpha() and word != "of")

    def _named(self, name: str) -> Number:
        if name in CONSTANTS:
            return CONSTANTS[name]
        function = FUNCTIONS.get(name)
        if not function:
            raise ToolFailed(f"{name!r} is not known." if name else "The expression ends too early.")
        self._expect("(")
        given = [self.value(0)]
        while self.next == ",":
            self._take()
            given.append(self.value(0))
        self._expect(")")
        self._is_percent = False
        return function(given)

    def _take(self) -> str:
        word = self.next
        self._at += 1
        return word

    def _expect(self, word: str) -> None:
        if self._take() != word:
            raise ToolFailed(f"A {word!r} is missing.")


def _parse_number(word: str) -> Number:
    mantissa, _, exponent = word.lower().replace("_", "").partition("e")
    if abs(int(exponent or 0)) > MAX_EXPONENT:
        raise ToolFailed("The numbers become too large.")
    return Number(Fraction(mantissa if not mantissa.endswith(".") else mantissa + "0") * Fraction(10) ** int(exponent or 0))


def _apply_operator(operator: str, left: Number, right: Number, *, of_left: bool) -> Number:
    is_exact, a, b = left.is_exact and right.is_exact, left.value, right.value
    if operator in ("^", "**"):
        return power(left, right)
    if operator in ("/", "//", "%") and b == 0:
        raise ToolFailed("Nothing can be divided by zero.")
    match operator:
        case "+" | "-":
            part = a * b if of_left else b
            return Number(a + part if operator == "+" else a - part, is_exact)
        case "*" | "of":
            return Number(a * b, is_exact)
        case "/":
            return Number(a / b, is_exact)
        case "//":
            return Number(Fraction(a // b), is_exact)
    return Number(a % b, is_exact)


@tool(timeout_s=3)
def calculator(expression: Annotated[str, Field(description="For example: 12.5% of 840, or (3 + 4)^2 / sqrt(2)", max_length=1000)]) -> str:
    """Reckon exactly. Use it for any arithmetic.

    Knows + - * / // ^ ! and parentheses, `a % b` as the remainder, `12.5%` and `12.5% of 840` as percent (`200 + 10%` is
    220), pi, e, tau, and abs, round(x, places), floor, ceil, trunc, sqrt, cbrt, exp, ln, log10, log2, log(x, base), sin,
    cos, tan, asin, acos, atan, radians, degrees, min, max, sum, mean, gcd, lcm, factorial.
    """
    return format_number(evaluate(expression))
