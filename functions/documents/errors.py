"""Errors of document uploads."""

from parley.errors import ParleyError


class UnsupportedFormat(ParleyError):
    """The file's format is not supported."""

    status, code = 415, "unsupported_format"
    public_message = "This format is not supported. Upload text, Markdown, HTML, PDF, DOCX, CSV, JSON or source code."


class FileTooLarge(ParleyError):
    """The file exceeds the size limit of documents."""

    status, code = 413, "file_too_large"

    def __init__(self, size: int, *, limit: int) -> None:
        super().__init__(f"{size} bytes, limit {limit}")
        self.public_message = f"A document may have at most {limit // 1_000_000} MB. Split the file and upload the parts."


class ImportTooLarge(ParleyError):
    """The export exceeds the size limit of imports."""

    status, code = 413, "file_too_large"

    def __init__(self, size: int, *, limit: int) -> None:
        super().__init__(f"{size} bytes, limit {limit}")
        self.public_message = f"An export may have at most {limit // 1_000_000} MB. Split the file and import the parts."


class ImportInProgress(ParleyError):
    """Another import of the user is being processed."""

    status, code = 409, "import_in_progress"
    public_message = "Another import is running. Wait until it has ended, then start this one."


class TooManyDocuments(ParleyError):
    """The user has reached the limit of documents."""

    status, code = 409, "too_many_documents"
    public_message = "You have reached the limit of documents. Delete some first."
