"""The SQS queue of documents to ingest and of exports to import, and the S3 keys of their files.

The queue carries S3's own notifications of uploaded files, and `IngestQueue` writes messages of the same form.
"""

import json
from collections.abc import Iterable
from itertools import starmap
from uuid import UUID

from parley.aws.sqs import SqsMessage, SqsQueue
from parley.errors import Unavailable
from parley.observability import logger

DOCUMENTS_PREFIX, IMPORTS_PREFIX = "documents", "imports"
# The largest export that can be imported. The ingest function copies it to its disk of 2 GB.
MAX_IMPORT_BYTES = 500_000_000
# The lifetime of the form with which a client uploads a document or an export to import.
UPLOAD_FORM_LIFETIME_S = 3600


class IngestQueue(SqsQueue):
    """The SQS queue of the `ingest` function."""

    def send(self, document_id: UUID, *, user_id: UUID, delay_s: float = 0) -> None:
        """Request that a document be ingested after `delay_s` (15 minutes at most). Raises Unavailable."""
        self.put(_s3_event(user_id, document_id), delay_s=delay_s)

    def send_later(self, document_id: UUID, *, user_id: UUID, delay_s: float) -> None:
        """Do the same as `send`, but log an error instead of raising it, because S3's own notification nearly always arrives."""
        try:
            self.send(document_id, user_id=user_id, delay_s=delay_s)
        except Unavailable:
            logger.exception("job_not_sent", message_type="document")

    def send_import(self, import_id: UUID, *, user_id: UUID, delay_s: float = 0) -> None:
        """Request that an import be run after `delay_s` (15 minutes at most). Raises Unavailable."""
        self.put(_key_event(import_key(user_id, import_id)), delay_s=delay_s)

    def send_import_later(self, import_id: UUID, *, user_id: UUID, delay_s: float) -> None:
        """Send a message as `send_import` does, but log an error instead of raising it."""
        try:
            self.send_import(import_id, user_id=user_id, delay_s=delay_s)
        except Unavailable:
            logger.exception("job_not_sent", message_type="import")

    def send_all(self, documents: Iterable[tuple[UUID, UUID]]) -> int:
        """Request ingestion of many documents, given as (user id, document id), and return their number.

        Raises Unavailable if any of the messages may be lost.
        """
        return self.put_all(map(SqsMessage, starmap(_s3_event, documents)))


def document_key(user_id: UUID, document_id: UUID) -> str:
    """Return the S3 key of a document's file."""
    return f"{DOCUMENTS_PREFIX}/{user_id}/{document_id}"


def import_key(user_id: UUID, import_id: UUID) -> str:
    """Return the S3 key of an import's file."""
    return f"{IMPORTS_PREFIX}/{user_id}/{import_id}"


def _s3_event(user_id: UUID, document_id: UUID) -> str:
    return _key_event(document_key(user_id, document_id))


def _key_event(key: str) -> str:
    return json.dumps({"Records": [{"s3": {"object": {"key": key}}}]})
