"""Users' files in S3: one bucket, and S3's errors translated to ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import IO, Any

from parley.errors import ParleyError, Unavailable

_CHUNK_BYTES = 1 << 20
# Without the right to list a bucket, S3 says of a key that is not there that it may not be read.
_MISSING_CODES = {"404", "403", "NoSuchKey", "NotFound", "AccessDenied", "Forbidden"}


class FileMissing(ParleyError):
    """There is no such file, or not yet."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is being read, and its size in bytes."""

    size: int
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class PresignedPost:
    """Where and with which fields a form has to be sent for a file to be stored."""

    url: str
    fields: dict[str, str]


class FileStore:
    """The bucket with this name, which may be silent for `read_timeout_s`. Whatever calls S3 raises Unavailable."""

    def __init__(self, bucket: str, *, read_timeout_s: float = 30.0) -> None:
        self._bucket, self._read_timeout_s = bucket, read_timeout_s

    def put(self, key: str, content: bytes | IO[bytes], *, media_type: str) -> None:
        """Store a file, over an older one by the same name."""
        with _translated_errors():
            self._s3().put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=media_type)

    def media_type(self, key: str) -> str:
        """Return of which type a file was said to be. Raises FileMissing."""
        with _translated_errors(key):
            return str(self._s3().head_object(Bucket=self._bucket, Key=key)["ContentType"])

    @contextmanager
    def opened(self, key: str) -> Iterator[OpenFile]:
        """Open a file to read it in pieces of a MiB. Raises FileMissing."""
        with _translated_errors(key):
            found = self._s3().get_object(Bucket=self._bucket, Key=key)
            yield OpenFile(found["ContentLength"], found["Body"].iter_chunks(_CHUNK_BYTES))

    def read(self, key: str) -> bytes:
        """Return the whole of a file. Raises FileMissing."""
        with self.opened(key) as file:
            return b"".join(file.pieces)

    def delete(self, key: str) -> None:
        """Delete a file; one that is gone is no error."""
        with _translated_errors():
            self._s3().delete_object(Bucket=self._bucket, Key=key)

    def delete_under(self, prefix: str) -> int:
        """Delete every file whose key begins like this and return how many. Raises Unavailable if one may be left."""
        count = 0
        with _translated_errors():
            # A page holds a thousand keys, which is also the most that one call deletes.
            for page in self._s3().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                keys = [{"Key": found["Key"]} for found in page.get("Contents", [])]
                self._delete_many(keys)
                count += len(keys)
        return count

    def signed_url(self, key: str, *, lifetime_s: int) -> str:
        """Return an address by which anybody can read a file for so long.

        On AWS it ends with the function's own credentials if they end before; asking again gives a new one.
        """
        parameters = {"Bucket": self._bucket, "Key": key}
        return str(self._s3().generate_presigned_url("get_object", Params=parameters, ExpiresIn=lifetime_s))

    def upload(self, key: str, *, media_type: str, size: int, lifetime_s: int) -> PresignedPost:
        """Return how anybody can store a file of this type and size, and no other, for so long.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
        """
        fields, conditions = {"Content-Type": media_type}, [{"Content-Type": media_type}, ["content-length-range", size, size]]
        made = self._s3().generate_presigned_post(self._bucket, key, Fields=fields, Conditions=conditions, ExpiresIn=lifetime_s)
        return PresignedPost(made["url"], made["fields"])

    def _delete_many(self, keys: list[dict[str, str]]) -> None:
        done = self._s3().delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True}) if keys else {}
        if errors := done.get("Errors"):  # in an answer of 200
            raise Unavailable(f"file store: {len(errors)} files were not deleted, the first for {errors[0]['Code']}")

    def _s3(self) -> Any:
        return _client(self._read_timeout_s)


@contextmanager
def _translated_errors(missing_key: str | None = None) -> Iterator[None]:
    """Turn S3's errors into ours: of what is `sought`, also that it is not there."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as exc:
        if missing_key is not None and exc.response.get("Error", {}).get("Code") in _MISSING_CODES:
            raise FileMissing(missing_key) from exc
        raise Unavailable("file store") from exc
    except BotoCoreError as exc:
        raise Unavailable("file store") from exc


@cache
def _client(read_timeout_s: float) -> Any:
    import boto3  # 0.2 s that only who has files pays
    from botocore.config import Config

    # "virtual", or a signed address names S3 without a region: new buckets answer that with a redirect, which breaks the signature.
    addressing: Any = {"addressing_style": "virtual"}
    retries: Any = {"total_max_attempts": 3}
    config = Config(signature_version="s3v4", s3=addressing, connect_timeout=2, read_timeout=read_timeout_s, retries=retries)
    return boto3.client("s3", config=config)
