"""The queue messages that name documents and imports: S3's notifications of new files, and our own messages in the same format.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import json
from dataclasses import dataclass
from urllib.parse import unquote_plus
from uuid import UUID

from parley.errors import ParleyError
from parley.ingest_queue import DOCUMENTS_PREFIX, IMPORTS_PREFIX, document_key, import_key


class UnknownDocumentMessage(ParleyError):
    """The message is about neither a document nor an import. The error does not repeat the message's text."""


@dataclass(frozen=True, slots=True)
class DocumentMessage:
    """A request to ingest a document whose file is in the bucket."""

    user_id: UUID
    document_id: UUID

    @property
    def file_key(self) -> str:
        """Return the key of the document's file in the bucket."""
        return document_key(self.user_id, self.document_id)


@dataclass(frozen=True, slots=True)
class ImportMessage:
    """A request to run an import whose file is in the bucket."""

    user_id: UUID
    import_id: UUID

    @property
    def file_key(self) -> str:
        """Return the key of the import's file in the bucket."""
        return import_key(self.user_id, self.import_id)


def message_of_key(key: str) -> DocumentMessage | ImportMessage:
    """Parse `documents/<user_id>/<document_id>` or `imports/<user_id>/<import_id>`. Raises UnknownDocumentMessage for any other key."""
    kinds: dict[str, type[DocumentMessage | ImportMessage]] = {DOCUMENTS_PREFIX: DocumentMessage, IMPORTS_PREFIX: ImportMessage}
    match key.split("/"):
        case [folder, user_id, id] if folder in kinds:
            try:
                return kinds[folder](UUID(user_id), UUID(id))
            except ValueError as exc:
                raise UnknownDocumentMessage("a key without valid ids") from exc
    raise UnknownDocumentMessage(f"a key outside of {', '.join(kinds)}")


def parse_messages(body: str) -> list[DocumentMessage | ImportMessage]:
    """Return the documents and imports that a message names. S3's test event names none. Raises UnknownDocumentMessage."""
    try:
        message = json.loads(body)
        if message.get("Event") == "s3:TestEvent":
            return []
        # S3 encodes keys as `application/x-www-form-urlencoded`, with `+` for a space.
        return [message_of_key(unquote_plus(record["s3"]["object"]["key"])) for record in message["Records"]]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UnknownDocumentMessage(f"not an S3 notification: {type(exc).__name__}") from exc
