"""A calculator with exact decimals. Only arithmetic is evaluated (docs/adr/0011).

The expression is translated to Python syntax, parsed by `ast`, and evaluated on `Number` by a whitelist of nodes. These
notations differ from Python's:

x^y      becomes `x ** y`, and `x of y` becomes `x * y`
x!       becomes the attribute `x .FACTORIAL`, which binds tighter than `**`, as a postfix operator must
x%       becomes `x .PERCENT`, a hundredth of x, unless a value follows: then `%` is the remainder
a + x%   adds x percent of a, unless a is a percentage too: 200 + 10% is 220, and 50% + 50% is 1
(x)      becomes `(x).GROUP`, because `ast` drops parentheses, and 200 + (10%) is 200.1

The expression is converted to lower case before the translation, so it cannot contain these attributes itself.
"""

import ast
import operator
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field

from functions.toolrunner.builtin.exact_math import (
    CONSTANTS,
    DIVISION_BY_ZERO,
    FUNCTIONS,
    TOO_LARGE,
    Number,
    NumberFunction,
    factorial,
    format_number,
    power,
)
from parley.tools.decorator import tool
from parley.tools.spec import ToolFailed

MAX_DEPTH = 60
MAX_EXPONENT = 3000
_TOO_DEEP = "The expression is nested too deeply."

_NOT_ARITHMETIC = re.compile(r"[^\w\s.+*/%^!(),-]", re.ASCII)
_NUMBER = re.compile(r"(?<!\w)(?:(\d[\d_]*\.?\d*|\.\d+)(?:e([+-]?\d+))?)", re.ASCII)
_SYNONYMS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "π": "pi", "²": "^2", "³": "^3"})
_TRANSLATIONS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\bper ?cent\b", "%"),
        (r"%(?!\s*([\d.(]|(?!of\b)[a-z]))", " .PERCENT"),
        (r"!", " .FACTORIAL"),
        (r"\)", ").GROUP"),
        (r"\^", "**"),
        (r"(?<![a-z_])of\b", "*"),
    )
]
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def evaluate(expression: str) -> Number:
    """Return the value. Raises ToolFailed, with a message for the model, if the expression is not arithmetic or has no value."""
    text = " ".join(expression.translate(_SYNONYMS).lower().split()).rstrip("=? ")
    if unknown := _NOT_ARITHMETIC.search(text):
        raise ToolFailed(f"{unknown[0]!r} is not arithmetic.")
    for pattern, replacement in _TRANSLATIONS:
        text = pattern.sub(replacement, text)
    numbers: list[Number] = []
    try:
        tree = ast.parse(_extract_numbers(text, numbers).strip(), mode="eval")
        return _Evaluator(numbers).value(tree.body)
    except (RecursionError, MemoryError) as exc:
        raise ToolFailed(_TOO_DEEP) from exc
    except SyntaxError as exc:
        raise ToolFailed(_TOO_DEEP if "too many nested" in exc.msg else f"The expression is malformed: {exc.msg}.") from exc


def _extract_numbers(text: str, numbers: list[Number]) -> str:
    """Append each number to `numbers` and replace it with its index there, because Python's own literals are not exact."""

    def replace(match: re.Match[str]) -> str:
        exponent = int(match[2] or 0)
        if abs(exponent) > MAX_EXPONENT:
            raise ToolFailed(TOO_LARGE)
        numbers.append(Number(Fraction(match[1].replace("_", "").removesuffix(".")) * Fraction(10) ** exponent))
        return f" {len(numbers) - 1} "

    return _NUMBER.sub(replace, text)


class _Evaluator:
    def __init__(self, numbers: Sequence[Number]) -> None:
        self._numbers = numbers

    def value(self, node: ast.expr, depth: int = 1) -> Number:
        """Return the value of a node. A chain such as `1 + 2 - 3` is nested to the left and is evaluated without recursion."""
        if depth > MAX_DEPTH:
            raise ToolFailed(_TOO_DEEP)
        chain: list[ast.BinOp] = []
        while isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            chain.append(node)
            node = node.left
        result = self._operand(node, depth)
        for operation in reversed(chain):
            result = _apply(operation, result, self.value(operation.right, depth + 1))
        return result

    def _operand(self, node: ast.expr, depth: int) -> Number:
        match node:
            case ast.Constant(value=int(index)):
                return self._numbers[index]
            case ast.Name(id=name):
                return _constant(name)
            case ast.Call(func=ast.Name(id=name), args=[_, *_] as arguments, keywords=[]):
                return _function(name)([self.value(argument, depth + 1) for argument in arguments])
            case ast.UnaryOp(op=ast.UAdd(), operand=operand) | ast.Attribute(value=operand, attr="GROUP"):
                return self.value(operand, depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self.value(operand, depth + 1)
                return Number(-number.value, number.is_exact)
            case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
                return power(self._operand(base, depth), self.value(exponent, depth + 1))
            case ast.Attribute(value=operand, attr="FACTORIAL"):
                return factorial(self._operand(operand, depth))
            case ast.Attribute(value=operand, attr="PERCENT"):
                number = self._operand(operand, depth)
                return Number(number.value / 100, number.is_exact)
        raise ToolFailed("The expression is not arithmetic.")


def _constant(name: str) -> Number:
    if name in FUNCTIONS:
        raise ToolFailed(f"A '(' is missing after {name!r}.")
    if name not in CONSTANTS:
        raise ToolFailed(f"{name!r} is unknown.")
    return CONSTANTS[name]


def _function(name: str) -> NumberFunction:
    if name not in FUNCTIONS:
        raise ToolFailed(f"{name!r} is not a function.")
    return FUNCTIONS[name]


def _apply(operation: ast.BinOp, left: Number, right: Number) -> Number:
    operand = right.value
    if isinstance(operation.op, ast.Add | ast.Sub) and _is_percentage(operation.right) and not _is_percentage(operation.left):
        operand *= left.value
    try:
        result = _OPERATORS[type(operation.op)](left.value, operand)
    except ZeroDivisionError as exc:
        raise ToolFailed(DIVISION_BY_ZERO) from exc
    return Number(Fraction(result), left.is_exact and right.is_exact)


def _is_percentage(node: ast.expr) -> bool:
    """Return whether a node is a bare `x%`, with or without a sign."""
    while isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Attribute) and node.attr == "PERCENT"


@tool(timeout_s=3)
def calculator(expression: Annotated[str, Field(description="For example: 12.5% of 840, or (3 + 4)^2 / sqrt(2)", max_length=1000)]) -> str:
    """Calculate exactly. Use it for any arithmetic.

    Knows + - * / // ^ ! and parentheses, `a % b` as the remainder, `12.5%` and `12.5% of 840` as percent (`200 + 10%` is
    220), pi, e, tau, and abs, round(x, places), floor, ceil, trunc, sqrt, cbrt, exp, ln, log10, log2, log(x, base), sin,
    cos, tan, asin, acos, atan, radians, degrees, min, max, sum, mean, gcd, lcm, factorial.
    """
    return format_number(evaluate(expression))
