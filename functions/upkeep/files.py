"""Users' files in S3: each under a prefix that names its user, so that all of somebody's can be found."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO, Any
from uuid import UUID

from parley.errors import Unavailable

# Every folder that holds users' files.
FOLDERS = ("exports", "documents", "uploads", "images")


class Files:
    """The bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def put_json(self, file_key: str, content: IO[bytes]) -> None:
        """Store a JSON file, over an older one by the same name. Raises Unavailable."""
        with _answering():
            _s3().put_object(Bucket=self._bucket, Key=file_key, Body=content, ContentType="application/json")

    def delete(self, file_key: str) -> None:
        """Delete one file; one that is gone is no error. Raises Unavailable."""
        with _answering():
            _s3().delete_object(Bucket=self._bucket, Key=file_key)

    def delete_all_of(self, user_id: UUID) -> int:
        """Delete every file of a user and return how many. Raises Unavailable if one may be left."""
        return sum(self._delete_under(f"{folder}/{user_id}/") for folder in FOLDERS)

    def _delete_under(self, prefix: str) -> int:
        count = 0
        with _answering():
            # A page holds a thousand keys, which is also the most that one call deletes.
            for page in _s3().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                keys = [{"Key": found["Key"]} for found in page.get("Contents", [])]
                self._delete_many(keys)
                count += len(keys)
        return count

    def _delete_many(self, keys: list[dict[str, str]]) -> None:
        done = _s3().delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True}) if keys else {}
        if errors := done.get("Errors"):  # in an answer of 200
            raise Unavailable(f"file store: {len(errors)} files were not deleted, the first for {errors[0]['Code']}")


@contextmanager
def _answering() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as exc:
        raise Unavailable("file store") from exc


@cache
def _s3() -> Any:
    import boto3  # only who has files to move pays for it
    from botocore.config import Config

    return boto3.client("s3", config=Config(connect_timeout=3, read_timeout=30, retries={"total_max_attempts": 3}))
