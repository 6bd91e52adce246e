"""Splits a document into chunks along its structure.

A chunk never spans two sections or two pages. Paragraphs, code and tables stay whole if they fit. A longer block is split:
text between sentences, code between lines, and tables between rows.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from functions.ingest.block import Block
from parley.llm.tokens import BYTES_PER_TOKEN, estimate_tokens

CHUNK_TOKENS = 400
OVERLAP_TOKENS = 60
# Every chunk stores its heading path: a heading of a megabyte above a hundred thousand chunks would take 100 GB.
MAX_HEADING_CHARACTERS = 200
MAX_HEADING_PATH_CHARACTERS = 1000
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=\S)|(?<=[。！？])|\n+")
_NON_SPACE = re.compile(r"\S")
_MAX_UTF8_BYTES_PER_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class Chunk:
    """A searchable section of a document.

    `number` counts from 0. `headings` are the titles of its sections, outermost first. `page` is the page on which it begins,
    and `start` its offset in the document's text, in characters.
    """

    number: int
    text: str
    headings: tuple[str, ...]
    page: int | None
    start: int
    tokens: int

    def heading_path(self, title: str) -> str:
        """Return the document's title and the headings, joined by ` > `. Search covers the path, because it names the topic."""
        return " > ".join([title, *self.headings])


@dataclass(slots=True)
class _ChunkBuffer:
    """The chunk being filled. `overlap` repeats the end of the previous chunk. It is never a chunk on its own."""

    page: int | None = None
    start: int = 0
    texts: list[str] = field(default_factory=list)
    tokens: int = 0
    overlap: str = ""


class Chunker:
    """Splits one document. Sizes are estimated tokens (`parley.llm.tokens`)."""

    def __init__(self, *, chunk_tokens: int = CHUNK_TOKENS, overlap_tokens: int = OVERLAP_TOKENS) -> None:
        self._chunk_tokens = chunk_tokens
        self._overlap_tokens = overlap_tokens
        self._headings: list[tuple[int, str]] = []
        self._number = 0
        self._offset = 0
        self._buffer = _ChunkBuffer()

    def chunks_of(self, blocks: Iterable[Block]) -> Iterator[Chunk]:
        """Yield the chunks in order. Equal blocks always give equal chunks, so that ingestion can be resumed."""
        for block in blocks:
            if block.kind == "heading":
                yield from self._flush()
                self._enter_section(block)
            else:
                for offset, segment in _with_offsets(block, split_block(block, max_tokens=self._chunk_tokens)):
                    yield from self._add(segment, block, self._offset + offset)
            self._offset += len(block.text) + 1
        yield from self._flush()

    def _enter_section(self, heading: Block) -> None:
        """Start a section, without overlap from the previous section."""
        title = heading.text[:MAX_HEADING_CHARACTERS]
        self._headings = [parent for parent in self._headings if parent[0] < heading.level] + [(heading.level, title)]
        self._buffer = _ChunkBuffer()

    def _heading_titles(self) -> tuple[str, ...]:
        """Return the titles of the current section and its parents, without the outermost titles if the path is too long."""
        titles = [title for _, title in self._headings]
        while sum(map(len, titles)) > MAX_HEADING_PATH_CHARACTERS:
            del titles[0]
        return tuple(titles)

    def _add(self, segment: str, block: Block, start: int) -> Iterator[Chunk]:
        tokens = estimate_tokens(segment)
        # Citations name one page, so a chunk neither crosses a page break nor repeats text of the previous page.
        is_next_page = bool(self._buffer.texts) and self._buffer.page != block.page
        if is_next_page or (self._buffer.texts and self._buffer.tokens + tokens > self._chunk_tokens):
            yield from self._flush()
        if is_next_page:
            self._buffer.overlap = ""
        if not self._buffer.texts:
            self._buffer.page, self._buffer.start = block.page, start
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
        """Return the last sentences of `text` that fit into the overlap. The next chunk may refer to them."""
        overlap: list[str] = []
        for sentence in reversed(split_sentences(text)):
            if sum(map(estimate_tokens, [*overlap, sentence])) > self._overlap_tokens:
                break
            overlap.insert(0, sentence)
        return " ".join(overlap)


def split_block(block: Block, *, max_tokens: int) -> Iterator[str]:
    """Yield the block's text in segments of at most `max_tokens`. Every segment of a table begins with its first row."""
    if estimate_tokens(block.text) <= max_tokens:
        yield block.text
    elif block.kind == "table":
        yield from _split_table(block.text, max_tokens)
    elif block.kind == "code":
        yield from _pack(block.text.split("\n"), "\n", max_tokens)
    else:
        yield from _pack(split_sentences(block.text), " ", max_tokens)


def _with_offsets(block: Block, segments: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the block's segments with their offsets in its text.

    Splitting loses only whitespace and closing quotes between words, so the words of the segments follow each other in the text.
    """
    position, previous = 0, ""
    for segment in segments:
        position = _after_words(block.text, previous, position)
        # All segments of a table but the first repeat its first row.
        previous = segment.partition("\n")[2] if previous and block.kind == "table" else segment
        first_word = next(iter(previous.split(maxsplit=1)), "")
        position = max(block.text.find(first_word, position), position)
        yield position, segment


def _after_words(text: str, words: str, position: int) -> int:
    for word in words.split():
        position = max(text.find(word, position), position) + len(word)
    return position


def split_sentences(text: str) -> list[str]:
    """Split text after the punctuation that ends a sentence in Latin and East Asian scripts, and at line breaks."""
    return [sentence for part in _SENTENCE_END.split(text) if (sentence := part.strip())]


def _split_table(text: str, max_tokens: int) -> Iterator[str]:
    header, *rows = text.split("\n")
    repeated = _split_anywhere(header, max_tokens // 4)[0]
    # Column names that are too long to be repeated appear once, as the first row.
    rows = rows if repeated == header else [header.removeprefix(repeated), *rows]
    for segment in _pack(rows, "\n", max_tokens - estimate_tokens(repeated)):
        yield f"{repeated}\n{segment}"


def _pack(parts: Sequence[str], separator: str, max_tokens: int) -> Iterator[str]:
    """Join consecutive parts into segments of at most `max_tokens`, and split each part that is longer."""
    packed: list[str] = []
    packed_tokens = 0
    for part in (segment for whole in parts for segment in _split_anywhere(whole, max_tokens)):
        tokens = estimate_tokens(part)
        if packed and packed_tokens + tokens > max_tokens:
            yield separator.join(packed)
            packed, packed_tokens = [], 0
        packed.append(part)
        packed_tokens += tokens
    if any(part.strip() for part in packed):
        yield separator.join(packed)


def _split_anywhere(text: str, max_tokens: int) -> list[str]:
    """Split text that has no better boundary. A segment ends at a space in its second half, or inside a word if there is none."""
    if estimate_tokens(text) <= max_tokens:
        return [text]
    width = max(max_tokens * BYTES_PER_TOKEN // _MAX_UTF8_BYTES_PER_CHARACTER, 1)
    segments: list[str] = []
    start = 0
    # Advance an index: copying the remaining text for each segment would take time quadratic in its length.
    while start < len(text):
        end = _segment_end(text, start, width)
        segments.append(text[start:end])
        following = _NON_SPACE.search(text, end)
        start = following.start() if following else len(text)
    return segments


def _segment_end(text: str, start: int, width: int) -> int:
    if len(text) - start <= width:
        return len(text)
    space = text.rfind(" ", start + width // 2, start + width)
    return space if space > start else start + width
