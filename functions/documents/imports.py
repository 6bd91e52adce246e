"""Imports of conversations: the form that uploads an export, the progress, and the report.

The ingest function runs an import. It writes the codes of the report; this module has the sentences for people.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from functions.documents.errors import ImportInProgress, ImportTooLarge
from functions.documents.services import DocumentServices
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.aws.s3 import PresignedPost
from parley.db.accounts import audit
from parley.db.imports import imports
from parley.db.imports.imports import Import
from parley.db.transactions import lock_until_end, principal_scope
from parley.http.schemas import Input, Output, Timestamp
from parley.ids import new_id
from parley.ingest_queue import MAX_IMPORT_BYTES

# S3 notifies the queue within seconds. This message makes up for a notification that was lost; otherwise it has no effect.
CHECK_FORM_AFTER_S = 900
REASONS: Mapping[str, str] = {
    "attachments": "Attached files that are not in the export",
    "empty": "Conversations without a message",
    "expired": "Conversations older than your retention, which would be deleted today",
    "images": "Images that the export does not contain, or whose format is not supported",
    "malformed": "Conversations that cannot be read",
    "other_branches": "Messages of branches that are not the current one",
    "prompts": "Prompts that cannot be read, have the name of another prompt of yours, or exceed the limit of 200",
    "text_cut": "Messages that were cut to 400,000 characters",
    "tools_and_reasoning": "Calls of tools, their results, and the model's reasoning",
    "too_large": "Conversations over the limits of an import",
    "unknown_format": "Entries that are not a conversation of a known format",
    "vectors": "The embedding model did not respond: for now, search finds some of the conversations by words only",
}


class ImportIn(Input):
    """POST /conversations/imports: the name and exact size of an export.

    With `read_facts`, a model reads the imported conversations for facts about you, which costs money with most models.
    """

    filename: Annotated[str, Field(min_length=1, max_length=300)]
    bytes: Annotated[int, Field(gt=0, lt=2**40)]
    read_facts: bool = False


class ImportUploadOut(Output):
    """The address and form fields of an upload. Post the fields in this order, then the field `file`."""

    id: UUID
    upload_url: str
    fields: dict[str, str]

    @classmethod
    def of(cls, announced: tuple[UUID, PresignedPost]) -> Self:
        """Render the form."""
        import_id, upload = announced
        return cls(id=import_id, upload_url=upload.url, fields=upload.fields)


class LeftOutOut(Output):
    """Something that an import left out: a `code` for programs, a `reason` for people, how often, and a few conversations' titles."""

    code: str
    reason: str
    count: int
    titles: list[str]


class ImportOut(Output):
    """An import. `progress` runs from 0 to 1, and the counts grow with it. `source` is null until it is known.

    An extended conversation was imported before and got new messages; an unchanged one had none. A failed import has an `error` for
    people and an `error_code` for programs; the conversations that it counts stay.
    """

    id: UUID
    filename: str
    bytes: int
    status: Literal["queued", "processing", "ready", "failed"]
    source: Literal["chatgpt", "claude", "librechat", "open-webui", "parley"] | None
    progress: float
    conversations_added: int
    conversations_extended: int
    conversations_unchanged: int
    messages_added: int
    left_out: list[LeftOutOut]
    error: str | None
    error_code: str | None
    created_at: Timestamp
    finished_at: Timestamp | None

    @classmethod
    def of(cls, run: Import) -> Self:
        """Render an import."""
        entries = [
            LeftOutOut(code=code, reason=REASONS.get(code, code), count=entry["count"], titles=entry["titles"])
            for code, entry in sorted(run.left_out.items())
        ]
        fields = {name: getattr(run, name) for name in cls.model_fields if name != "left_out"}
        return cls.model_validate(fields | {"left_out": entries})


def announce_import(
    services: DocumentServices, principal: Principal, *, origin: ClientOrigin, filename: str, bytes: int, read_facts: bool
) -> tuple[UUID, PresignedPost]:
    """Store an import without its file, and return the form that uploads the file.

    Raises ImportTooLarge, ImportInProgress, Unauthorized and Unavailable.
    """
    if bytes > MAX_IMPORT_BYTES:
        raise ImportTooLarge(bytes, limit=MAX_IMPORT_BYTES)
    user_id, import_id = principal.user_id, new_id()
    with principal_scope(services.engine, principal) as connection:
        lock_until_end(connection, f"imports of {user_id}")
        added = imports.add(connection, import_id, user_id=user_id, filename=filename, bytes=bytes, reads_facts=read_facts)
        if added is not None:
            audit.record_own(connection, user_id, "import_announced", origin, import_id=str(import_id))
    if added is None:
        raise ImportInProgress(str(user_id))
    services.ingest_queue.send_import_later(import_id, user_id=user_id, delay_s=CHECK_FORM_AFTER_S)
    return import_id, services.files.upload_import(import_id, user_id=user_id, size=bytes)
