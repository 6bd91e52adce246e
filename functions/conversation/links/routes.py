"""The routes of shared links. A token is sent in a body and never in an address, so that no log and no referrer contains it."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from functions.conversation.links import shared_links
from functions.conversation.links.shared_links import NewLink, NothingToShare, TooLongToShare, TooManyLinks
from functions.conversation.schemas import ConversationOut
from functions.conversation.services import ConversationServicesDep
from parley.db.accounts import audit
from parley.db.links import shared_links as links
from parley.db.links.shared_links import Audience
from parley.db.transactions import global_scope
from parley.errors import IdempotencyKeyReused, NotFound
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, Transaction, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import Listing, Page
from parley.http.problems import error_responses
from parley.http.schemas import Input, Output, Timestamp

MAX_DAYS = 365


class LinkIn(Input):
    """POST /conversations/{id}/links. Without `upto_seq`, the whole conversation is shared.

    `audience` is `group` with a `group_id`, a group of the caller whose members may read the link, and else `signed_in` by default.
    """

    expires_in_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = 30
    audience: Audience | None = None
    group_id: Annotated[UUID, Field(strict=False)] | None = None
    upto_seq: Annotated[int, Field(ge=1, lt=2**31)] | None = None

    @model_validator(mode="after")
    def _check_group(self) -> Self:
        if self.audience is not None and (self.audience == "group") != (self.group_id is not None):
            raise PydanticCustomError("group_id", "group_id is for the audience group, which needs it")
        return self

    def options(self) -> dict[str, Any]:
        """Return the fields with the audience that they imply."""
        return self.model_dump() | {"audience": self.audience or ("group" if self.group_id else "signed_in")}


class LinkOut(Output):
    """A link to a snapshot of a conversation."""

    id: UUID
    conversation_id: UUID
    audience: Literal["public", "signed_in", "group"]
    group_id: UUID | None
    title: str | None
    created_at: Timestamp
    expires_at: Timestamp


class CreatedLinkOut(LinkOut):
    """A new link. Only this response has its token; the page shows the snapshot at `#/shared/<token>`."""

    token: str

    @classmethod
    def of(cls, new: NewLink) -> "CreatedLinkOut":
        """Render a new link."""
        return cls(**LinkOut.model_validate(new.link).model_dump(), token=new.token)


class TokenIn(Input):
    """The token of a shared link."""

    token: Annotated[str, Field(min_length=1, max_length=100)]


class SharedSourceOut(Output):
    """A source that an answer cites as `[number]`; `url` is set for a web page."""

    number: int
    title: str
    page: int | None
    url: str | None


class SharedMessageOut(Output):
    """A message of a snapshot."""

    role: Literal["user", "assistant"]
    text: str
    sources: list[SharedSourceOut]
    created_at: Timestamp


class SnapshotOut(Output):
    """A shared conversation, as it was at `created_at`. It does not say whose it is."""

    title: str | None
    messages: list[SharedMessageOut]
    created_at: Timestamp


# Anyone who has a public link may read it; the gateway limits the rate.
public_router = APIRouter(route_class=LazyRoute)


@public_router.post("/links/view-public", responses=error_responses(NotFound))
def view_public(body: TokenIn, services: ConversationServicesDep, response: Response) -> SnapshotOut:
    """Return the snapshot of a public link. No account is needed."""
    with global_scope(services.engine) as connection:
        snapshot = links.find(connection, body.token, is_signed_in=False)
    response.headers["X-Robots-Tag"] = "noindex"
    return SnapshotOut.model_validate(snapshot)


sharing_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations"))])


@sharing_router.post("/links/view", responses=error_responses(NotFound))
def view(body: TokenIn, transaction: Transaction) -> SnapshotOut:
    """Return the snapshot of a link for signed-in users or for a group of the caller, or of a public link."""
    return SnapshotOut.model_validate(links.find(transaction, body.token, is_signed_in=True))


@sharing_router.post(
    "/links/copy", status_code=201, response_model=ConversationOut, responses=error_responses(NotFound, IdempotencyKeyReused)
)
def copy(
    body: TokenIn, principal: CurrentPrincipal, transaction: Transaction, idempotency: IdempotencyHeader
) -> BaseModel | dict[str, Any]:
    """Continue a shared conversation: copy its texts into a new conversation of the caller."""
    user_id = principal.user_id
    request = idempotency.request("POST /links/copy", body, render=ConversationOut.model_validate, secrets={"token"})
    return request.run_once(
        transaction,
        user_id,
        lambda: shared_links.copy(transaction, links.find(transaction, body.token, is_signed_in=True), user_id=user_id),
    ).response


@sharing_router.post(
    "/conversations/{id}/links",
    status_code=201,
    response_model=CreatedLinkOut,
    responses=error_responses(NotFound, TooManyLinks, TooLongToShare, NothingToShare, IdempotencyKeyReused),
)
def share(
    id: UUID,
    body: LinkIn,
    principal: CurrentPrincipal,
    transaction: Transaction,
    idempotency: IdempotencyHeader,
    origin: RequestOrigin,
) -> BaseModel | dict[str, Any]:
    """Share a snapshot of a conversation: its texts and the titles of cited sources, without images, tool calls and later messages."""
    user_id = principal.user_id
    request = idempotency.request(f"POST /conversations/{id}/links", body, render=CreatedLinkOut.of, secrets={"token"})
    options = body.options() | {"origin": origin}
    return request.run_once(transaction, user_id, lambda: shared_links.share(transaction, id, user_id=user_id, **options)).response


@sharing_router.get("/links")
def list_links(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[LinkOut]:
    """List the user's links that have not expired, newest first, without their tokens."""
    rows = links.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=LinkOut.model_validate, key=lambda row: [row.id])


@sharing_router.delete("/links/{id}", status_code=204)
def revoke(id: UUID, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """Revoke a link. Its snapshot is deleted; copies that others made of it stay."""
    links.remove(transaction, id, user_id=principal.user_id)
    audit.record_own(transaction, principal.user_id, "link_revoked", origin, link_id=str(id))
