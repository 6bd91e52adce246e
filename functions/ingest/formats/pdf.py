"""PDF: the text of each page, in paragraphs, below the headings of its outline."""

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING

from functions.ingest.block import Block
from functions.ingest.errors import Corrupt, Encrypted, Scanned

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_NEEDS_PASSWORD = 4  # FPDF_ERR_PASSWORD
_HYPHEN = "\ufffe"  # how PDFium writes a hyphen that only ends a line
_END = re.compile(r"[.!?:;。！？…][\"'”’)\]]*$")
_SHORT = 0.8


def read(path: str) -> Iterator[Block]:
    """Yield the blocks of a PDF file. Raises Encrypted, Corrupt, and Scanned where no page has text."""
    with closing(_opened(path)) as document:
        headings, has_text = _headings(document), False
        for number in range(len(document)):
            yield from headings[number]
            for text in _paragraphs(_page(document, number)):
                has_text = True
                yield Block("paragraph", text, page=number + 1)
        if not has_text:
            raise Scanned(f"{len(document)} pages")


def _opened(path: str) -> "PdfDocument":
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        return PdfDocument(path)
    except PdfiumError as exc:
        raise Encrypted(str(exc)) if exc.err_code == _NEEDS_PASSWORD else Corrupt(str(exc)) from exc


def _headings(document: "PdfDocument") -> dict[int, list[Block]]:
    """Return the outline's headings by the page, counted from 0, that they point to."""
    found: dict[int, list[Block]] = defaultdict(list)
    for entry in document.get_toc(max_depth=6):
        target, title = entry.get_dest(), " ".join(entry.get_title().split())
        page = target.get_index() if target else None
        if title and page is not None:
            found[page].append(Block("heading", title, level=entry.level + 1, page=page + 1))
    return found


def _page(document: "PdfDocument", number: int) -> str:
    from pypdfium2 import PdfiumError

    try:
        with closing(document[number]) as page, closing(page.get_textpage()) as text:
            return str(text.get_text_range())
    except PdfiumError:
        return ""  # one damaged page does not cost the others


def _paragraphs(text: str) -> Iterator[str]:
    """Join a page's lines; a line that ends a sentence well before the margin ends a paragraph."""
    lines = [line.strip() for line in text.replace(_HYPHEN, "").splitlines()]
    width = median([len(line) for line in lines if line] or [0])
    paragraph: list[str] = []
    for line in lines:
        if line:
            paragraph.append(line)
        if paragraph and (not line or (_END.search(line) and len(line) < width * _SHORT)):
            yield " ".join(paragraph)
            paragraph = []
    if paragraph:
        yield " ".join(paragraph)
