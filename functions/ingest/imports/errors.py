"""Errors of imports: those that end an import, and those that leave out one conversation."""

from typing import ClassVar

from parley.errors import ParleyError


class ImportFailed(ParleyError):
    """The file cannot be imported, and a retry will not help. Its user sees `code` and `public_message`."""

    code = "unreadable"
    public_message = "The file cannot be read."


class CorruptExport(ImportFailed):
    """The file is not a ZIP file or JSON, or it breaks off."""

    code = "corrupt"
    public_message = "The file is damaged or breaks off. The conversations before that place are imported."


class EncryptedExport(ImportFailed):
    """The ZIP file needs a password."""

    code = "encrypted"
    public_message = "The file is encrypted. Save it without a password and import it again."


class UnknownExport(ImportFailed):
    """No conversation of a known format was found."""

    code = "unsupported_format"
    public_message = "The file has no conversations of a known format: ChatGPT, Claude, LibreChat, Open WebUI or Parley."


class ExportTooLarge(ImportFailed):
    """The file exceeds a limit of imports."""

    code = "too_large"
    public_message = "The file exceeds the limits of an import. Split it and import the parts."


class WrongSize(ImportFailed):
    """The size of the uploaded file differs from the declared size, or is over the limit."""

    code = "size_mismatch"
    public_message = "The uploaded size differs from the declared size. Import the file again."


class ExportNotUploaded(ImportFailed):
    """The file never arrived."""

    code = "not_uploaded"
    public_message = "The file was not uploaded within a day."


class ImportGivenUp(ImportFailed):
    """Too many attempts in a row ended without progress."""

    code = "given_up"
    public_message = "Several attempts to read the file failed. Split it, or import it again later."


class LeftOut(Exception):
    """A conversation cannot be imported. `code` is its entry in the import's report."""

    code: ClassVar[str] = "malformed"


class TooLargeToRead(LeftOut):
    """The conversation has more text, messages or levels than an import reads."""

    code = "too_large"


class WithoutMessages(LeftOut):
    """The conversation has no message with text or an image."""

    code = "empty"


class UnknownFormat(LeftOut):
    """The value is not a conversation of a known format."""

    code = "unknown_format"
