"""The queue of documents that are to be read. S3 tells it of new files; whoever else uses it writes what S3 would."""

import json
from collections.abc import Iterable
from itertools import starmap
from uuid import UUID

from parley.queue import Queue

FOLDER = "documents"


def file_key(user_id: UUID, document_id: UUID) -> str:
    """Return where a document's file lies in the bucket."""
    return f"{FOLDER}/{user_id}/{document_id}"


class IngestQueue(Queue):
    """The way to the ingest function: the SQS queue with this address."""

    def send(self, document_id: UUID, *, user_id: UUID, delay_s: float = 0) -> None:
        """Have a document taken up, after `delay_s`, 15 minutes at most. Raises Unavailable."""
        self.put(_body(user_id, document_id), delay_s=delay_s)

    def send_all(self, found: Iterable[tuple[UUID, UUID]]) -> int:
        """Have many taken up, each named by its user and itself, and return how many. Raises Unavailable if one may be lost."""
        return self.put_all(starmap(_body, found))


def _body(user_id: UUID, document_id: UUID) -> str:
    return json.dumps({"Records": [{"s3": {"object": {"key": file_key(user_id, document_id)}}}]})
