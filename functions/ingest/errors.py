"""The reasons why ingestion fails. The owner of the document sees `code` and `public_message` next to the status `failed`."""

from parley.errors import ParleyError


class Unreadable(ParleyError):
    """The document cannot be read, and a retry will not help."""

    code = "unreadable"
    public_message = "The file cannot be read."


class Unsupported(Unreadable):
    """The file's format is not supported."""

    code = "unsupported_format"
    public_message = "The format is not supported. Upload text, Markdown, HTML, PDF, DOCX, CSV, JSON or source code."


class Encrypted(Unreadable):
    """The file needs a password."""

    code = "encrypted"
    public_message = "The file is encrypted. Save it without a password and upload it again."


class EmptyFile(Unreadable):
    """The file contains no text."""

    code = "empty"
    public_message = "The file contains no text."


class Scanned(Unreadable):
    """The pages of the PDF contain images and no text."""

    code = "scanned"
    public_message = "The pages are images without text. Run text recognition (OCR) on the file and upload the result."


class Corrupt(Unreadable):
    """The file is damaged, or its format is not the format that its first bytes indicate."""

    code = "corrupt"
    public_message = "The file is damaged or not in the format that it appears to have."


class DocumentTooLarge(Unreadable):
    """The document exceeds the limit for parsing time, memory or text."""

    code = "too_large"
    public_message = "The document is too large. Split it and upload the parts."


class SizeMismatch(Unreadable):
    """The size of the uploaded file differs from the declared size."""

    code = "size_mismatch"
    public_message = "The uploaded size differs from the declared size. Upload the file again."


class NotUploaded(Unreadable):
    """The upload was declared but the file never arrived."""

    code = "not_uploaded"
    public_message = "The file was not uploaded within a day."


class AttemptsExhausted(Unreadable):
    """Too many attempts in a row failed without progress."""

    code = "given_up"
    public_message = "Several attempts to read the file failed. Split it, or upload it again later."


class DuplicateDocument(Unreadable):
    """The user has another document with the same bytes."""

    code = "duplicate"

    def __init__(self, title: str) -> None:
        super().__init__("another document has the same bytes")
        self.public_message = f"You already uploaded this file as {title!r}."


PARSER_ERRORS_BY_CODE: dict[str, type[Unreadable]] = {
    kind.code: kind for kind in (Unsupported, Encrypted, EmptyFile, Scanned, Corrupt, DocumentTooLarge)
}
