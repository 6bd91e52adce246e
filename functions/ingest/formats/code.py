"""Source code, split into sections at its definitions."""

import re
from collections.abc import Iterator

from functions.ingest.block import Block

# The first words of a definition, in widely used languages.
_DEFINES = re.compile(
    r"^(?:(?:export|public|private|protected|internal|static|async|abstract|final|default|pub(?:\(\w+\))?)\s+)*"
    r"(?:def|class|func|function|fn|interface|struct|enum|trait|impl|type|module|object|record|CREATE\s+\w+)\s+[\w<.:*\"`]+",
    re.IGNORECASE,
)


def read(text: str) -> Iterator[Block]:
    """Yield a heading with the first words of each definition, followed by the code up to the next definition."""
    lines: list[str] = []
    for line in text.splitlines():
        definition = _DEFINES.match(line)
        if definition:
            yield from _code_block(lines)
            lines = []
            yield Block("heading", definition[0].strip().rstrip(":"), level=1)
        lines.append(line)
    yield from _code_block(lines)


def _code_block(lines: list[str]) -> Iterator[Block]:
    text = "\n".join(lines).strip("\n").rstrip()
    if text:
        yield Block("code", text)
