"""The routes of the facts about the user: list, write, correct and forget them."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from functions.conversation.memories import memory
from functions.conversation.schemas import MemoryIn, MemoryOut
from functions.conversation.services import ConversationServicesDep
from parley.db import memories
from parley.errors import IdempotencyKeyReused
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import Listing, Page
from parley.http.problems import error_responses

memories_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations"))])


@memories_router.get("/memories")
def list_memories(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[MemoryOut]:
    """List the facts about the user, newest first, including facts that were replaced."""
    rows = memories.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=MemoryOut.model_validate, key=lambda row: [row.id])


@memories_router.post("/memories", status_code=201, response_model=MemoryOut, responses=error_responses(IdempotencyKeyReused))
def write_down(
    body: MemoryIn, services: ConversationServicesDep, principal: CurrentPrincipal, idempotency: IdempotencyHeader
) -> BaseModel | dict[str, Any]:
    """Store a fact. If the fact is already known, it is returned unchanged. A new fact ends the facts that it contradicts."""
    request = idempotency.request("POST /memories", body, render=_fact_out)
    return memory.store_fact(services, principal, body.text, request).response


def _fact_out(fact: memory.StoredFact) -> MemoryOut:
    return MemoryOut.model_validate(fact.memory)


@memories_router.patch("/memories/{id}")
def correct_memory(id: UUID, body: MemoryIn, services: ConversationServicesDep, principal: CurrentPrincipal) -> MemoryOut:
    """Correct a fact. It then counts as written by the user, and remains when the conversation that stated it is deleted."""
    return MemoryOut.model_validate(memory.correct_fact(services, principal, id, body.text))


@memories_router.delete("/memories/{id}", status_code=204)
def forget(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Forget a fact: delete it and what search and recall know of the messages that state it. The conversations keep their messages."""
    memories.forget(transaction, id, user_id=principal.user_id)
