"""PDF: the paragraphs of each page, below the headings of the outline."""

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING

from functions.ingest.block import Block
from functions.ingest.errors import Corrupt, Encrypted, Scanned

if TYPE_CHECKING:
    from pypdfium2 import PdfBookmark, PdfDocument

_NEEDS_PASSWORD = 4  # FPDF_ERR_PASSWORD
_LINE_END_HYPHEN = "\ufffe"  # PDFium's substitute for a hyphen that only splits a word at the end of a line
_SENTENCE_END = re.compile(r"[.!?:;。！？…][\"'”’)\]]*$")
_SHORT_LINE_SHARE = 0.8


def read(path: str) -> Iterator[Block]:
    """Yield the blocks of a PDF file. Raises Encrypted, Corrupt, and Scanned if no page has text."""
    with closing(_open(path)) as document:
        headings, has_text = _headings(document), False
        for number in range(len(document)):
            yield from headings[number]
            for text in _paragraphs(_page_text(document, number)):
                has_text = True
                yield Block("paragraph", text, page=number + 1)
        if not has_text:
            raise Scanned(f"{len(document)} pages")


def _open(path: str) -> "PdfDocument":
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        return PdfDocument(path)
    except PdfiumError as exc:
        raise Encrypted(str(exc)) if exc.err_code == _NEEDS_PASSWORD else Corrupt(str(exc)) from exc


def _headings(document: "PdfDocument") -> dict[int, list[Block]]:
    """Return the headings of the outline by page number, counted from 0."""
    headings: dict[int, list[Block]] = defaultdict(list)
    for entry in document.get_toc(max_depth=6):
        target, title = entry.get_dest(), _title(entry)
        page = target.get_index() if target else None
        if title and page is not None:
            headings[page].append(Block("heading", title, level=entry.level + 1, page=page + 1))
    return headings


def _title(entry: "PdfBookmark") -> str:
    """Return the title of an entry on one line, empty if it ends in half a character: a program that shortens titles may have cut one."""
    try:
        return " ".join(entry.get_title().split())
    except UnicodeDecodeError:
        return ""


def _page_text(document: "PdfDocument", number: int) -> str:
    from pypdfium2 import PdfiumError

    try:
        with closing(document[number]) as page, closing(page.get_textpage()) as text:
            return str(text.get_text_range())
    except PdfiumError:
        return ""  # a damaged page must not make the whole file fail


def _paragraphs(text: str) -> Iterator[str]:
    """Join the lines of a page into paragraphs, which end at a blank line or at a sentence that ends well before the margin."""
    lines = [line.strip() for line in text.replace(_LINE_END_HYPHEN, "").splitlines()]
    width = median([len(line) for line in lines if line] or [0])
    paragraph: list[str] = []
    for line in lines:
        if line:
            paragraph.append(line)
        if paragraph and (not line or (_SENTENCE_END.search(line) and len(line) < width * _SHORT_LINE_SHARE)):
            yield " ".join(paragraph)
            paragraph = []
    if paragraph:
        yield " ".join(paragraph)
