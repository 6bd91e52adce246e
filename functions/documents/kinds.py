"""What may be a document, by a look at the bytes; which format it is, and whether it can be read, ingestion finds out."""

# Readers look for a PDF's mark this far in.
_PDF_WITHIN = 1024
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_WORD = b"word/document.xml"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def may_be_read(content: bytes) -> bool:
    """Whether it is a PDF, a Word file or text; False for pictures, sheets, programs and whatever else."""
    if b"%PDF-" in content[:_PDF_WITHIN] or content.startswith(_OLE):  # the latter may be a Word file with a password
        return True
    if content.startswith(_ZIP):
        return _WORD in content
    return b"\0" not in content or content.startswith(_UTF_16)
