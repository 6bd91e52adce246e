"""JSON: one line for each value, with the path to it."""

import json
from collections.abc import Iterator

from functions.ingest.block import Block

_LINES = 40


def read(text: str) -> Iterator[Block]:
    """Yield the values in order, some lines to a block; each element of a list at the top begins a block."""
    value = json.loads(text)
    for path, part in enumerate(value) if isinstance(value, list) else [("", value)]:
        lines = list(_lines(part, str(path)))
        for first in range(0, len(lines), _LINES):
            yield Block("paragraph", "\n".join(lines[first : first + _LINES]))


def _lines(value: object, path: str) -> Iterator[str]:
    stack = [(path, value)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack += [(f"{path}.{key}".lstrip("."), part) for key, part in reversed(value.items())]
        elif isinstance(value, list):
            stack += [(f"{path}[{place}]", value[place]) for place in reversed(range(len(value)))]
        else:
            rendered = value if isinstance(value, str) else json.dumps(value)
            yield f"{path}: {rendered}" if path else rendered
