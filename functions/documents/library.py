"""A user's documents: upload, search and removal.

Small files arrive in the request; for larger files the client posts a form to S3 itself. The ingest function detects a
file's format and whether it can be read; this module only rejects content that is clearly not a document.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal
from uuid import UUID

from functions.documents.errors import FileTooLarge, TooManyDocuments, UnsupportedFormat
from functions.documents.services import DocumentServices
from parley.auth.principal import Principal
from parley.aws.s3 import PresignedPost
from parley.db import documents, outbox
from parley.db.chunks import FoundChunk, search_chunks
from parley.db.documents import Document
from parley.db.engine import Connection, Engine
from parley.db.transactions import lock_until_end, principal_scope
from parley.errors import InvalidInput, Unavailable, untrusted
from parley.file_type import DOCX_MAIN_PART, detect_container, has_utf16_mark
from parley.ids import new_id
from parley.jobs import OutboxJob
from parley.metering.limits import BillingSubject

MAX_DOCUMENTS = 10_000
MEDIA_TYPE = r"^[A-Za-z0-9_.+-]+/[A-Za-z0-9_.+-]+(; ?[A-Za-z0-9_=.\"-]+)*$"
MAX_MEDIA_TYPE_CHARACTERS = 200
# S3 notifies the queue of a new file within seconds. Messages delayed by these times make up for a notification that was lost or whose
# worker died. Otherwise they have no effect.
CHECK_UPLOAD_AFTER_S, CHECK_FORM_AFTER_S = 300, 900
_MAX_FILENAME_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class DocumentMatches:
    """The chunks that match a query, best first. `mode` and `reranked` tell how they were found and ordered."""

    items: Sequence[FoundChunk]
    mode: Literal["hybrid", "text"]
    reranked: bool


def store_document(
    services: DocumentServices, principal: Principal, content: bytes, *, filename: str, content_type: str, title: str | None
) -> Document:
    """Store a file, which starts its ingestion. Storing the same bytes again returns the existing document.

    Raises InvalidInput, UnsupportedFormat, TooManyDocuments, Unauthorized and Unavailable. A crash or Unavailable can
    leave a document without its file, like an upload that was only announced. Storing the same bytes again adds the file.
    """
    if not content:
        raise InvalidInput("the file is empty", loc=("body", "file"))
    if not is_supported_file(content):
        raise UnsupportedFormat(untrusted(filename))
    values: dict[str, str | int] = {
        "content_type": _valid_media_type(content_type),
        "bytes": len(content),
        **_filename_and_title(filename, title),
    }
    document = _find_or_add(services.engine, principal, hashlib.sha256(content).digest(), values)
    if document.status == "queued":
        services.ingest_queue.send_later(document.id, user_id=principal.user_id, delay_s=CHECK_UPLOAD_AFTER_S)
        services.files.put(document.id, content, user_id=principal.user_id, content_type=document.content_type)
    return document


def announce_upload(
    services: DocumentServices, principal: Principal, *, filename: str, content_type: str, bytes: int, title: str | None
) -> tuple[UUID, PresignedPost]:
    """Store a document without its file, and return the form that uploads the file.

    Raises FileTooLarge, TooManyDocuments, Unauthorized and Unavailable.
    """
    if bytes > services.files.max_bytes:
        raise FileTooLarge(bytes, limit=services.files.max_bytes)
    user_id = principal.user_id
    with principal_scope(services.engine, principal) as connection:
        _check_document_limit(connection, user_id)
        names = _filename_and_title(filename, title)
        document_id = new_id()
        documents.add(connection, document_id, user_id=user_id, content_type=content_type, bytes=bytes, sha256=None, **names)
    services.ingest_queue.send_later(document_id, user_id=user_id, delay_s=CHECK_FORM_AFTER_S)
    return document_id, services.files.upload(document_id, user_id=user_id, content_type=content_type, size=bytes)


def search_documents(
    services: DocumentServices, principal: Principal, query: str, *, limit: int, only_in: Sequence[UUID] | None
) -> DocumentMatches:
    """Return the best matching chunks of all documents that the user may read, or only of the documents with the ids `only_in`.

    Raises NotFound, Unauthorized and Unavailable.
    """
    # Check before the embedding: an ended session must not spend the user's money.
    with principal_scope(services.engine, principal) as connection:
        documents.check_readable(connection, only_in or (), user_id=principal.user_id)
    billing_subject = BillingSubject(principal.user_id, principal.api_key_id)
    vector = services.embedding.query(query, billing_subject=billing_subject)
    with principal_scope(services.engine, principal) as connection:
        chunks = search_chunks(connection, query, vector, limit=services.reranking.pool(limit), only_in=only_in)
    reranked = services.reranking.reranked(query, chunks, billing_subject=billing_subject)
    mode: Literal["hybrid", "text"] = "hybrid" if vector else "text"
    return DocumentMatches((reranked or chunks)[:limit], mode, reranked=reranked is not None)


def remove_document(services: DocumentServices, principal: Principal, document_id: UUID) -> None:
    """Delete the user's own document, even during ingestion. Raises NotFound, Unauthorized and Unavailable."""
    with principal_scope(services.engine, principal) as connection:
        documents.remove(connection, document_id, user_id=principal.user_id)
        entry = outbox.add(connection, "erase_document", user_id=principal.user_id, subject_id=document_id)
    services.queue.send_later(OutboxJob.of(entry))


def is_supported_file(content: bytes) -> bool:
    """Return whether `content` looks like a PDF, a Word file or text, and not like an image, a spreadsheet or a program."""
    match detect_container(content):
        case "pdf" | "ole":  # OLE may be an encrypted Word file; ingestion then reports the password as the reason
            return True
        case "zip":
            return DOCX_MAIN_PART.encode() in content
    return b"\0" not in content or has_utf16_mark(content)


def _find_or_add(engine: Engine, principal: Principal, sha256: bytes, values: dict[str, str | int]) -> Document:
    """Return the user's document with this content hash; add it if there is none."""
    user_id = principal.user_id
    with principal_scope(engine, principal) as connection:
        if existing := documents.find_by_content(connection, sha256, user_id=user_id):
            return existing
        _check_document_limit(connection, user_id)
        document = documents.add(connection, new_id(), user_id=user_id, sha256=sha256, **values)
        # None means that a concurrent request added the same content first.
        return document or _added_concurrently(connection, sha256, user_id)


def _added_concurrently(connection: Connection, sha256: bytes, user_id: UUID) -> Document:
    if existing := documents.find_by_content(connection, sha256, user_id=user_id):
        return existing
    raise Unavailable("documents")  # a third request deleted it again


def _check_document_limit(connection: Connection, user_id: UUID) -> None:
    """Raise TooManyDocuments at the limit. The lock makes a concurrent upload wait until this upload is committed."""
    lock_until_end(connection, f"documents of {user_id}")
    if (count := documents.count(connection, user_id=user_id)) >= MAX_DOCUMENTS:
        raise TooManyDocuments(f"{count} documents")


def _valid_media_type(declared: str) -> str:
    """Return the declared media type, or a generic type if it is invalid: S3 would reject it, and ingestion ignores the type."""
    is_valid = len(declared) <= MAX_MEDIA_TYPE_CHARACTERS and re.fullmatch(MEDIA_TYPE, declared)
    return declared if is_valid else "application/octet-stream"


def _filename_and_title(filename: str, title: str | None) -> dict[str, str]:
    """Return the file's name without folders, and its title: the given title, else the name without its extension."""
    name = filename.replace("\\", "/").rsplit("/", 1)[-1].replace("\0", "").strip()[:_MAX_FILENAME_CHARACTERS] or "file"
    return {"filename": name, "title": (title or "").strip() or PurePath(name).stem or name}
