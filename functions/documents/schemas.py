"""Request and response models of the document routes."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AliasChoices, Field

from functions.documents.library import MAX_MEDIA_TYPE_CHARACTERS, MEDIA_TYPE
from parley.http.schemas import Input, Output, OwnerOut, Timestamp

# PostgreSQL cannot store NUL. `Input` checks JSON bodies as a whole, but not form fields and query parameters.
WITHOUT_NUL = r"^[^\x00]*$"
Title = Annotated[str, Field(min_length=1, max_length=300, pattern=WITHOUT_NUL)]


class UploadIn(Input):
    """POST /documents/uploads: the name, type and exact size of a file to upload."""

    filename: Annotated[str, Field(min_length=1, max_length=300)]
    content_type: Annotated[str, Field(max_length=MAX_MEDIA_TYPE_CHARACTERS, pattern=MEDIA_TYPE, examples=["application/pdf"])]
    bytes: Annotated[int, Field(gt=0, lt=2**40)]
    title: Title | None = None


class DocumentFields(Input):
    """PATCH /documents/{id}. Omitted fields stay unchanged. Only admins may set `shared`."""

    title: Title | None = None
    shared: bool | None = None


class DocumentOut(Output):
    """A document. `progress` runs from 0 to 1. A failed document has an `error` for people and an `error_code` for programs.

    `note` describes a limitation of a ready document, for example that search finds it by words only because it has no vectors.
    `shared` means shared with everybody. `owner` is set if a member of a group of the caller shares the document.
    """

    id: UUID
    title: str
    filename: str
    content_type: str
    bytes: int
    status: Literal["queued", "processing", "ready", "failed"]
    progress: float
    chunks: int
    error: str | None
    error_code: str | None
    note: str | None
    shared: Annotated[bool, Field(validation_alias=AliasChoices("is_shared", "shared"))]
    is_own: bool
    owner: OwnerOut | None = None
    created_at: Timestamp


class UploadOut(Output):
    """The target of an upload: post a form with these fields, in this order, followed by the field `file`."""

    id: UUID
    upload_url: str
    fields: dict[str, str]


class ChunkOut(Output):
    """A chunk of a document. `page` counts from 1, or is null if the format has no pages; `start` is a character offset."""

    chunk_id: Annotated[UUID, Field(validation_alias="id")]
    number: int
    heading: str
    text: str
    page: int | None
    start: int


class FoundOut(Output):
    """A chunk that matches a query."""

    document_id: UUID
    title: str
    chunk_id: Annotated[UUID, Field(validation_alias="id")]
    heading: str
    text: Annotated[str, Field(validation_alias="body")]
    page: int | None
    score: Annotated[float, Field(description="Orders the results of one search only; not comparable between searches.")]


class SearchOut(Output):
    """The chunks that match a query, best first. `mode` is "text" if no embedding of the query was available.

    `reranked` tells whether a rerank model determined the order.
    """

    items: list[FoundOut]
    mode: Literal["hybrid", "text"]
    reranked: bool
