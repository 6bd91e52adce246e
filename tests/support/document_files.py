"""Build PDF, DOCX and ZIP files in memory."""

from collections.abc import Sequence
from io import BytesIO
from zipfile import ZipFile

from fpdf import FPDF

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
TYPES = f"""<Types xmlns="{PACKAGE}/content-types"><Override PartName="/word/document.xml" ContentType="{MAIN}"/></Types>"""
RELATIONS = f"""<Relationships xmlns="{PACKAGE}/relationships">
<Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>"""
STYLES = f"""<w:styles xmlns:w="{WORD}">
<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style></w:styles>"""
PART_RELATIONS = f"""<Relationships xmlns="{PACKAGE}/relationships">
<Relationship Id="r1" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>"""


def pdf(pages: Sequence[str], *, headings: bool = False, password: str | None = None) -> bytes:
    """Return a PDF with one page per text. With `headings`, the outline has an entry for each page."""
    document = FPDF()
    if password:
        document.set_encryption(owner_password=password, user_password=password)
    document.set_font("Helvetica", size=11)
    for number, text in enumerate(pages, start=1):
        document.add_page()
        if headings:
            document.start_section(f"Part {number}")
        if text:
            document.multi_cell(0, 6, text)
    return bytes(document.output())


def docx(*paragraphs: tuple[str, str]) -> bytes:
    """Return a DOCX with paragraphs given as (style, text). The style is `Heading1` or empty."""
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'
        if style
        else f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"
        for style, text in paragraphs
    )
    return zipped(
        {
            "[Content_Types].xml": TYPES,
            "_rels/.rels": RELATIONS,
            "word/_rels/document.xml.rels": PART_RELATIONS,
            "word/styles.xml": STYLES,
            "word/document.xml": f'<?xml version="1.0"?><w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
        }
    )


def zipped(files: dict[str, str | bytes]) -> bytes:
    """Return a compressed ZIP archive."""
    buffer = BytesIO()
    with ZipFile(buffer, "w", compression=8) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
