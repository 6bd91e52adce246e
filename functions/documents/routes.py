"""The routes of documents, and of imports of conversations, which upload their files in the same way."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, File, Form, Query, UploadFile
from pydantic import BaseModel, TypeAdapter

from functions.documents import library
from functions.documents.errors import FileTooLarge, ImportInProgress, ImportTooLarge, TooManyDocuments, UnsupportedFormat
from functions.documents.imports import ImportIn, ImportOut, ImportUploadOut, announce_import
from functions.documents.schemas import (
    WITHOUT_NUL,
    ChunkOut,
    DocumentFields,
    DocumentOut,
    SearchOut,
    Title,
    UploadIn,
    UploadOut,
)
from functions.documents.services import DocumentServicesDep
from parley.auth.principal import Principal
from parley.aws.s3 import PresignedPost
from parley.db import chunks, documents
from parley.db.accounts import audit
from parley.db.documents import Document
from parley.db.engine import Connection
from parley.db.groups import shares
from parley.db.imports import imports
from parley.errors import IdempotencyKeyReused, NotFound, RequestInProgress
from parley.http.app import join_routers
from parley.http.dependencies import CurrentPrincipal, InvocationDeadline, RequestOrigin, Transaction, require_live_session, requires
from parley.http.idempotency import IdempotencyHeader, IdempotentRequest
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import CursorNumber, Listing, Page
from parley.http.problems import error_responses
from parley.http.schemas import OwnerOut, ShareIn, ShareOut

CHUNK_KEY = TypeAdapter(tuple[CursorNumber])

documents_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("documents"))])

# Check the session first: these routes reject requests, or spend money on them, before they open a transaction.
LIVE_SESSION = [Depends(require_live_session)]


@documents_router.post(
    "/documents",
    status_code=202,
    dependencies=LIVE_SESSION,
    response_model=DocumentOut,
    responses=error_responses(TooManyDocuments, UnsupportedFormat, IdempotencyKeyReused, RequestInProgress),
)
async def upload(
    services: DocumentServicesDep,
    principal: CurrentPrincipal,
    idempotency: IdempotencyHeader,
    deadline: InvocationDeadline,
    file: Annotated[UploadFile, File()],
    title: Annotated[Title | None, Form()] = None,
) -> BaseModel | dict[str, Any]:
    """Upload a file of up to 4 MB for ingestion. Uploading the same bytes again returns the existing document.

    Content that is clearly not a document, such as an image, is refused immediately.
    """
    content = await file.read()
    filename, content_type = file.filename or "file", file.content_type or "application/octet-stream"
    parameters = [filename, content_type, title, hashlib.sha256(content).hexdigest()]
    request: IdempotentRequest[Document] = idempotency.request(
        "POST /documents", None, render=lambda document: _document_out(document, principal), parameters=parameters
    )
    store = partial(library.store_document, services, principal, content, filename=filename, content_type=content_type, title=title)
    return request.run_exclusively(services.engine, principal, store, deadline).response


@documents_router.post(
    "/documents/uploads",
    status_code=201,
    dependencies=LIVE_SESSION,
    response_model=UploadOut,
    responses=error_responses(FileTooLarge, TooManyDocuments, IdempotencyKeyReused, RequestInProgress),
)
def prepare_upload(
    body: UploadIn,
    services: DocumentServicesDep,
    principal: CurrentPrincipal,
    idempotency: IdempotencyHeader,
    deadline: InvocationDeadline,
) -> BaseModel | dict[str, Any]:
    """Return a form that uploads a larger file to S3. The form is valid for an hour, and only for the declared size and type.

    A repeated request returns the first form, which still expires an hour after the first request.
    """
    request = idempotency.request("POST /documents/uploads", body, render=_upload_out)
    announce = partial(library.announce_upload, services, principal, **body.model_dump())
    return request.run_exclusively(services.engine, principal, announce, deadline).response


@documents_router.get("/documents")
def list_all(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[DocumentOut]:
    """List the user's own documents and those shared with everybody or with a group of the user, newest first."""
    rows = documents.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=page.after_id())
    owners = _owners(transaction, rows, principal)
    return page.listing(rows, to_item=lambda row: _document_out(row, principal, owners.get(row.user_id)), key=lambda row: [row.id])


@documents_router.get("/documents/search", dependencies=LIVE_SESSION, responses=error_responses(NotFound))
def find(
    services: DocumentServicesDep,
    principal: CurrentPrincipal,
    q: Annotated[str, Query(min_length=1, max_length=2000, pattern=WITHOUT_NUL)],
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    document_id: Annotated[list[UUID] | None, Query(max_length=100)] = None,
) -> SearchOut:
    """Search the chunks of all documents that the user may read, or only of the documents with the ids `document_id`."""
    return SearchOut.model_validate(library.search_documents(services, principal, q, limit=limit, only_in=document_id))


@documents_router.get("/documents/{id}", responses=error_responses(NotFound))
def get(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> DocumentOut:
    """Return a document and the progress of its ingestion."""
    document = documents.get(transaction, id, user_id=principal.user_id)
    return _document_out(document, principal, _owners(transaction, [document], principal).get(document.user_id))


@documents_router.patch("/documents/{id}", responses=error_responses(NotFound))
def change(id: UUID, body: DocumentFields, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> DocumentOut:
    """Change the title. An admin may also share the document with all users of this deployment."""
    if body.shared is not None:
        principal.require("admin")
    fields = {"title": body.title, "is_shared": body.shared}
    changes = {name: value for name, value in fields.items() if value is not None}
    document = documents.change(transaction, id, user_id=principal.user_id, changes=changes)
    if body.shared is not None:
        audit.record_share(transaction, principal.user_id, "document", id, origin, is_shared=body.shared)
    return _document_out(document, principal)


@documents_router.delete("/documents/{id}", status_code=204, responses=error_responses(NotFound))
def delete(id: UUID, services: DocumentServicesDep, principal: CurrentPrincipal) -> None:
    """Delete a document with its file, chunks and vectors."""
    library.remove_document(services, principal, id)


@documents_router.get("/documents/{id}/chunks", responses=error_responses(NotFound))
def list_chunks(id: UUID, principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[ChunkOut]:
    """List a document's chunks in order. Citations refer to chunks."""
    document = documents.get(transaction, id, user_id=principal.user_id)
    (after,) = page.after(CHUNK_KEY) or (None,)
    rows = chunks.page(transaction, id, owner_id=document.user_id, limit=page.limit + 1, after=after)
    return page.listing(rows, to_item=ChunkOut.model_validate, key=lambda row: [row.number])


@documents_router.get("/documents/{id}/shares", responses=error_responses(NotFound))
def list_shares(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> Listing[ShareOut]:
    """List the groups with which the user's own document is shared, by name."""
    found = shares.list_all(transaction, shares.DOCUMENTS, id, user_id=principal.user_id)
    return Listing(items=[ShareOut.model_validate(share) for share in found], next_cursor=None)


@documents_router.put("/documents/{id}/shares", status_code=204, responses=error_responses(NotFound))
def share(id: UUID, body: ShareIn, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """Share the user's own document with a group of the user. Its members can then read, search and cite the document."""
    shares.add(transaction, shares.DOCUMENTS, id, body.group_id, user_id=principal.user_id)
    audit.record_share(transaction, principal.user_id, "document", id, origin, is_shared=True, group_id=body.group_id)


@documents_router.delete("/documents/{id}/shares", status_code=204, responses=error_responses(NotFound))
def unshare(id: UUID, body: ShareIn, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """End the share of the user's own document with a group, with immediate effect."""
    shares.remove(transaction, shares.DOCUMENTS, id, body.group_id, user_id=principal.user_id)
    audit.record_share(transaction, principal.user_id, "document", id, origin, is_shared=False, group_id=body.group_id)


imports_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations"))])


@imports_router.post(
    "/conversations/imports",
    status_code=201,
    dependencies=LIVE_SESSION,
    response_model=ImportUploadOut,
    responses=error_responses(ImportTooLarge, ImportInProgress, IdempotencyKeyReused, RequestInProgress),
)
def prepare_import(
    body: ImportIn,
    services: DocumentServicesDep,
    principal: CurrentPrincipal,
    idempotency: IdempotencyHeader,
    deadline: InvocationDeadline,
    origin: RequestOrigin,
) -> BaseModel | dict[str, Any]:
    """Return a form that uploads an export of ChatGPT, Claude, LibreChat, Open WebUI or Parley, whose conversations are then imported.

    The form is valid for an hour. An import that has not begun is replaced, and while one runs, no other begins. Importing the same file
    again adds nothing, and a newer export adds only what is new.
    """
    request = idempotency.request("POST /conversations/imports", body, render=ImportUploadOut.of)
    announce = partial(announce_import, services, principal, origin=origin, **body.model_dump())
    return request.run_exclusively(services.engine, principal, announce, deadline).response


@imports_router.get("/conversations/imports")
def list_imports(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[ImportOut]:
    """List the user's imports of the last 90 days, newest first."""
    rows = imports.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=ImportOut.of, key=lambda row: [row.id])


@imports_router.get("/conversations/imports/{id}", responses=error_responses(NotFound))
def get_import(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> ImportOut:
    """Return an import with its progress and its report."""
    return ImportOut.of(imports.get(transaction, id, user_id=principal.user_id))


router = join_routers(documents_router, imports_router)


def _upload_out(announced: tuple[UUID, PresignedPost]) -> UploadOut:
    document_id, upload = announced
    return UploadOut(id=document_id, upload_url=upload.url, fields=upload.fields)


def _owners(transaction: Connection, rows: Sequence[Document], principal: Principal) -> dict[UUID, OwnerOut]:
    """Return the owners of other users' documents, if they are in a group with the caller."""
    found = shares.owners(transaction, (row.user_id for row in rows), user_id=principal.user_id)
    return {id: OwnerOut.model_validate(fellow) for id, fellow in found.items()}


def _document_out(document: Document, principal: Principal, owner: OwnerOut | None = None) -> DocumentOut:
    fields = {name: getattr(document, name) for name in Document.__dataclass_fields__}
    return DocumentOut.model_validate(fields | {"is_own": document.user_id == principal.user_id, "owner": owner})
