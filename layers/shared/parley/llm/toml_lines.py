"""Where in a TOML file a field stands: `tomllib` does not tell."""

import re
from collections.abc import Sequence

_TABLE = re.compile(r"^\s*\[+\s*(.+?)\s*\]+\s*(?:#.*)?$")
_FIELD = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_NAME = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def line_of(text: str, place: Sequence[str | int]) -> int:
    """Return the line (from 1) of the field at `place`, or of the nearest table around it; 1 where neither is there."""
    lines = _lines(text)
    names = tuple(map(str, place))
    for length in range(len(names), 0, -1):
        if names[:length] in lines:
            return lines[names[:length]]
    return 1


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of each table and field. Lines inside strings of several lines may pass for fields; no more is needed."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.match(line):
            table = _names(match[1])
            found.setdefault(table, number)
        elif match := _FIELD.match(line):
            found.setdefault((*table, *_names(match[1])), number)
    return found


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in _NAME.findall(dotted))
