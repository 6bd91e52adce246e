"""JSON, as one line per value with its path."""

import json
from collections.abc import Iterator

from functions.ingest.block import Block

_LINES_PER_BLOCK = 40


def read(text: str) -> Iterator[Block]:
    """Yield the values in order, up to 40 lines per block. Each element of a top-level list starts a new block."""
    value = json.loads(text)
    for path, part in enumerate(value) if isinstance(value, list) else [("", value)]:
        lines = list(_lines(part, str(path)))
        for first in range(0, len(lines), _LINES_PER_BLOCK):
            yield Block("paragraph", "\n".join(lines[first : first + _LINES_PER_BLOCK]))


def _lines(value: object, path: str) -> Iterator[str]:
    stack = [(path, value)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack += [(f"{path}.{key}".lstrip("."), part) for key, part in reversed(value.items())]
        elif isinstance(value, list):
            stack += [(f"{path}[{index}]", value[index]) for index in reversed(range(len(value)))]
        else:
            rendered = value if isinstance(value, str) else json.dumps(value)
            yield f"{path}: {rendered}" if path else rendered
