"""The files of documents, as they are read."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import NamedTemporaryFile

from functions.ingest.errors import Altered, TooLarge
from parley.aws.s3 import FileStore


class Files(FileStore):
    """The bucket. No file is larger than `most_bytes`."""

    def __init__(self, bucket: str, *, most_bytes: int) -> None:
        super().__init__(bucket)
        self._most_bytes = most_bytes

    @contextmanager
    def fetched(self, file_key: str, *, size: int) -> Iterator[tuple[str, bytes]]:
        """Copy a file to the disk for a while; gives its path and the SHA-256 of its bytes.

        Raises FileMissing, TooLarge, Altered if it has not this size, and Unavailable. What the upload's policy promises
        is looked at again: not every store that speaks S3 keeps to it.
        """
        digest = hashlib.sha256()
        with NamedTemporaryFile() as copy:
            with self.opened(file_key) as file:
                if file.size > self._most_bytes:
                    raise TooLarge(f"{file.size} bytes")
                if file.size != size:
                    raise Altered(f"{file.size} bytes instead of {size}")
                for piece in file.pieces:
                    digest.update(piece)
                    copy.write(piece)
            copy.flush()
            yield copy.name, digest.digest()
