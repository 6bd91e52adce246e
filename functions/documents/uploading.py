"""How a file comes in: small ones with the request, larger ones by a form that goes to S3 itself."""

import hashlib
import re
from pathlib import PurePath
from uuid import UUID

from sqlalchemy import Connection

from functions.documents.desk import Desk
from functions.documents.errors import FileTooLarge, TooManyDocuments, UnsupportedFormat
from functions.documents.kinds import may_be_read
from functions.documents.schemas import LONGEST_MEDIA_TYPE, MEDIA_TYPE, UploadIn
from parley.auth.principal import Principal
from parley.aws.s3 import PresignedPost
from parley.db import documents
from parley.db.documents import Document
from parley.db.transactions import principal_scope
from parley.errors import InvalidInput, Unavailable
from parley.ids import new_id

MOST_DOCUMENTS = 10_000
_LONGEST_NAME = 300


def take(services: Desk, principal: Principal, content: bytes, *, filename: str, content_type: str, title: str | None) -> Document:
    """Store a file and have it read; the same bytes again are the document that they are already.

    Raises InvalidInput, UnsupportedFormat, TooManyDocuments, Unauthorized and Unavailable. After the last, or a death in
    between, a document may be left that waits for its file, as one announced by a form does: the same bytes again are its file.
    """
    if not content:
        raise InvalidInput("the file is empty", loc=("body", "file"))
    if not may_be_read(content):
        raise UnsupportedFormat(filename)
    values: dict[str, str | int] = {"content_type": _media_type(content_type), "bytes": len(content), **_names(filename, title)}
    document = _noted(services, principal, hashlib.sha256(content).digest(), values)
    if document.status == "queued":
        services.files.put(document.id, content, user_id=principal.user_id, content_type=document.content_type)
    return document


def _noted(services: Desk, principal: Principal, sha256: bytes, values: dict[str, str | int]) -> Document:
    """Return the document of these bytes, made now if there is none."""
    user_id = principal.user_id
    with principal_scope(services.engine, principal) as connection:
        if known := documents.find_by_content(connection, sha256, user_id=user_id):
            return known
        _check_room(documents.count(connection, user_id=user_id))
        document = documents.add(connection, new_id(), user_id=user_id, sha256=sha256, **values)
        # None: another request was quicker by a moment.
        return document or _known(connection, sha256, user_id)


def expect(services: Desk, principal: Principal, body: UploadIn) -> tuple[UUID, PresignedPost]:
    """Note a document whose file is to come, and return how to send it. Raises FileTooLarge, TooManyDocuments and Unauthorized."""
    if body.bytes > services.files.most_bytes:
        raise FileTooLarge(body.bytes, limit=services.files.most_bytes)
    user_id = principal.user_id
    with principal_scope(services.engine, principal) as connection:
        _check_room(documents.count(connection, user_id=user_id))
        names = _names(body.filename, body.title)
        document_id = new_id()
        documents.add(connection, document_id, user_id=user_id, content_type=body.content_type, bytes=body.bytes, sha256=None, **names)
    return document_id, services.files.upload(document_id, user_id=user_id, content_type=body.content_type, size=body.bytes)


def _known(connection: Connection, sha256: bytes, user_id: UUID) -> Document:
    if known := documents.find_by_content(connection, sha256, user_id=user_id):
        return known
    raise Unavailable("documents")  # it was deleted in the next moment


def _check_room(count: int) -> None:
    if count >= MOST_DOCUMENTS:
        raise TooManyDocuments(f"{count} documents")


def _media_type(said: str) -> str:
    """Return what a file is said to be, where that is a media type: S3 refuses others, and nothing goes by it."""
    is_one = len(said) <= LONGEST_MEDIA_TYPE and re.fullmatch(MEDIA_TYPE, said)
    return said if is_one else "application/octet-stream"


def _names(filename: str, title: str | None) -> dict[str, str]:
    """Return the file's name without its folders, and a title: the one that is wished, else the name without its ending."""
    name = filename.replace("\\", "/").rsplit("/", 1)[-1].replace("\0", "").strip()[:_LONGEST_NAME] or "file"
    return {"filename": name, "title": (title or "").strip() or PurePath(name).stem or name}
