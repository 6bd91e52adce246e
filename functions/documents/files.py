"""The files of documents, in S3. That one has arrived S3 tells the queue of ingestion."""

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from parley.errors import Unavailable
from parley.ingest_queue import file_key

UPLOAD_LIFETIME_S = 3600


@dataclass(frozen=True, slots=True)
class Upload:
    """Where and with which fields a form has to be sent for a file to be stored."""

    url: str
    fields: dict[str, str]


class Files:
    """The bucket. No file is larger than `most_bytes`."""

    def __init__(self, bucket: str, *, most_bytes: int) -> None:
        self._bucket, self.most_bytes = bucket, most_bytes

    def put(self, document_id: UUID, content: bytes, *, user_id: UUID, content_type: str) -> None:
        """Store a document's file. Raises Unavailable."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            _s3().put_object(Bucket=self._bucket, Key=file_key(user_id, document_id), Body=content, ContentType=content_type)
        except (BotoCoreError, ClientError) as exc:
            raise Unavailable("file store") from exc

    def upload(self, document_id: UUID, *, user_id: UUID, content_type: str, size: int) -> Upload:
        """Return how to upload a document's file of this type and size, and no other, within an hour.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
        """
        conditions: list[Any] = [{"Content-Type": content_type}, ["content-length-range", size, size]]
        made = _s3().generate_presigned_post(
            self._bucket,
            file_key(user_id, document_id),
            Fields={"Content-Type": content_type},
            Conditions=conditions,
            ExpiresIn=UPLOAD_LIFETIME_S,
        )
        return Upload(made["url"], made["fields"])


@cache
def _s3() -> Any:
    import boto3
    from botocore.config import Config

    # "virtual", as for signed addresses: one without a region is answered by a redirect, which breaks the signature.
    config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"}, connect_timeout=3, read_timeout=20)
    return boto3.client("s3", config=config)
