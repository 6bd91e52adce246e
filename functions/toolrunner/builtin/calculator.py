"""A calculator whose decimals are exact. Nothing is evaluated but arithmetic (docs/adr/0011)."""

from typing import Annotated

from pydantic import Field

from functions.toolrunner.builtin.arithmetic import evaluate
from functions.toolrunner.builtin.number import told
from parley.tools.decorator import tool


@tool(timeout_s=3)
def calculator(expression: Annotated[str, Field(description="For example: 12.5% of 840, or (3 + 4)^2 / sqrt(2)", max_length=1000)]) -> str:
    """Reckon exactly. Use it for any arithmetic.

    Knows + - * / // ^ ! and parentheses, `a % b` as the remainder, `12.5%` and `12.5% of 840` as percent (`200 + 10%` is
    220), pi, e, tau, and abs, round(x, places), floor, ceil, trunc, sqrt, cbrt, exp, ln, log10, log2, log(x, base), sin,
    cos, tan, asin, acos, atan, radians, degrees, min, max, sum, mean, gcd, lcm, factorial.
    """
    return told(evaluate(expression))
