"""Small files that take much time or memory to parse, for each format."""

import zlib
from collections.abc import Sequence
from io import BytesIO
from zipfile import ZipFile

from tests.support import document_files

_ZEROS = 260 << 20


def pdf_of_objects(objects: Sequence[bytes]) -> bytes:
    """Return a PDF with these objects; the first is its catalogue."""
    pdf, offsets = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(pdf))
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    xref = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R>>\n" % (len(offsets) + 1, entries, len(offsets) + 1)
    return pdf + xref + b"startxref\n%d\n%%%%EOF\n" % len(pdf)


def pdf_page(content: bytes, filters: bytes = b"") -> bytes:
    """Return a PDF of one page with this content."""
    stream = b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), filters, content)
    kids = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>"]
    return pdf_of_objects([*kids, b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>", stream])


def pdf_of_zeros() -> bytes:
    """Return a PDF whose page is compressed twice and decompresses to 260 MB."""
    return pdf_page(zlib.compress(zlib.compress(bytes(_ZEROS), 1)), b"/Filter[/FlateDecode/FlateDecode]")


def pdf_of_many_pages(count: int) -> bytes:
    """Return a PDF that declares so many pages, all the same one."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"
    return pdf_of_objects(
        [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[%s]/Count %d>>" % (b"3 0 R " * min(count, 100_000), count), page]
    )


def pdf_in_a_circle() -> bytes:
    """Return a PDF whose page tree and outline contain cycles."""
    pages, outline = b"<</Type/Pages/Kids[2 0 R 2 0 R]/Parent 2 0 R/Count 9>>", b"<</First 4 0 R/Last 4 0 R>>"
    return pdf_of_objects(
        [b"<</Type/Catalog/Pages 2 0 R/Outlines 3 0 R>>", pages, outline, b"<</Title(A)/Next 4 0 R/First 4 0 R/Parent 3 0 R>>"]
    )


def docx_of(document: str, **parts: bytes) -> bytes:
    """Return a DOCX with this body and further parts."""
    main = f'<?xml version="1.0"?><w:document xmlns:w="{document_files.WORD}"><w:body>{document}</w:body></w:document>'
    return document_files.zipped(
        {"[Content_Types].xml": document_files.TYPES, "_rels/.rels": document_files.RELATIONS, "word/document.xml": main} | parts
    )


def docx_of_many_parts(count: int) -> bytes:
    """Return a DOCX with so many parts."""
    file = BytesIO(document_files.docx(("", "Text")))
    with ZipFile(file, "a") as archive:
        for number in range(count):
            archive.writestr(f"word/{number}.xml", b"")
    return file.getvalue()


def quadratic_xml() -> bytes:
    """Return a DOCX that repeats one long entity, without nesting, to 10 GB."""
    document = (
        f'<w:document xmlns:w="{document_files.WORD}"><w:body><w:p><w:r><w:t>{"&e;" * 100_000}</w:t></w:r></w:p></w:body></w:document>'
    )
    xml = f'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY e "{"x" * 100_000}">]>{document}'
    return document_files.zipped(
        {"[Content_Types].xml": document_files.TYPES, "_rels/.rels": document_files.RELATIONS, "word/document.xml": xml}
    )


BOMBS = {
    "pdf-zeros": pdf_of_zeros,
    "pdf-nested": lambda: pdf_page(b"[" * 2_000_000),
    "pdf-nested-objects": lambda: pdf_of_objects([b"<</Type/Catalog/Pages " + b"[" * 100_000]),
    "pdf-circle": pdf_in_a_circle,
    "pdf-100000-pages": lambda: pdf_of_many_pages(100_000),
    "pdf-endless-pages": lambda: pdf_of_many_pages(2**31 - 1),
    "pdf-xref": lambda: (
        b"%PDF-1.7\nxref\n0 4294967295\n0000000000 65535 f \ntrailer\n<</Size 4294967295/Root 1 0 R>>\nstartxref\n9\n%%EOF\n"
    ),
    "docx-deep": lambda: docx_of("<w:p>" * 100_000 + "</w:p>" * 100_000),
    "docx-many-parts": lambda: docx_of_many_parts(10_000),
    "docx-quadratic": quadratic_xml,
    "docx-styles-of-zeros": lambda: docx_of("<w:p/>", **{"word/styles.xml": bytes(_ZEROS)}),
    "html-deep": lambda: b"<html>" + b"<div>" * 200_000 + b"deep",
    "html-tables": lambda: b"<html>" + b"<table><tr><td>" * 20_000 + b"deep",
    "html-heading": lambda: b"<html><h1>" + b"h" * 900_000 + b"</h1>" + b"<h2>x</h2><p>y</p>" * 100,
    "json-deep": lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "csv-columns": lambda: b"a," * 1_000_000 + b"\n" + b"1," * 1_000_000,
    "markdown-brackets": lambda: b"# T\n\n" + b"[" * 50_000 + b"]" * 50_000,
}
