"""The queue messages that name documents: S3's notifications of new files, and our own messages in the same format.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import json
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote_plus
from uuid import UUID

from parley.errors import ParleyError
from parley.jobs import DOCUMENTS_PREFIX, document_key


class UnknownDocumentMessage(ParleyError):
    """The message is not about a document. The error does not repeat the message's text."""


@dataclass(frozen=True, slots=True)
class DocumentMessage:
    """A request to ingest a document whose file is in the bucket."""

    user_id: UUID
    document_id: UUID

    @property
    def file_key(self) -> str:
        """Return the key of the document's file in the bucket."""
        return document_key(self.user_id, self.document_id)

    @classmethod
    def from_key(cls, key: str) -> Self:
        """Parse `documents/<user_id>/<document_id>`. Raises UnknownDocumentMessage for any other key."""
        match key.split("/"):
            case [folder, user_id, document_id] if folder == DOCUMENTS_PREFIX:
                try:
                    return cls(UUID(user_id), UUID(document_id))
                except ValueError as exc:
                    raise UnknownDocumentMessage("a key without valid ids") from exc
        raise UnknownDocumentMessage(f"a key outside of {DOCUMENTS_PREFIX}/")


def parse_messages(body: str) -> list[DocumentMessage]:
    """Return the documents that a message names. S3's test event names no document. Raises UnknownDocumentMessage."""
    try:
        message = json.loads(body)
        if message.get("Event") == "s3:TestEvent":
            return []
        # S3 encodes keys as `application/x-www-form-urlencoded`, with `+` for a space.
        return [DocumentMessage.from_key(unquote_plus(record["s3"]["object"]["key"])) for record in message["Records"]]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UnknownDocumentMessage(f"not an S3 notification: {type(exc).__name__}") from exc
