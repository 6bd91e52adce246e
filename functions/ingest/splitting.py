"""Splitting what is too long for one chunk: text between sentences, code between lines, tables between rows."""

import re
from collections.abc import Iterator, Sequence

from functions.ingest.block import Block
from parley.llm.tokens import BYTES_PER_TOKEN, estimate_tokens

_BETWEEN = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=\S)|(?<=[。！？])|\n+")


def sentences(text: str) -> list[str]:
    """Split text behind its full stops, in most scripts."""
    return [said for part in _BETWEEN.split(text) if (said := part.strip())]


def split(block: Block, *, most_tokens: int) -> Iterator[str]:
    """Yield the block's text, in pieces where it takes more than `most_tokens`; each piece of a table has its first row."""
    if estimate_tokens(block.text) <= most_tokens:
        yield block.text
    elif block.kind == "table":
        header, *rows = block.text.split("\n")
        head = _cut(header, most_tokens // 4)[0]
        # What of the names is not repeated stands in the first rows.
        rows = rows if head == header else [header.removeprefix(head), *rows]
        for piece in _packed(rows, "\n", most_tokens - estimate_tokens(head)):
            yield f"{head}\n{piece}"
    elif block.kind == "code":
        yield from _packed(block.text.split("\n"), "\n", most_tokens)
    else:
        yield from _packed(sentences(block.text), " ", most_tokens)


def _packed(parts: Sequence[str], between: str, most_tokens: int) -> Iterator[str]:
    """Join as many parts as fit; one that is too long by itself is cut."""
    packed: list[str] = []
    tokens = 0
    for part in (piece for whole in parts for piece in _cut(whole, most_tokens)):
        takes = estimate_tokens(part)
        if packed and tokens + takes > most_tokens:
            yield between.join(packed)
            packed, tokens = [], 0
        packed.append(part)
        tokens += takes
    if any(part.strip() for part in packed):
        yield between.join(packed)


def _cut(text: str, most_tokens: int) -> list[str]:
    """Cut text without a place to split at, at spaces where it has some."""
    if estimate_tokens(text) <= most_tokens:
        return [text]
    # The widest character has four bytes.
    width = max(most_tokens * BYTES_PER_TOKEN // 4, 1)
    pieces: list[str] = []
    while text:
        end = len(text) if len(text) <= width else max(text.rfind(" ", width // 2, width), 0) or width
        pieces.append(text[:end])
        text = text[end:].lstrip()
    return pieces
