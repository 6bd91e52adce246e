"""Why a document cannot be read. The code and the sentence are what its owner sees beside `failed`."""

from parley.errors import ParleyError


class Unreadable(ParleyError):
    """The document cannot be read, and reading it again will not help."""

    status, code = 422, "unreadable"
    public_message = "The file cannot be read."


class Unsupported(Unreadable):
    """What the file holds is none of the formats that are read."""

    status, code = 415, "unsupported_format"
    public_message = "Only text, Markdown, HTML, PDF, DOCX, CSV, JSON and source code can be read."


class Encrypted(Unreadable):
    """The file opens with a password only."""

    code = "encrypted"
    public_message = "The file is encrypted. Save it without a password and upload that."


class EmptyFile(Unreadable):
    """The file has no text."""

    code = "empty"
    public_message = "The file has no text."


class Scanned(Unreadable):
    """The file's pages are pictures."""

    code = "scanned"
    public_message = "The pages are pictures without text. Run a text recognition (OCR) on the file and upload that."


class Corrupt(Unreadable):
    """The file is not what its beginning says."""

    code = "corrupt"
    public_message = "The file is damaged, or not what it seems to be."


class DocumentTooLarge(Unreadable):
    """Reading the file takes more time, memory or text than a document may."""

    code = "too_large"
    public_message = "The file holds more than one document may. Split it and upload the parts."


class SizeMismatch(Unreadable):
    """The file has another size than was announced."""

    code = "size_mismatch"
    public_message = "The file has another size than was announced. Upload it again."


class NotUploaded(Unreadable):
    """The file that was announced has not been sent."""

    code = "not_uploaded"
    public_message = "The file was not uploaded within a day."


class AttemptsExhausted(Unreadable):
    """Reading the file was begun too often without a step further."""

    code = "given_up"
    public_message = "The file could not be read in many attempts. Upload it again later."


class DuplicateDocument(Unreadable):
    """The same bytes are there already."""

    code = "duplicate"

    def __init__(self, title: str) -> None:
        super().__init__("the same bytes")
        self.public_message = f"The same file is there already, as {title!r}."


PARSER_ERRORS_BY_CODE: dict[str, type[Unreadable]] = {
    kind.code: kind for kind in (Unsupported, Encrypted, EmptyFile, Scanned, Corrupt, DocumentTooLarge)
}
