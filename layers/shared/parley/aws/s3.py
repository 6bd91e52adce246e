"""Users' files in one S3 bucket, with S3's errors translated to ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import IO, Any

from parley.aws.client import aws_client, translated_errors
from parley.errors import ParleyError, Unavailable
from parley.observability import current_correlation_id
from parley.snapshots import before_snapshot

_CHUNK_BYTES = 1 << 20
# Becomes the header `x-amz-meta-correlation-id` of the file.
_CORRELATION_METADATA = "correlation-id"
# If the caller may not list the bucket, S3 answers 403 instead of 404 for a missing key.
_MISSING_CODES = {"404", "403", "NoSuchKey", "NotFound", "AccessDenied", "Forbidden"}


class FileMissing(ParleyError):
    """The file does not exist, or has not been uploaded yet."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file open for reading: its size in bytes, its content in chunks of 1 MiB, and the correlation id of the request that stored it.

    Files of clients that omit the form's field for the correlation id, and files of older releases, have none.
    """

    size: int
    chunks: Iterator[bytes]
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class PresignedPost:
    """The URL and form fields with which a client uploads a file to S3."""

    url: str
    fields: dict[str, str]


class FileStore:
    """Files in one bucket. Every method that calls S3 raises Unavailable if S3 fails or does not respond within `read_timeout_s`."""

    def __init__(self, bucket: str, *, read_timeout_s: float = 30.0) -> None:
        self._bucket, self._read_timeout_s = bucket, read_timeout_s

    def put(self, key: str, content: bytes | IO[bytes], *, media_type: str) -> None:
        """Store a file, replacing any existing file with this key."""
        with translated_errors(_unavailable):
            self._s3().put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=media_type, Metadata=_metadata())

    def media_type(self, key: str) -> str:
        """Return the media type that was declared when the file was stored. Raises FileMissing."""
        with translated_errors(_missing_or_unavailable(key)):
            return str(self._s3().head_object(Bucket=self._bucket, Key=key)["ContentType"])

    @contextmanager
    def opened(self, key: str) -> Iterator[OpenFile]:
        """Open a file for reading. Raises FileMissing."""
        with translated_errors(_missing_or_unavailable(key)):
            response = self._s3().get_object(Bucket=self._bucket, Key=key)
            correlation_id = response.get("Metadata", {}).get(_CORRELATION_METADATA)
            yield OpenFile(response["ContentLength"], response["Body"].iter_chunks(_CHUNK_BYTES), correlation_id)

    def read(self, key: str) -> bytes:
        """Return the whole content of a file. Raises FileMissing."""
        with self.opened(key) as file:
            return b"".join(file.chunks)

    def delete(self, key: str) -> None:
        """Delete a file. A missing file is not an error."""
        with translated_errors(_unavailable):
            self._s3().delete_object(Bucket=self._bucket, Key=key)

    def delete_under(self, prefix: str) -> int:
        """Delete every file whose key starts with `prefix` and return their number. Raises Unavailable if some may remain."""
        count = 0
        with translated_errors(_unavailable):
            # A page has 1000 keys at most, which is also the limit of one deletion.
            for page in self._s3().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
                self._delete_many(keys)
                count += len(keys)
        return count

    def signed_url(self, key: str, *, lifetime_s: int) -> str:
        """Return a URL with which anyone can read a file for `lifetime_s`.

        The URL expires earlier if the function's own AWS credentials expire first; call this again for a new URL.
        """
        parameters = {"Bucket": self._bucket, "Key": key}
        return str(self._s3().generate_presigned_url("get_object", Params=parameters, ExpiresIn=lifetime_s))

    def upload(self, key: str, *, media_type: str, size: int, lifetime_s: int) -> PresignedPost:
        """Return a form with which anyone can upload one file of exactly this type and size (bytes) for `lifetime_s`.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
        """
        fields = {"Content-Type": media_type} | {f"x-amz-meta-{name}": value for name, value in _metadata().items()}
        conditions = [*({name: value} for name, value in fields.items()), ["content-length-range", size, size]]
        post = self._s3().generate_presigned_post(self._bucket, key, Fields=fields, Conditions=conditions, ExpiresIn=lifetime_s)
        return PresignedPost(post["url"], post["fields"])

    def _delete_many(self, keys: list[dict[str, str]]) -> None:
        response = self._s3().delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True}) if keys else {}
        if errors := response.get("Errors"):  # reported in a response with status 200
            raise Unavailable(f"file store ({len(errors)} files not deleted, the first with {errors[0]['Code']})")

    def _s3(self) -> Any:
        return _client(self._read_timeout_s)


def _metadata() -> dict[str, str]:
    correlation_id = current_correlation_id()
    return {_CORRELATION_METADATA: correlation_id} if correlation_id else {}


def _unavailable(_code: str, _error: Exception) -> Unavailable:
    return Unavailable("file store")


def _missing_or_unavailable(key: str) -> Callable[[str, Exception], ParleyError]:
    return lambda code, error: FileMissing(key) if code in _MISSING_CODES else _unavailable(code, error)


@cache
def _client(read_timeout_s: float) -> Any:
    # With the default addressing style, a signed URL does not contain the region. For a new bucket, S3 then responds with a
    # redirect, which invalidates the signature.
    addressing = {"addressing_style": "virtual"}
    # Without IPv4 otherwise, a VPC reaches S3 by its gateway endpoint. The page's policy names the bucket's usual host.
    settings: dict[str, Any] = {"signature_version": "s3v4", "s3": addressing, "use_dualstack_endpoint": False}
    return aws_client("s3", read_timeout_s=read_timeout_s, max_attempts=3, **settings)


before_snapshot(_client.cache_clear)
