"""The uploaded file: a ZIP file with JSON files and images, or a single JSON file. Reads are bounded, so a ZIP bomb ends with an error."""

import base64
import binascii
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import IO, Self

from functions.ingest.imports.errors import CorruptExport, EncryptedExport, ExportTooLarge

# The JSON of a ZIP file, unpacked. ChatGPT's own exports have 1 to 5 KB a message.
MAX_JSON_BYTES = 2_000_000_000
# A text in JSON, with its escapes; the parser holds it in memory.
MAX_TOKEN_BYTES = 16_000_000
# Converting a longer integer would take seconds.
MAX_NUMBER_BYTES = 1_000_000
MAX_IMAGE_BYTES = 10_000_000
# The list of the files in a ZIP file: about 100,000 names.
MAX_DIRECTORY_BYTES = 8_000_000
_ENCRYPTED_FLAG = 0x1
_END_OF_DIRECTORY, _ZIP64_LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES, _MAX_COMMENT_BYTES = 22, 20, 65_535
_ASSET_PREFIXES = ("file-", "file_")
_DATA_URL = "data:"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image of the export: its name there, its media type, and its content."""

    name: str
    media_type: str
    content: bytes


class BoundedFile:
    """A JSON file open for reading. Raises ExportTooLarge for a file or a single text over the limits.

    The reader sets `bytes_since_event` to 0 at every event of the parser.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self.size = file, max(size, 1)
        self.bytes_read = self.bytes_since_event = 0

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes. Raises CorruptExport too."""
        try:
            content = self._file.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as exc:
            raise CorruptExport(type(exc).__name__) from exc
        self.bytes_read += len(content)
        self.bytes_since_event += len(content)
        max_bytes = MAX_NUMBER_BYTES if content.isdigit() else MAX_TOKEN_BYTES
        if self.bytes_read > MAX_JSON_BYTES or self.bytes_since_event > max_bytes:
            raise ExportTooLarge(f"{self.bytes_read} bytes, {self.bytes_since_event} in one value")
        return content


class Archive:
    """The files of an export."""

    def __init__(self, path: str, zip_file: zipfile.ZipFile | None) -> None:
        self._path, self._zip = path, zip_file
        names = zip_file.namelist() if zip_file else []
        self._assets = {asset: name for name in names if (asset := asset_id(PurePosixPath(name).name))}

    @classmethod
    @contextmanager
    def opened(cls, path: str) -> Iterator[Self]:
        """Open a file. Raises CorruptExport, ExportTooLarge and EncryptedExport."""
        if not zipfile.is_zipfile(path):
            yield cls(path, None)
            return
        _check_directory(path)
        try:
            zip_file = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as exc:
            raise CorruptExport(type(exc).__name__) from exc
        with zip_file:
            yield cls(path, zip_file)

    def document_names(self) -> list[str]:
        """Return the names of the JSON files with conversations, in order: all JSON files if none is named as ChatGPT and Claude do."""
        if self._zip is None:
            return [self._path]
        names = sorted(name for name in self._zip.namelist() if name.endswith(".json") and not name.startswith("__MACOSX/"))
        return [name for name in names if PurePosixPath(name).name.startswith("conversations")] or names

    @contextmanager
    def open_document(self, name: str) -> Iterator[BoundedFile]:
        """Open one of the JSON files."""
        if self._zip is None:
            with Path(self._path).open("rb") as file:
                yield BoundedFile(file, Path(self._path).stat().st_size)
            return
        entry = self._zip.getinfo(name)
        if entry.flag_bits & _ENCRYPTED_FLAG:
            raise EncryptedExport("a password")
        try:
            file_in_zip = self._zip.open(entry)
        except (zipfile.BadZipFile, NotImplementedError) as exc:
            raise CorruptExport(type(exc).__name__) from exc
        with file_in_zip as file:
            yield BoundedFile(file, entry.file_size)

    def image(self, pointer: str) -> ImageFile | None:
        """Return the image that a message refers to by an asset pointer or a data URL, or None if the export does not contain it."""
        if pointer.startswith(_DATA_URL):
            content = _data_url_content(pointer)
            return _image(pointer, content)
        name = self._assets.get(asset_id(pointer.rpartition("://")[2]) or "")
        if name is None or self._zip is None:
            return None
        try:
            with self._zip.open(name) as file:
                return _image(name, file.read(MAX_IMAGE_BYTES + 1))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            return None


def asset_id(name: str) -> str | None:
    """Return the id at the start of a ChatGPT asset's name or pointer, such as `file-Ab12` of `file-Ab12-photo.png`, or None."""
    prefix = name[:5]
    return prefix + "".join(takewhile(str.isalnum, name[5:])) if prefix in _ASSET_PREFIXES else None


def _image(name: str, content: bytes) -> ImageFile | None:
    media_type = _image_type(content)
    return ImageFile(name, media_type, content) if media_type and len(content) <= MAX_IMAGE_BYTES else None


def _image_type(content: bytes) -> str | None:
    """Return the media type by the first bytes: the types that models read."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def _data_url_content(url: str) -> bytes:
    head, _, encoded = url.partition(",")
    try:
        return base64.b64decode(encoded) if head.endswith(";base64") else b""
    except (binascii.Error, ValueError):
        return b""


def _check_directory(path: str) -> None:
    """Raise ExportTooLarge if the list of files exceeds `MAX_DIRECTORY_BYTES`: Python reads all of it at once.

    A ZIP file with the 64-bit record has more than 65,535 files or 4 GB, or pretends to.
    """
    with Path(path).open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - _MAX_COMMENT_BYTES - _END_BYTES - _LOCATOR_BYTES))
        tail = file.read()
    position = tail.rfind(_END_OF_DIRECTORY)
    directory_bytes = int.from_bytes(tail[position + 12 : position + 16], "little")
    if directory_bytes > MAX_DIRECTORY_BYTES or _ZIP64_LOCATOR in tail[max(0, position - _LOCATOR_BYTES) : position]:
        raise ExportTooLarge(f"{directory_bytes} bytes of file names")
