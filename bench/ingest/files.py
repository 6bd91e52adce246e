"""Files to be read: a book of so many pages in each format, and PDFs of 50 MB. Words are drawn by chance, always the same."""

import random
from collections.abc import Callable, Iterator
from io import BytesIO
from textwrap import wrap
from zipfile import ZIP_DEFLATED, ZipFile

from fpdf import FPDF
from PIL import Image

PAGES = 300
_PARAGRAPHS, _SENTENCES, _WORDS, _LINE = 6, 5, 14, 95
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_TYPES = f'<Types xmlns="{_PACKAGE}/content-types"><Override PartName="/word/document.xml" ContentType="{_MAIN}"/></Types>'

_RELATIONS = (
    f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>'
)

type Page = list[str]


def pages(count: int = PAGES) -> Iterator[Page]:
    """Yield pages of some 420 words, each a list of paragraphs."""
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=chance.randint(2, 10))) for _ in range(20_000)]

    def sentence() -> str:
        return " ".join(chance.choices(words, k=_WORDS)).capitalize() + "."

    for _ in range(count):
        yield [" ".join(sentence() for _ in range(_SENTENCES)) for _ in range(_PARAGRAPHS)]


def pdf(book: Iterator[Page]) -> bytes:
    """Return a PDF with an outline: a section begins at every tenth page."""
    made = _empty()
    for number, page in enumerate(book):
        made.add_page()
        if number % 10 == 0:
            made.start_section(f"Section {number // 10 + 1}")
        for row, line in enumerate(line for paragraph in page for line in [*wrap(paragraph, _LINE), ""]):
            made.text(10, 12 + row * 5, line)
    return bytes(made.output())


def docx(book: Iterator[Page]) -> bytes:
    """Return a DOCX, a paragraph each."""
    body = "".join(f"<w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p>" for page in book for paragraph in page)
    made = BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr("_rels/.rels", _RELATIONS)
        archive.writestr("word/document.xml", f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>')
    return made.getvalue()


def html(book: Iterator[Page]) -> bytes:
    """Return a web page with a heading for each page of the book."""
    parts = (f"<h2>Page {number}</h2>" + "".join(f"<p>{one}</p>" for one in page) for number, page in enumerate(book, start=1))
    return f"<!doctype html><html><body>{''.join(parts)}</body></html>".encode()


def markdown(book: Iterator[Page]) -> bytes:
    """Return Markdown with a heading for each page of the book."""
    return "".join(f"## Page {number}\n\n" + "\n\n".join(page) + "\n\n" for number, page in enumerate(book, start=1)).encode()


FORMATS: dict[str, Callable[[Iterator[Page]], bytes]] = {"pdf": pdf, "docx": docx, "html": html, "md": markdown}


def text_pdf(size: int) -> bytes:
    """Return a PDF of about `size` bytes, all of it text: each word is placed by itself, as typesetters do, and nothing is compressed."""
    made, written = _empty(), 0
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
    """Return a PDF of about `size` bytes that is nearly all pictures, which do not compress, with a line of text below each."""
    made, side = _empty(), 1600
    chance = random.Random(7)
    picture_bytes = 0
    while picture_bytes < size:
        picture = Image.frombytes("RGB", (side, side), chance.randbytes(side * side * 3))
        stored = BytesIO()
        picture.save(stored, "JPEG", quality=80)
        picture_bytes += stored.tell()
        made.add_page()
        made.image(stored, x=10, y=10, w=190)
        made.text(10, 250, f"A picture that ends after {picture_bytes} bytes.")
    return bytes(made.output())


def _empty() -> FPDF:
    made = FPDF()
    made.set_font("Helvetica", size=10)
    return made
