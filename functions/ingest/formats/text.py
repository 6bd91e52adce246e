"""Plain text."""

import re
from collections.abc import Iterator

from functions.ingest.block import Block

_BETWEEN = re.compile(r"\n\s*\n")


def read(text: str) -> Iterator[Block]:
    """Yield the paragraphs, which blank lines part."""
    for part in _BETWEEN.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        if paragraph := part.strip():
            yield Block("paragraph", paragraph)
