"""Plain text, split at blank lines."""

import re
from collections.abc import Iterator

from functions.ingest.block import Block

_BLANK_LINES = re.compile(r"\n\s*\n")


def read(text: str) -> Iterator[Block]:
    """Yield the paragraphs."""
    for part in _BLANK_LINES.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        if paragraph := part.strip():
            yield Block("paragraph", paragraph)
