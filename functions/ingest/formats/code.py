"""Source code, below the names that it defines."""

import re
from collections.abc import Iterator

from functions.ingest.block import Block

# What begins a definition at a line's start, in the languages that most people write.
_DEFINES = re.compile(
    r"^(?:(?:export|public|private|protected|internal|static|async|abstract|final|default|pub(?:\(\w+\))?)\s+)*"
    r"(?:def|class|func|function|fn|interface|struct|enum|trait|impl|type|module|object|record|CREATE\s+\w+)\s+[\w<.:*\"`]+",
    re.IGNORECASE,
)


def read(text: str) -> Iterator[Block]:
    """Yield pieces of code that end where a definition begins, each below its first line as a heading."""
    lines: list[str] = []
    for line in text.splitlines():
        found = _DEFINES.match(line)
        if found:
            yield from _piece(lines)
            lines = []
            yield Block("heading", found[0].strip().rstrip(":"), level=1)
        lines.append(line)
    yield from _piece(lines)


def _piece(lines: list[str]) -> Iterator[Block]:
    text = "\n".join(lines).strip("\n").rstrip()
    if text:
        yield Block("code", text)
