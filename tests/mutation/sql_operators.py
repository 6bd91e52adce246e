"""Mutation operators for SQL, which no tool for Python has: each drops one predicate, limit or lock of a statement.

SQL in text is changed inside its string. In SQLAlchemy's expressions, a comparison of a column becomes true.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_USER = r"(?:[a-z]\w*\.)?(?:user_id|id)\s*=\s*(?:CAST\(:user_id AS uuid\)|:user_id|[a-z]\w*\.user_id)"
_STATUS = r"(?:[a-z]\w*\.)?(?:status|role|state|topic|purpose|kind)\s*(?:(?:=|<>)\s*(?:'[a-z_]+'|:\w+)|(?:NOT )?IN \([^()]*\))"
_NULL = r"(?:[a-z]\w*\.)?[a-z_]+ IS (?:NOT )?NULL"
_MOMENT = r"(?:now\(\)|clock_timestamp\(\))"
_EXPIRY = rf"(?:[a-z]\w*\.)?[a-z]+(?:_at|_until|_since)\s*[<>]=?\s*{_MOMENT}(?:\s*[-+]\s*(?:interval '[^']+'|\{{\w+\}}))?"
_FLAG = r"(?<=AND )(?:NOT )?(?:[a-z]\w*\.)?(?:is_[a-z_]+|memory_enabled)\b(?!\s*[=:(])"
# What the operator drops, and what stands in its place.
SQL_OPERATORS: dict[str, tuple[re.Pattern[str], str]] = {
    "drop_user": (re.compile(rf"\b{_USER}"), "true"),
    "drop_status": (re.compile(rf"\b{_STATUS}"), "true"),
    "drop_null": (re.compile(rf"\b{_NULL}"), "true"),
    "drop_expiry": (re.compile(rf"\b{_EXPIRY}"), "true"),
    "drop_flag": (re.compile(_FLAG), "true"),
    "drop_limit": (re.compile(r"\bLIMIT (?::\w+|\d+|CAST\(:\w+ AS integer\))"), ""),
    "drop_lock": (re.compile(r"\bFOR (?:NO KEY )?(?:UPDATE|SHARE)(?: OF \w+(?:, \w+)*)?(?: SKIP LOCKED)?"), ""),
    "swap_extreme": (re.compile(r"\bgreatest(?=\()"), "least"),
    # Nobody can make a stored time equal to the clock.
    "shift_bound": (re.compile(rf"(?<= )<=(?= (?!{_MOMENT}|:now\b))"), "<"),
}
_IS_SQL = re.compile(r"\b(?:SELECT|UPDATE|DELETE FROM|INSERT INTO|WHERE|AND)\b")
_COLUMN_METHODS = {"is_", "is_not", "in_", "not_in", "is_distinct_from"}
_TRUE = '__import__("sqlalchemy").true()'


@dataclass(frozen=True)
class Change:
    """One mutation of a file: the operator, the line that it changes, and the whole changed source."""

    operator: str
    line: int
    source: str


def sql_changes(source: str) -> Iterator[Change]:
    """Yield the changes of all operators for SQL to a Python file."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    tree = ast.parse(source)
    # A part of a format string ends where a value is inserted, which may be in the middle of a predicate.
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or node.end_lineno is None or node.end_col_offset is None or id(node) in parts:
            continue
        # Columns count bytes of UTF-8; the lines of a tree whose SQL and names are ASCII have as many characters.
        begin, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        if is_text(node) and _IS_SQL.search(source, begin, end):
            yield from _text_changes(source, begin, end)
        elif is_column_predicate(node):
            yield Change("drop_column_predicate", node.lineno, f"{source[:begin]}{_TRUE}{source[end:]}")


def is_text(node: ast.expr) -> bool:
    """Return whether the expression is a string or a format string."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def is_column_predicate(node: ast.expr) -> bool:
    """Return whether the expression compares a column, such as `users.c.id == user_id` or `users.c.disabled_at.is_(None)`."""
    if isinstance(node, ast.Compare):
        return any(_is_column(side) for side in (node.left, *node.comparators))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in _COLUMN_METHODS and _is_column(node.func.value)
    return False


def _is_column(node: ast.expr) -> bool:
    owner = node.value if isinstance(node, ast.Attribute) else None
    return (isinstance(owner, ast.Attribute) and owner.attr == "c") or (isinstance(owner, ast.Name) and owner.id == "columns")


def _text_changes(source: str, begin: int, end: int) -> Iterator[Change]:
    for operator, (pattern, replacement) in SQL_OPERATORS.items():
        for found in pattern.finditer(source, begin, end):
            line = source.count("\n", 0, found.start()) + 1
            yield Change(operator, line, source[: found.start()] + replacement + source[found.end() :])


def unique(changes: Iterator[Change]) -> list[Change]:
    """Return the changes in the order of their lines, each source once."""
    by_source = {change.source: change for change in changes}
    return sorted(by_source.values(), key=lambda change: (change.line, change.operator))


def changes_of(path: Path) -> list[Change]:
    """Return the changes to a file."""
    return unique(sql_changes(path.read_text()))
