"""Cutting a document by its structure: what stands below one heading together, paragraphs, code and tables whole where they fit."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from functions.ingest.block import Block
from functions.ingest.chunk import Chunk
from functions.ingest.splitting import sentences, split
from parley.llm.tokens import estimate_tokens

CHUNK_TOKENS = 400
OVERLAP_TOKENS = 60
# The way stands with each chunk: a heading of a megabyte above a hundred thousand chunks would be 100 GB.
MOST_HEADING_CHARACTERS = 200
MOST_WAY_CHARACTERS = 1000


@dataclass(slots=True)
class _Draft:
    """A chunk under way. `carried` is the end of the one before, which alone makes no chunk."""

    page: int | None = None
    start: int = 0
    texts: list[str] = field(default_factory=list)
    tokens: int = 0
    carried: str = ""


class Cutter:
    """Cuts one document; `chunk_tokens` are estimated, as everywhere."""

    def __init__(self, *, chunk_tokens: int = CHUNK_TOKENS, overlap_tokens: int = OVERLAP_TOKENS) -> None:
        self._chunk_tokens, self._overlap_tokens = chunk_tokens, overlap_tokens
        self._headings: list[tuple[int, str]] = []
        self._number = self._at = 0
        self._draft = _Draft()

    def cut(self, blocks: Iterable[Block]) -> Iterator[Chunk]:
        """Yield the chunks in order. The same blocks make the same chunks, number by number."""
        for block in blocks:
            if block.kind == "heading":
                yield from self._close()
                self._enter(block)
            else:
                for piece in split(block, most_tokens=self._chunk_tokens):
                    yield from self._add(piece, block)
            self._at += len(block.text) + 1
        yield from self._close()

    def _enter(self, heading: Block) -> None:
        """Go below a heading; the end of another section is not carried over."""
        text = heading.text[:MOST_HEADING_CHARACTERS]
        self._headings = [one for one in self._headings if one[0] < heading.level] + [(heading.level, text)]
        self._draft = _Draft()

    def _way(self) -> tuple[str, ...]:
        """Return the headings that lead here; of a way that is too long the innermost."""
        titles = [title for _, title in self._headings]
        while sum(map(len, titles)) > MOST_WAY_CHARACTERS:
            del titles[0]
        return tuple(titles)

    def _add(self, piece: str, block: Block) -> Iterator[Chunk]:
        tokens = estimate_tokens(piece)
        # A citation leads to a page: no chunk goes over its end, nor has anything of the page before.
        is_next_page = bool(self._draft.texts) and self._draft.page != block.page
        if is_next_page or (self._draft.texts and self._draft.tokens + tokens > self._chunk_tokens):
            yield from self._close()
        if is_next_page:
            self._draft.carried = ""
        if not self._draft.texts:
            self._draft.page, self._draft.start = block.page, self._at
        self._draft.texts.append(piece)
        self._draft.tokens += tokens

    def _close(self) -> Iterator[Chunk]:
        draft = self._draft
        if draft.texts:
            text = "\n\n".join(filter(None, [draft.carried, *draft.texts]))
            yield Chunk(self._number, text, self._way(), draft.page, draft.start, estimate_tokens(text))
            self._number += 1
            self._draft = _Draft(carried=self._tail(draft.texts[-1]))

    def _tail(self, text: str) -> str:
        """Return the last sentences of a chunk that fit the overlap: what refers to them is found with them."""
        kept: list[str] = []
        for sentence in reversed(sentences(text)):
            if sum(map(estimate_tokens, [*kept, sentence])) > self._overlap_tokens:
                break
            kept.insert(0, sentence)
        return " ".join(kept)
