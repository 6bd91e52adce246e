"""How a document can be refused."""

from parley.errors import ParleyError


class UnsupportedFormat(ParleyError):
    """The file's type is none that is read."""

    status, code = 415, "unsupported_format"
    public_message = "Only text, Markdown, HTML, PDF, DOCX, CSV, JSON and source code can be read."


class FileTooLarge(ParleyError):
    """The file is larger than a document may be."""

    status, code = 413, "file_too_large"

    def __init__(self, size: int, *, limit: int) -> None:
        super().__init__(f"{size} bytes, limit {limit}")
        self.public_message = f"A document has {limit // 1_000_000} MB at most. Split the file and upload the parts."


class TooManyDocuments(ParleyError):
    """The user has as many documents as anybody may."""

    status, code = 409, "too_many_documents"
    public_message = "You have as many documents as an account may have. Delete some first."
