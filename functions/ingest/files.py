"""The files of documents, in S3."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from tempfile import NamedTemporaryFile
from typing import Any

from functions.ingest.errors import Altered, TooLarge
from parley.errors import ParleyError, Unavailable

_PIECE_BYTES = 1 << 20


class FileMissing(ParleyError):
    """There is no such file, or not yet."""


class Files:
    """The bucket."""

    def __init__(self, bucket: str, *, most_bytes: int) -> None:
        self._bucket, self._most_bytes = bucket, most_bytes

    @contextmanager
    def fetched(self, file_key: str, *, size: int) -> Iterator[tuple[str, bytes]]:
        """Copy a file to the disk for a while; gives its path and the SHA-256 of its bytes.

        Raises FileMissing, TooLarge, Altered if it has not this size, and Unavailable. What the upload's policy promises
        is looked at again: not every store that speaks S3 keeps to it.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        digest = hashlib.sha256()
        with NamedTemporaryFile() as file:
            try:
                found = _s3().get_object(Bucket=self._bucket, Key=file_key)
                if found["ContentLength"] > self._most_bytes:
                    raise TooLarge(f"{found['ContentLength']} bytes")
                if found["ContentLength"] != size:
                    raise Altered(f"{found['ContentLength']} bytes instead of {size}")
                for piece in found["Body"].iter_chunks(_PIECE_BYTES):
                    digest.update(piece)
                    file.write(piece)
            except ClientError as exc:
                if exc.response["Error"]["Code"] in ("NoSuchKey", "404"):
                    raise FileMissing(file_key) from exc
                raise Unavailable("file store") from exc
            except BotoCoreError as exc:
                raise Unavailable("file store") from exc
            file.flush()
            yield file.name, digest.digest()

    def delete(self, file_key: str) -> None:
        """Delete a file; one that is gone is no error. Raises Unavailable."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            _s3().delete_object(Bucket=self._bucket, Key=file_key)
        except (BotoCoreError, ClientError) as exc:
            raise Unavailable("file store") from exc


@cache
def _s3() -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client("s3", config=Config(connect_timeout=3, read_timeout=30, retries={"total_max_attempts": 3}))
