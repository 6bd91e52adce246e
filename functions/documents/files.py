"""The files of documents, as they come. That one has arrived S3 tells the queue of ingestion."""

from uuid import UUID

from parley.aws.s3 import FileStore, PresignedPost
from parley.jobs import document_key

UPLOAD_LIFETIME_S = 3600
# Three attempts end before the function does.
_READ_TIMEOUT_S = 6.0


class Files:
    """The bucket. No file is larger than `most_bytes`."""

    def __init__(self, bucket: str, *, most_bytes: int) -> None:
        self._store, self.most_bytes = FileStore(bucket, read_timeout_s=_READ_TIMEOUT_S), most_bytes

    def put(self, document_id: UUID, content: bytes, *, user_id: UUID, content_type: str) -> None:
        """Store a document's file. Raises Unavailable."""
        self._store.put(document_key(user_id, document_id), content, media_type=content_type)

    def upload(self, document_id: UUID, *, user_id: UUID, content_type: str, size: int) -> PresignedPost:
        """Return how to upload a document's file of this type and size, and no other, within an hour."""
        return self._store.upload(document_key(user_id, document_id), media_type=content_type, size=size, lifetime_s=UPLOAD_LIFETIME_S)
