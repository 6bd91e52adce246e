"""The routes of what is known of a user: they read it, add to it, correct it and have it forgotten."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from functions.conversation.memory_schemas import MemoryIn, MemoryOut
from functions.conversation.remembering import correct, remember
from parley.db import memories
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.idempotency import IdempotencyHeader, IdempotencyKeyReused
from parley.http.paging import Listing, Page, read_id
from parley.http.problems import error_responses

router = APIRouter(dependencies=[Depends(requires("conversations"))])


@router.get("/memories")
def list_memories(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[MemoryOut]:
    """List the facts about the user, the newest first, those that newer ones took the place of too."""
    found = memories.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=read_id(page.after))
    return page.listing(found, to_item=MemoryOut.model_validate, key=lambda row: [row.id])


@router.post("/memories", status_code=201, response_model=MemoryOut, responses=error_responses(IdempotencyKeyReused))
def write_down(body: MemoryIn, request: Request, principal: CurrentPrincipal, once: IdempotencyHeader) -> MemoryOut | dict[str, Any]:
    """Write a fact down. One that is known already is answered as it is; one that a newer word contradicts ends."""
    return remember(request.app.state.services, principal, body, once)


@router.patch("/memories/{id}")
def correct_memory(id: UUID, body: MemoryIn, request: Request, principal: CurrentPrincipal) -> MemoryOut:
    """Correct a fact; from then on it is the user's own word, and stays when the conversation goes that it was drawn from."""
    return MemoryOut.model_validate(correct(request.app.state.services, principal, id, body.text))


@router.delete("/memories/{id}", status_code=204)
def forget(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Forget a fact."""
    memories.remove(transaction, id, user_id=principal.user_id)
