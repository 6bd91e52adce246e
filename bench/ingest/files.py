"""Test files for ingestion: a book in each format, and large PDFs. The random words are the same in every run."""

import random
from collections.abc import Callable, Iterator
from io import BytesIO
from textwrap import wrap
from zipfile import ZIP_DEFLATED, ZipFile

from fpdf import FPDF
from PIL import Image

PAGES = 300
_PARAGRAPHS_PER_PAGE = 6
_SENTENCES_PER_PARAGRAPH = 5
_WORDS_PER_SENTENCE = 14
_LINE_CHARACTERS = 95
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_TYPES = f'<Types xmlns="{_PACKAGE}/content-types"><Override PartName="/word/document.xml" ContentType="{_MAIN}"/></Types>'

_RELATIONS = (
    f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>'
)

type BookPage = list[str]


def pages(count: int = PAGES) -> Iterator[BookPage]:
    """Yield pages of about 420 words, each a list of paragraphs."""
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghijklmnoprstuvw", k=rng.randint(2, 10))) for _ in range(20_000)]

    def sentence() -> str:
        return " ".join(rng.choices(words, k=_WORDS_PER_SENTENCE)).capitalize() + "."

    for _ in range(count):
        yield [" ".join(sentence() for _ in range(_SENTENCES_PER_PARAGRAPH)) for _ in range(_PARAGRAPHS_PER_PAGE)]


def pdf(book: Iterator[BookPage]) -> bytes:
    """Return a PDF with an outline entry at every tenth page."""
    made = _empty()
    for number, page in enumerate(book):
        made.add_page()
        if number % 10 == 0:
            made.start_section(f"Section {number // 10 + 1}")
        for row, line in enumerate(line for paragraph in page for line in [*wrap(paragraph, _LINE_CHARACTERS), ""]):
            made.text(10, 12 + row * 5, line)
    return bytes(made.output())


def docx(book: Iterator[BookPage]) -> bytes:
    """Return a DOCX with the paragraphs of all pages."""
    body = "".join(f"<w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p>" for page in book for paragraph in page)
    made = BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr("_rels/.rels", _RELATIONS)
        archive.writestr("word/document.xml", f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>')
    return made.getvalue()


def html(book: Iterator[BookPage]) -> bytes:
    """Return an HTML page with a heading for each page of the book."""
    parts = (f"<h2>Page {number}</h2>" + "".join(f"<p>{paragraph}</p>" for paragraph in page) for number, page in enumerate(book, start=1))
    return f"<!doctype html><html><body>{''.join(parts)}</body></html>".encode()


def markdown(book: Iterator[BookPage]) -> bytes:
    """Return Markdown with a heading for each page of the book."""
    return "".join(f"## Page {number}\n\n" + "\n\n".join(page) + "\n\n" for number, page in enumerate(book, start=1)).encode()


FORMATS: dict[str, Callable[[Iterator[BookPage]], bytes]] = {"pdf": pdf, "docx": docx, "html": html, "md": markdown}


def text_pdf(size: int) -> bytes:
    """Return an uncompressed PDF with about `size` bytes of text; each word is positioned separately, as typesetters do."""
    made = _empty()
    written = 0
    made.set_compression(False)
    for page in pages(1_000_000):
        if written >= size:
            break
        made.add_page()
        for row, paragraph in enumerate(page):
            words = paragraph.split()
            for column, word in enumerate(words):
                made.text(10 + column % 12 * 16, 12 + row * 40 + column // 12 * 5, word)
                written += len(word) + 33
    return bytes(made.output())


def image_pdf(size: int) -> bytes:
    """Return a PDF with about `size` bytes of incompressible images and a line of text below each."""
    made = _empty()
    side = 1600
    rng = random.Random(7)
    picture_bytes = 0
    while picture_bytes < size:
        picture = Image.frombytes("RGB", (side, side), rng.randbytes(side * side * 3))
        stored = BytesIO()
        picture.save(stored, "JPEG", quality=80)
        picture_bytes += stored.tell()
        made.add_page()
        made.image(stored, x=10, y=10, w=190)
        made.text(10, 250, f"An image that ends after {picture_bytes} bytes.")
    return bytes(made.output())


def _empty() -> FPDF:
    made = FPDF()
    made.set_font("Helvetica", size=10)
    return made
