"""Queue messages that name documents: S3's notifications of new files, and our own in the same format.

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
    """A message that neither S3 nor we would send. Its text is not repeated."""


@dataclass(frozen=True, slots=True)
class DocumentMessage:
    """A document whose file is there."""

    user_id: UUID
    document_id: UUID

    @property
    def file_key(self) -> str:
        """Return where its file lies."""
        return document_key(self.user_id, self.document_id)

    @classmethod
    def from_key(cls, key: str) -> Self:
        """Read it from the file's key. Raises UnknownNotice."""
        match key.split("/"):
            case [folder, user_id, document_id] if folder == DOCUMENTS_PREFIX:
                try:
                    return cls(UUID(user_id), UUID(document_id))
                except ValueError as exc:
                    raise UnknownDocumentMessage("a file whose key names no document") from exc
        raise UnknownDocumentMessage("a file outside of the documents' folder")


def parse_messages(body: str) -> list[DocumentMessage]:
    """Return the documents that a message names; S3's test of a new configuration names none. Raises UnknownNotice."""
    try:
        message = json.loads(body)
        if message.get("Event") == "s3:TestEvent":
            return []
        # S3 writes keys as forms write their fields.
        return [DocumentMessage.from_key(unquote_plus(record["s3"]["object"]["key"])) for record in message["Records"]]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UnknownDocumentMessage(f"not a notification: {type(exc).__name__}") from exc
