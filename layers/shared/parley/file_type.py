"""Detection of a file's container format by its first bytes, because its name may be wrong.

Two functions use it: `documents` refuses an upload that is clearly not a document, and `ingest` detects
the exact format.
"""

from typing import Literal

type Container = Literal["pdf", "ole", "zip"]

# PDF readers accept a header within this many bytes: https://www.pdfa.org/resource/iso-32000-2/, annex on conformance.
_PDF_HEADER_WITHIN = 1024
_PDF, _OLE, _ZIP = b"%PDF-", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")

# The part that makes a ZIP file a Word document.
DOCX_MAIN_PART = "word/document.xml"


def detect_container(content: bytes) -> Container | None:
    """Return the container format of `content`, or None if `content` can only be text.

    `ole` is the container of Office files before Office 2007, and of encrypted DOCX files.
    """
    if _PDF in content[:_PDF_HEADER_WITHIN]:
        return "pdf"
    if content.startswith(_OLE):
        return "ole"
    return "zip" if content.startswith(_ZIP) else None


def has_utf16_mark(content: bytes) -> bool:
    """Return whether `content` begins with a byte order mark of UTF-16, whose text may contain NUL bytes."""
    return content.startswith(_UTF_16_MARKS)
