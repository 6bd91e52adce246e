"""A user's documents: upload, search and removal.

Small files come with the request, larger ones by a form that the client sends to S3 itself. Which format a file has, and
whether it can be read, the ingest function finds out; here only a glance at the bytes refuses what is clearly no document.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection

from functions.documents.errors import FileTooLarge, TooManyDocuments, UnsupportedFormat
from functions.documents.schemas import MAX_MEDIA_TYPE_CHARACTERS, MEDIA_TYPE, FoundOut, SearchOut, UploadIn
from functions.documents.services import DocumentServices
from parley.auth.principal import Principal
from parley.aws.s3 import PresignedPost
from parley.db import documents, outbox, search
from parley.db.documents import Document
from parley.db.transactions import principal_scope
from parley.errors import InvalidInput, Unavailable
from parley.file_type import DOCX_MAIN_PART, detect_container, has_utf16_mark
from parley.ids import new_id
from parley.jobs import OutboxJob
from parley.metering.limits import BillingSubject

MAX_DOCUMENTS = 10_000
_MAX_FILENAME_CHARACTERS = 300


def is_supported_file(content: bytes) -> bool:
    """Return whether `content` looks like a PDF, a Word file or text, and not like an image, a spreadsheet or a program."""
    match detect_container(content):
        case "pdf" | "ole":  # an OLE file may be a Word file with a password, which ingestion names as the reason
            return True
        case "zip":
            return DOCX_MAIN_PART.encode() in content
    return b"\0" not in content or has_utf16_mark(content)


def store_document(
    services: DocumentServices, principal: Principal, content: bytes, *, filename: str, content_type: str, title: str | None
) -> Document:
    """Store a file and have it read; the same bytes again are the document that they are already.

    Raises InvalidInput, UnsupportedFormat, TooManyDocuments, Unauthorized and Unavailable. After the last, or a death in
    between, a document may be left that waits for its file, as one announced by a form does: the same bytes again are its file.
    """
    if not content:
        raise InvalidInput("the file is empty", loc=("body", "file"))
    if not is_supported_file(content):
        raise UnsupportedFormat(filename)
    values: dict[str, str | int] = {
        "content_type": _valid_media_type(content_type),
        "bytes": len(content),
        **_filename_and_title(filename, title),
    }
    document = _find_or_add(services, principal, hashlib.sha256(content).digest(), values)
    if document.status == "queued":
        services.files.put(document.id, content, user_id=principal.user_id, content_type=document.content_type)
    return document


def _find_or_add(services: DocumentServices, principal: Principal, sha256: bytes, values: dict[str, str | int]) -> Document:
    """Return the document of these bytes, made now if there is none."""
    user_id = principal.user_id
    with principal_scope(services.engine, principal) as connection:
        if known := documents.find_by_content(connection, sha256, user_id=user_id):
            return known
        _check_document_limit(documents.count(connection, user_id=user_id))
        document = documents.add(connection, new_id(), user_id=user_id, sha256=sha256, **values)
        # None: another request was quicker by a moment.
        return document or _existing(connection, sha256, user_id)


def announce_upload(services: DocumentServices, principal: Principal, body: UploadIn) -> tuple[UUID, PresignedPost]:
    """Note a document whose file is to come, and return how to send it. Raises FileTooLarge, TooManyDocuments and Unauthorized."""
    if body.bytes > services.files.max_bytes:
        raise FileTooLarge(body.bytes, limit=services.files.max_bytes)
    user_id = principal.user_id
    with principal_scope(services.engine, principal) as connection:
        _check_document_limit(documents.count(connection, user_id=user_id))
        names = _filename_and_title(body.filename, body.title)
        document_id = new_id()
        documents.add(connection, document_id, user_id=user_id, content_type=body.content_type, bytes=body.bytes, sha256=None, **names)
    return document_id, services.files.upload(document_id, user_id=user_id, content_type=body.content_type, size=body.bytes)


def _existing(connection: Connection, sha256: bytes, user_id: UUID) -> Document:
    if known := documents.find_by_content(connection, sha256, user_id=user_id):
        return known
    raise Unavailable("documents")  # it was deleted in the next moment


def _check_document_limit(count: int) -> None:
    if count >= MAX_DOCUMENTS:
        raise TooManyDocuments(f"{count} documents")


def _valid_media_type(announced: str) -> str:
    """Return what a file is said to be, where that is a media type: S3 refuses others, and nothing goes by it."""
    is_one = len(announced) <= MAX_MEDIA_TYPE_CHARACTERS and re.fullmatch(MEDIA_TYPE, announced)
    return announced if is_one else "application/octet-stream"


def _filename_and_title(filename: str, title: str | None) -> dict[str, str]:
    """Return the file's name without its folders, and a title: the one that is wished, else the name without its ending."""
    name = filename.replace("\\", "/").rsplit("/", 1)[-1].replace("\0", "").strip()[:_MAX_FILENAME_CHARACTERS] or "file"
    return {"filename": name, "title": (title or "").strip() or PurePath(name).stem or name}


def search_documents(
    services: DocumentServices, principal: Principal, query: str, *, limit: int, only_in: Sequence[UUID] | None
) -> SearchOut:
    """Return the chunks that fit best of all that the user may read. Raises NotFound, Unauthorized and Unavailable."""
    # First of all: nobody spends a user's money on vectors with a session that has ended.
    with principal_scope(services.engine, principal) as connection:
        documents.check_readable(connection, only_in or (), user_id=principal.user_id)
    billing_subject = BillingSubject(principal.user_id, principal.api_key_id)
    vector = services.embedding.query(query, billing_subject=billing_subject)
    with principal_scope(services.engine, principal) as connection:
        found = search.search_chunks(connection, query, vector, limit=services.reranking.pool(limit), only_in=only_in)
    reranked = services.reranking.reranked(query, found, billing_subject=billing_subject)
    mode: Literal["hybrid", "text"] = "hybrid" if vector else "text"
    items = [FoundOut.model_validate(one) for one in (reranked or found)[:limit]]
    return SearchOut(items=items, mode=mode, reranked=reranked is not None)


def remove_document(services: DocumentServices, principal: Principal, document_id: UUID) -> None:
    """Delete the user's own document, also while it is read. Raises NotFound, Unauthorized and Unavailable."""
    with principal_scope(services.engine, principal) as connection:
        documents.remove(connection, document_id, user_id=principal.user_id)
        entry = outbox.add(connection, "erase_document", user_id=principal.user_id, subject_id=document_id)
    services.queue.send_later(OutboxJob.of(entry))
