"""The routes of conversations, summaries, memories, search and usage."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from functions.conversation import memory
from functions.conversation.memory import correct_fact, store_fact
from functions.conversation.schemas import (
    BudgetOut,
    ConversationFields,
    ConversationIn,
    ConversationOut,
    DayLineOut,
    ForkIn,
    FoundMemoriesPage,
    FoundMemoryOut,
    FoundPassageOut,
    FoundPassagesPage,
    MemoryIn,
    MemoryOut,
    SummaryOut,
    SummaryRequested,
    UsagePage,
)
from functions.conversation.search import MAX_RESULTS, SearchMode, search_conversations, search_memories
from functions.conversation.services import ConversationServices
from parley.db import conversations, memories, messages, summaries
from parley.db.metering import budgets, usage
from parley.errors import IdempotencyKeyReused, InvalidInput
from parley.http.date_range import DateRangeQuery
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.paging import Listing, Page, PageRequest, read_id, read_key
from parley.http.problems import error_responses
from parley.http.schemas import MessageOut
from parley.ids import new_id

search_router = APIRouter(dependencies=[Depends(requires("conversations"))])


SearchQuery = Annotated[str, Query(min_length=1, max_length=2000)]


@search_router.get("/conversations/search")
def find_conversations(
    q: SearchQuery, request: Request, principal: CurrentPrincipal, page: Page, mode: SearchMode = "hybrid"
) -> FoundPassagesPage:
    """Search the user's past conversations, the best first.

    By words (`text`), by meaning (`semantic`) or both; the answer's `mode` is `text` where no embedding service answered.
    `snippet` is HTML: escaped, the words that were asked for in `<mark>`.
    """
    found = search_conversations(_services(request), principal, _storable(q), mode)
    listing = page.listing(_page_with_ranks(found.items, page), to_item=lambda one: FoundPassageOut.of(one[1], q), key=lambda one: [one[0]])
    return FoundPassagesPage(**dict(listing), mode=found.mode)


@search_router.get("/memories/search")
def find_memories(
    q: SearchQuery, request: Request, principal: CurrentPrincipal, page: Page, mode: SearchMode = "hybrid"
) -> FoundMemoriesPage:
    """Search the facts that hold, the best first; `mode` as in `/conversations/search`."""
    found = search_memories(_services(request), principal, _storable(q), mode)
    listing = page.listing(_page_with_ranks(found.items, page), to_item=lambda one: FoundMemoryOut.of(one[1]), key=lambda one: [one[0]])
    return FoundMemoriesPage(**dict(listing), mode=found.mode)


def _services(request: Request) -> ConversationServices:
    services: ConversationServices = request.app.state.services
    return services


def _storable(query: str) -> str:
    """Refuse what PostgreSQL cannot take for a text."""
    if "\0" in query:
        raise InvalidInput("the text holds characters that cannot be searched for", loc=("query", "q"))
    return query


def _page_with_ranks[T](found: Sequence[T], page: PageRequest) -> list[tuple[int, T]]:
    """Return the page's part of all that was found and one more, each with its rank from 1 on; the cursor is a rank."""
    seen = read_key(page.after, _parse_rank) or 0
    return list(enumerate(found, 1))[seen : seen + page.limit + 1]


def _parse_rank(value: object) -> int:
    if not isinstance(value, int) or not 0 < value <= MAX_RESULTS:
        raise ValueError(f"{value!r} is no rank")
    return value


conversations_router = APIRouter(dependencies=[Depends(requires("conversations"))])


@conversations_router.post(
    "/conversations", status_code=201, response_model=ConversationOut, responses=error_responses(IdempotencyKeyReused)
)
def create(
    body: ConversationIn, principal: CurrentPrincipal, transaction: Transaction, once: IdempotencyHeader
) -> ConversationOut | dict[str, Any]:
    """Make a conversation."""

    def make() -> ConversationOut:
        made = conversations.add(transaction, new_id(), user_id=principal.user_id, **body.columns())
        return ConversationOut.model_validate(made)

    return once.run_once(transaction, principal.user_id, "POST /conversations", body, make)


@conversations_router.get("/conversations")
def list_all(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[ConversationOut]:
    """List the user's conversations, newest activity first."""
    after = read_key(page.after, lambda at, id: conversations.ConversationCursor(datetime.fromisoformat(at), UUID(id)))
    found = conversations.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=after)
    return page.listing(found, to_item=ConversationOut.model_validate, key=lambda row: [row.updated_at, row.id])


@conversations_router.get("/conversations/{id}")
def get(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> ConversationOut:
    """Return one conversation."""
    return ConversationOut.model_validate(conversations.get(transaction, id, user_id=principal.user_id))


@conversations_router.patch("/conversations/{id}")
def change(id: UUID, body: ConversationFields, principal: CurrentPrincipal, transaction: Transaction) -> ConversationOut:
    """Change what the body names."""
    changes = body.model_dump(exclude_unset=True)
    return ConversationOut.model_validate(conversations.change(transaction, id, user_id=principal.user_id, changes=changes))


@conversations_router.delete("/conversations/{id}", status_code=204)
def remove(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Delete the conversation with everything in it."""
    conversations.remove(transaction, id, user_id=principal.user_id)


@conversations_router.post(
    "/conversations/{id}/fork", status_code=201, response_model=ConversationOut, responses=error_responses(IdempotencyKeyReused)
)
def fork(
    id: UUID, body: ForkIn, principal: CurrentPrincipal, transaction: Transaction, once: IdempotencyHeader
) -> ConversationOut | dict[str, Any]:
    """Make a conversation that begins as this one did, with its active messages up to number `upto_seq`.

    To edit a message, fork before it and send it anew.
    """

    def make() -> ConversationOut:
        made = conversations.fork(transaction, id, user_id=principal.user_id, upto_seq=body.upto_seq)
        return ConversationOut.model_validate(made)

    return once.run_once(transaction, principal.user_id, f"POST /conversations/{id}/fork", body, make)


@conversations_router.get("/conversations/{id}/messages")
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


summaries_router = APIRouter(dependencies=[Depends(requires("conversations"))])


@summaries_router.get("/conversations/{id}/summary")
def get_summary(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> SummaryOut:
    """Return what was said so far, in short; 404 until it has been written."""
    conversations.get(transaction, id, user_id=principal.user_id)
    return SummaryOut.model_validate(summaries.get(transaction, id, user_id=principal.user_id))


@summaries_router.post("/conversations/{id}/summarize", status_code=202)
def summarize(id: UUID, request: Request, principal: CurrentPrincipal) -> SummaryRequested:
    """Have the conversation read now: its summary, and what is worth remembering. It is done a moment later."""
    services = request.app.state.services
    memory.request_summary(services.engine, services.memory_queue, principal, id)
    return SummaryRequested()


memories_router = APIRouter(dependencies=[Depends(requires("conversations"))])


@memories_router.get("/memories")
def list_memories(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[MemoryOut]:
    """List the facts about the user, the newest first, those that newer ones took the place of too."""
    found = memories.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=read_id(page.after))
    return page.listing(found, to_item=MemoryOut.model_validate, key=lambda row: [row.id])


@memories_router.post("/memories", status_code=201, response_model=MemoryOut, responses=error_responses(IdempotencyKeyReused))
def write_down(body: MemoryIn, request: Request, principal: CurrentPrincipal, once: IdempotencyHeader) -> MemoryOut | dict[str, Any]:
    """Write a fact down. One that is known already is answered as it is; one that a newer word contradicts ends."""
    return store_fact(request.app.state.services, principal, body, once)


@memories_router.patch("/memories/{id}")
def correct_memory(id: UUID, body: MemoryIn, request: Request, principal: CurrentPrincipal) -> MemoryOut:
    """Correct a fact; from then on it is the user's own word, and stays when the conversation goes that it was drawn from."""
    return MemoryOut.model_validate(correct_fact(request.app.state.services, principal, id, body.text))


@memories_router.delete("/memories/{id}", status_code=204)
def forget(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Forget a fact."""
    memories.remove(transaction, id, user_id=principal.user_id)


usage_router = APIRouter(dependencies=[Depends(requires("conversations"))])


@usage_router.get("/usage")
def show_usage(request: Request, principal: CurrentPrincipal, transaction: Transaction, page: Page, period: DateRangeQuery) -> UsagePage:
    """Add up the user's tokens and cost by day and model, newest day first, and tell what is left of the month's budget."""
    after = read_key(page.after, lambda day, model: usage.UsageCursor(date.fromisoformat(day), usage.parse_model(model)))
    found = usage.daily_usage(transaction, user_id=principal.user_id, start=period.start, end=period.end, limit=page.limit + 1, after=after)
    budget = budgets.current_budget(transaction, user_id=principal.user_id, default_usd=request.app.state.budget_usd)
    listing = page.listing(found, to_item=DayLineOut.model_validate, key=lambda line: [line.day, line.model])
    return UsagePage(**dict(listing), budget=BudgetOut.model_validate(budget))


router = APIRouter()


# Search first: its path would be taken for a conversation's.
for part in (search_router, conversations_router, summaries_router, memories_router, usage_router):
    router.routes += part.routes
