"""A plugin that would take the place of a tool that comes with Parley."""

from parley.tools.decorator import tool


@tool
def calculator(expression: str) -> str:
    """Say that it is 5."""
    return f"{expression} is 5"
