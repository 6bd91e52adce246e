"""Splits a document into chunks by its structure: one section at a time, paragraphs, code and tables whole where they fit.

A block too long for one chunk is split: text between sentences, code between lines, tables between rows.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from functions.ingest.block import Block
from parley.llm.tokens import BYTES_PER_TOKEN, estimate_tokens


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece by its number, from 0. `headings` lead to it, `page` is where it begins, `start` counts the document's characters."""

    number: int
    text: str
    headings: tuple[str, ...]
    page: int | None
    start: int
    tokens: int

    def heading_path(self, title: str) -> str:
        """Return the way to it, from the document's title down: searched with the text, for it tells what the text is about."""
        return " > ".join([title, *self.headings])


_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=\S)|(?<=[。！？])|\n+")


def split_sentences(text: str) -> list[str]:
    """Split text behind its full stops, in most scripts."""
    return [sentence for part in _SENTENCE_END.split(text) if (sentence := part.strip())]


def split_block(block: Block, *, max_tokens: int) -> Iterator[str]:
    """Yield the block's text, in pieces where it takes more than `most_tokens`; each piece of a table has its first row."""
    if estimate_tokens(block.text) <= max_tokens:
        yield block.text
    elif block.kind == "table":
        header, *rows = block.text.split("\n")
        head = _split_anywhere(header, max_tokens // 4)[0]
        # What of the names is not repeated stands in the first rows.
        rows = rows if head == header else [header.removeprefix(head), *rows]
        for segment in _pack(rows, "\n", max_tokens - estimate_tokens(head)):
            yield f"{head}\n{segment}"
    elif block.kind == "code":
        yield from _pack(block.text.split("\n"), "\n", max_tokens)
    else:
        yield from _pack(split_sentences(block.text), " ", max_tokens)


def _pack(parts: Sequence[str], between: str, max_tokens: int) -> Iterator[str]:
    """Join as many parts as fit; one that is too long by itself is cut."""
    packed: list[str] = []
    tokens = 0
    for part in (segment for whole in parts for segment in _split_anywhere(whole, max_tokens)):
        takes = estimate_tokens(part)
        if packed and tokens + takes > max_tokens:
            yield between.join(packed)
            packed, tokens = [], 0
        packed.append(part)
        tokens += takes
    if any(part.strip() for part in packed):
        yield between.join(packed)


def _split_anywhere(text: str, max_tokens: int) -> list[str]:
    """Cut text without a place to split at, at spaces where it has some."""
    if estimate_tokens(text) <= max_tokens:
        return [text]
    # The widest character has four bytes.
    width = max(max_tokens * BYTES_PER_TOKEN // 4, 1)
    segments: list[str] = []
    while text:
        end = len(text) if len(text) <= width else max(text.rfind(" ", width // 2, width), 0) or width
        segments.append(text[:end])
        text = text[end:].lstrip()
    return segments


CHUNK_TOKENS = 400


OVERLAP_TOKENS = 60


# The way stands with each chunk: a heading of a megabyte above a hundred thousand chunks would be 100 GB.
MAX_HEADING_CHARACTERS = 200


MAX_HEADING_PATH_CHARACTERS = 1000


@dataclass(slots=True)
class _ChunkBuffer:
    """A chunk under way. `carried` is the end of the one before, which alone makes no chunk."""

    page: int | None = None
    start: int = 0
    texts: list[str] = field(default_factory=list)
    tokens: int = 0
    overlap: str = ""


class Chunker:
    """Cuts one document; `chunk_tokens` are estimated, as everywhere."""

    def __init__(self, *, chunk_tokens: int = CHUNK_TOKENS, overlap_tokens: int = OVERLAP_TOKENS) -> None:
        self._chunk_tokens, self._overlap_tokens = chunk_tokens, overlap_tokens
        self._headings: list[tuple[int, str]] = []
        self._number = self._offset = 0
        self._buffer = _ChunkBuffer()

    def chunks_of(self, blocks: Iterable[Block]) -> Iterator[Chunk]:
        """Yield the chunks in order. The same blocks make the same chunks, number by number."""
        for block in blocks:
            if block.kind == "heading":
                yield from self._flush()
                self._enter_section(block)
            else:
                for segment in split_block(block, max_tokens=self._chunk_tokens):
                    yield from self._add(segment, block)
            self._offset += len(block.text) + 1
        yield from self._flush()

    def _enter_section(self, heading: Block) -> None:
        """Go below a heading; the end of another section is not carried over."""
        text = heading.text[:MAX_HEADING_CHARACTERS]
        self._headings = [one for one in self._headings if one[0] < heading.level] + [(heading.level, text)]
        self._buffer = _ChunkBuffer()

    def _heading_titles(self) -> tuple[str, ...]:
        """Return the headings that lead here; of a way that is too long the innermost."""
        titles = [title for _, title in self._headings]
        while sum(map(len, titles)) > MAX_HEADING_PATH_CHARACTERS:
            del titles[0]
        return tuple(titles)

    def _add(self, segment: str, block: Block) -> Iterator[Chunk]:
        tokens = estimate_tokens(segment)
        # A citation leads to a page: no chunk goes over its end, nor has anything of the page before.
        is_next_page = bool(self._buffer.texts) and self._buffer.page != block.page
        if is_next_page or (self._buffer.texts and self._buffer.tokens + tokens > self._chunk_tokens):
            yield from self._flush()
        if is_next_page:
            self._buffer.overlap = ""
        if not self._buffer.texts:
            self._buffer.page, self._buffer.start = block.page, self._offset
        self._buffer.texts.append(segment)
        self._buffer.tokens += tokens

    def _flush(self) -> Iterator[Chunk]:
        buffer = self._buffer
        if buffer.texts:
            text = "\n\n".join(filter(None, [buffer.overlap, *buffer.texts]))
            yield Chunk(self._number, text, self._heading_titles(), buffer.page, buffer.start, estimate_tokens(text))
            self._number += 1
            self._buffer = _ChunkBuffer(overlap=self._overlap_after(buffer.texts[-1]))

    def _overlap_after(self, text: str) -> str:
        """Return the last sentences of a chunk that fit the overlap: what refers to them is found with them."""
        kept: list[str] = []
        for sentence in reversed(split_sentences(text)):
            if sum(map(estimate_tokens, [*kept, sentence])) > self._overlap_tokens:
                break
            kept.insert(0, sentence)
        return " ".join(kept)
