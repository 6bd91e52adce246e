"""What the document routes take and give."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from parley.http.schemas import Input, Output, Timestamp

# PostgreSQL cannot store NUL; a body of JSON is looked at as a whole, a form's or an address's fields are not.
WITHOUT_NUL = r"^[^\x00]*$"
MEDIA_TYPE = r"^[A-Za-z0-9_.+-]+/[A-Za-z0-9_.+-]+(; ?[A-Za-z0-9_=.\"-]+)*$"
MAX_MEDIA_TYPE_CHARACTERS = 200
Title = Annotated[str, Field(min_length=1, max_length=300, pattern=WITHOUT_NUL)]


class UploadIn(Input):
    """POST /documents/uploads: a file that is to come, and its exact size."""

    filename: Annotated[str, Field(min_length=1, max_length=300)]
    content_type: Annotated[str, Field(max_length=MAX_MEDIA_TYPE_CHARACTERS, pattern=MEDIA_TYPE, examples=["application/pdf"])]
    bytes: Annotated[int, Field(gt=0, lt=2**40)]
    title: Title | None = None


class DocumentFields(Input):
    """PATCH /documents/{id}; what is not named stays. `shared` is for admins."""

    title: Title | None = None
    shared: bool | None = None


class DocumentOut(Output):
    """A document. `progress` goes from 0 to 1; `error` says why one has failed, `error_code` in one word.

    `note` says what one that is ready lacks: without vectors it is found by its words only.
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
    shared: Annotated[bool, Field(validation_alias="is_shared")]
    is_own: bool
    created_at: Timestamp


class UploadOut(Output):
    """Where to send the file: a form with these fields, in this order, and the field `file` behind them."""

    id: UUID
    upload_url: str
    fields: dict[str, str]


class ChunkOut(Output):
    """A piece of a document; `page` counts from 1 where the format has pages, `start` the characters before it."""

    chunk_id: Annotated[UUID, Field(validation_alias="id")]
    number: int
    heading: str
    text: str
    page: int | None
    start: int


class FoundOut(Output):
    """A piece that fits a query."""

    document_id: UUID
    title: str
    chunk_id: Annotated[UUID, Field(validation_alias="id")]
    heading: str
    text: Annotated[str, Field(validation_alias="body")]
    page: int | None
    score: Annotated[float, Field(description="For the order of one answer only: it goes down with the order.")]


class SearchOut(Output):
    """What fits a query, the best first. `mode` is "text" where no vector of the query could be had.

    `reranked` says that a model of the role `rerank` gave the order.
    """

    items: list[FoundOut]
    mode: Literal["hybrid", "text"]
    reranked: bool
