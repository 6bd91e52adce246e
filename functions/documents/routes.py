"""The document routes."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile

from functions.documents.errors import FileTooLarge, TooManyDocuments, UnsupportedFormat
from functions.documents.library import announce_upload, remove_document, search_documents, store_document
from functions.documents.schemas import WITHOUT_NUL, ChunkOut, DocumentFields, DocumentOut, SearchOut, Title, UploadIn, UploadOut
from functions.documents.services import DocumentServices
from parley.auth.principal import Principal
from parley.db import chunks, documents
from parley.db.documents import Document
from parley.db.transactions import principal_scope
from parley.errors import NotFound
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.paging import Listing, Page, read_id, read_key
from parley.http.problems import error_responses

router = APIRouter(dependencies=[Depends(requires("documents"))])


def require_live_session(request: Request, principal: CurrentPrincipal) -> None:
    """Refuse a session that has ended before a word is said about the request. Raises Unauthorized."""
    with principal_scope(_services(request).engine, principal):
        pass


LIVE_SESSION = [Depends(require_live_session)]


@router.post("/documents", status_code=202, dependencies=LIVE_SESSION, responses=error_responses(TooManyDocuments, UnsupportedFormat))
async def upload(
    request: Request, principal: CurrentPrincipal, file: Annotated[UploadFile, File()], title: Annotated[Title | None, Form()] = None
) -> DocumentOut:
    """Take a file of up to 4 MB and have it read. The same bytes again are the document that they are already.

    What is plainly no document, such as a picture, is refused at once.
    """
    content = await file.read()
    names = {"filename": file.filename or "file", "content_type": file.content_type or "application/octet-stream", "title": title}
    return _document_out(store_document(_services(request), principal, content, **names), principal)  # type: ignore[arg-type]


@router.post("/documents/uploads", status_code=201, dependencies=LIVE_SESSION, responses=error_responses(FileTooLarge, TooManyDocuments))
def prepare_upload(body: UploadIn, request: Request, principal: CurrentPrincipal) -> UploadOut:
    """Say where to send a larger file: a form to S3, within the hour, of the very size and type."""
    document_id, upload = announce_upload(_services(request), principal, body)
    return UploadOut(id=document_id, upload_url=upload.url, fields=upload.fields)


@router.get("/documents")
def list_all(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[DocumentOut]:
    """List the user's documents and the shared ones, newest first."""
    found = documents.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=read_id(page.after))
    return page.listing(found, to_item=lambda one: _document_out(one, principal), key=lambda one: [one.id])


@router.get("/documents/search", dependencies=LIVE_SESSION, responses=error_responses(NotFound))
def find(
    request: Request,
    principal: CurrentPrincipal,
    q: Annotated[str, Query(min_length=1, max_length=2000, pattern=WITHOUT_NUL)],
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    document_id: Annotated[list[UUID] | None, Query(max_length=100)] = None,
) -> SearchOut:
    """Find the pieces of documents that fit a query, in all that the user may read or in some documents."""
    return search_documents(_services(request), principal, q, limit=limit, only_in=document_id)


@router.get("/documents/{id}", responses=error_responses(NotFound))
def get(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> DocumentOut:
    """Return a document, with how far it has been read."""
    return _document_out(documents.get(transaction, id, user_id=principal.user_id), principal)


@router.patch("/documents/{id}", responses=error_responses(NotFound))
def change(id: UUID, body: DocumentFields, principal: CurrentPrincipal, transaction: Transaction) -> DocumentOut:
    """Change the title, or as an admin share the document with all users of this deployment."""
    if body.shared is not None:
        principal.require("admin")
    named = {"title": body.title, "is_shared": body.shared}
    changes = {name: value for name, value in named.items() if value is not None}
    return _document_out(documents.change(transaction, id, user_id=principal.user_id, changes=changes), principal)


@router.delete("/documents/{id}", status_code=204, responses=error_responses(NotFound))
def delete(id: UUID, request: Request, principal: CurrentPrincipal) -> None:
    """Delete a document with everything that was made of it."""
    remove_document(_services(request), principal, id)


@router.get("/documents/{id}/chunks", responses=error_responses(NotFound))
def list_chunks(id: UUID, principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[ChunkOut]:
    """List the pieces of a document in order: what citations lead to."""
    documents.get(transaction, id, user_id=principal.user_id)
    found = chunks.page(transaction, id, limit=page.limit + 1, after=read_key(page.after, int))
    return page.listing(found, to_item=ChunkOut.model_validate, key=lambda one: [one.number])


def _document_out(document: Document, principal: Principal) -> DocumentOut:
    fields = {name: getattr(document, name) for name in Document.__dataclass_fields__}
    return DocumentOut.model_validate(fields | {"is_own": document.user_id == principal.user_id})


def _services(request: Request) -> DocumentServices:
    services: DocumentServices = request.app.state.services
    return services
