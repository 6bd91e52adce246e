"""The clients that the routes of documents and imports use, created once per worker, and the bucket that stores uploads."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from parley.aws.s3 import FileStore, PresignedPost
from parley.db.engine import Engine
from parley.http.dependencies import FROM_APP
from parley.ingest_queue import UPLOAD_FORM_LIFETIME_S, IngestQueue, document_key, import_key
from parley.jobs import UpkeepQueue
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.reranking import MeteredReranker

# Short enough that three attempts end before the function's own timeout.
_READ_TIMEOUT_S = 6.0


class UploadStore:
    """The bucket that stores uploads. No file may exceed `max_bytes`."""

    def __init__(self, bucket: str, *, max_bytes: int) -> None:
        self._store, self.max_bytes = FileStore(bucket, read_timeout_s=_READ_TIMEOUT_S), max_bytes

    def put(self, document_id: UUID, content: bytes, *, user_id: UUID, content_type: str) -> None:
        """Store a document's file. Raises Unavailable."""
        self._store.put(document_key(user_id, document_id), content, media_type=content_type)

    def upload(self, document_id: UUID, *, user_id: UUID, content_type: str, size: int) -> PresignedPost:
        """Return a form that uploads a document's file within an hour. S3 rejects any other type or size."""
        return self._store.upload(document_key(user_id, document_id), media_type=content_type, size=size, lifetime_s=UPLOAD_FORM_LIFETIME_S)

    def upload_import(self, import_id: UUID, *, user_id: UUID, size: int) -> PresignedPost:
        """Return a form that uploads an export to import within an hour. S3 rejects any other size."""
        key = import_key(user_id, import_id)
        return self._store.upload(key, media_type="application/octet-stream", size=size, lifetime_s=UPLOAD_FORM_LIFETIME_S)


@dataclass(frozen=True, slots=True)
class DocumentServices:
    """The database, the upload bucket, the embedder, the reranker, and the queues of the functions upkeep and ingest."""

    engine: Engine
    files: UploadStore
    embedding: MeteredEmbedder
    reranking: MeteredReranker
    queue: UpkeepQueue
    ingest_queue: IngestQueue


DocumentServicesDep = Annotated[DocumentServices, FROM_APP]
