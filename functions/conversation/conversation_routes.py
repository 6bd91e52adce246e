"""The conversation routes."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends

from functions.conversation.schemas import ConversationFields, ConversationIn, ConversationOut, ForkIn
from parley.db import conversations, messages
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.idempotency import IdempotencyHeader, IdempotencyKeyReused
from parley.http.paging import Listing, Page, read_key
from parley.http.problems import error_responses
from parley.http.schemas import MessageOut
from parley.ids import new_id

router = APIRouter(dependencies=[Depends(requires("conversations"))])


@router.post("/conversations", status_code=201, response_model=ConversationOut, responses=error_responses(IdempotencyKeyReused))
def create(
    body: ConversationIn, principal: CurrentPrincipal, transaction: Transaction, once: IdempotencyHeader
) -> ConversationOut | dict[str, Any]:
    """Make a conversation."""

    def make() -> ConversationOut:
        made = conversations.add(transaction, new_id(), user_id=principal.user_id, **body.columns())
        return ConversationOut.model_validate(made)

    return once.once(transaction, principal.user_id, "POST /conversations", body, make)


@router.get("/conversations")
def list_all(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[ConversationOut]:
    """List the user's conversations, newest activity first."""
    after = read_key(page.after, lambda at, id: conversations.ConversationCursor(datetime.fromisoformat(at), UUID(id)))
    found = conversations.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=after)
    return page.listing(found, to_item=ConversationOut.model_validate, key=lambda row: [row.updated_at, row.id])


@router.get("/conversations/{id}")
def get(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> ConversationOut:
    """Return one conversation."""
    return ConversationOut.model_validate(conversations.get(transaction, id, user_id=principal.user_id))


@router.patch("/conversations/{id}")
def change(id: UUID, body: ConversationFields, principal: CurrentPrincipal, transaction: Transaction) -> ConversationOut:
    """Change what the body names."""
    changes = body.model_dump(exclude_unset=True)
    return ConversationOut.model_validate(conversations.change(transaction, id, user_id=principal.user_id, changes=changes))


@router.delete("/conversations/{id}", status_code=204)
def remove(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Delete the conversation with everything in it."""
    conversations.remove(transaction, id, user_id=principal.user_id)


@router.post("/conversations/{id}/fork", status_code=201, response_model=ConversationOut, responses=error_responses(IdempotencyKeyReused))
def fork(
    id: UUID, body: ForkIn, principal: CurrentPrincipal, transaction: Transaction, once: IdempotencyHeader
) -> ConversationOut | dict[str, Any]:
    """Make a conversation that begins as this one did, with its active messages up to number `upto_seq`.

    To edit a message, fork before it and send it anew.
    """

    def make() -> ConversationOut:
        made = conversations.fork(transaction, id, user_id=principal.user_id, upto_seq=body.upto_seq)
        return ConversationOut.model_validate(made)

    return once.once(transaction, principal.user_id, f"POST /conversations/{id}/fork", body, make)


@router.get("/conversations/{id}/messages")
def list_messages(
    id: UUID,
    principal: CurrentPrincipal,
    transaction: Transaction,
    page: Page,
    order: Literal["asc", "desc"] = "asc",
    variants: bool = False,
) -> Listing[MessageOut]:
    """List the conversation's messages, oldest first unless asked otherwise.

    With `variants` also the answers that newer ones have taken the place of; `is_active` tells which one counts.
    """
    after, limit = read_key(page.after, messages.MessageCursor.parse), page.limit + 1
    found = messages.page(transaction, id, user_id=principal.user_id, limit=limit, order=order, after=after, variants=variants)
    return page.listing(found, to_item=MessageOut.model_validate, key=lambda row: [row.seq, row.variant])
