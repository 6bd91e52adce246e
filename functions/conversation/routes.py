"""The routes of conversations, summaries and usage."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, TypeAdapter

from functions.conversation.assistants.routes import router as assistants_router
from functions.conversation.links.routes import public_router, sharing_router
from functions.conversation.memories import memory
from functions.conversation.memories.routes import memories_router
from functions.conversation.projects.routes import bulk_router, projects_router
from functions.conversation.prompts.routes import prompts_router
from functions.conversation.ratings.routes import ratings_router
from functions.conversation.schedules.routes import schedules_router
from functions.conversation.schemas import (
    BudgetOut,
    ConversationChanges,
    ConversationIn,
    ConversationOut,
    DailyUsageOut,
    ForkIn,
    OpenConversationOut,
    SummaryOut,
    SummaryRequested,
    UsagePage,
)
from functions.conversation.search_routes import search_router, without_nul
from functions.conversation.services import ConversationServicesDep
from parley.db import conversations, messages, summaries
from parley.db.assistants import assistants
from parley.db.conversations import MAX_TAG_LENGTH, Conversation
from parley.db.engine import Connection
from parley.db.metering import budgets, usage
from parley.db.projects import projects
from parley.db.projects.conversation_filter import ConversationFilter
from parley.db.turn import feedback, turns
from parley.errors import IdempotencyKeyReused, NotFound
from parley.http.app import join_routers
from parley.http.date_range import DateRangeQuery
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import PAGE_BYTES, CursorNumber, CursorText, Listing, Page
from parley.http.problems import error_responses
from parley.http.schemas import FeedbackOut, HistoryMessageOut, UsageOut
from parley.ids import new_id
from parley.turn_recovery import request_stop

# The sort keys in the cursors of these lists.
CONVERSATION_KEY = TypeAdapter(tuple[datetime, UUID])
MESSAGE_KEY = TypeAdapter(tuple[CursorNumber, CursorNumber])
USAGE_KEY = TypeAdapter(tuple[date, CursorText])

TagQuery = Annotated[str, Query(min_length=1, max_length=MAX_TAG_LENGTH)]

# Stopping a turn is a route of this function, because the chat function's workers may all be busy with streams.
stop_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("chat"))])


@stop_router.post("/chat/turns/{id}/stop", status_code=202, response_class=Response, responses=error_responses(NotFound))
def stop_turn(id: UUID, services: ConversationServicesDep, principal: CurrentPrincipal) -> Response:
    """Stop an open turn: it ends within a second, and the text delivered so far is stored. A turn that has ended does not change."""
    request_stop(services.engine, principal, id)
    return Response(status_code=202)


conversations_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations"))])


@conversations_router.post(
    "/conversations", status_code=201, response_model=ConversationOut, responses=error_responses(NotFound, IdempotencyKeyReused)
)
def create(
    body: ConversationIn, principal: CurrentPrincipal, transaction: Transaction, idempotency: IdempotencyHeader
) -> BaseModel | dict[str, Any]:
    """Create a conversation."""
    user_id = principal.user_id
    request = idempotency.request("POST /conversations", body, render=ConversationOut.model_validate)
    return request.run_once(transaction, user_id, lambda: _create(transaction, user_id, body)).response


def _create(connection: Connection, user_id: UUID, body: ConversationIn) -> Conversation:
    if body.assistant_id:
        assistants.get(connection, body.assistant_id)
    return conversations.add(connection, new_id(), user_id=user_id, **body.columns())


@conversations_router.get("/conversations", responses=error_responses(NotFound))
def list_all(
    principal: CurrentPrincipal,
    transaction: Transaction,
    page: Page,
    pinned: bool = False,
    archived: bool = False,
    tag: TagQuery | None = None,
    project_id: UUID | None = None,
) -> Listing[ConversationOut]:
    """List the user's conversations, newest activity first: those that are not archived, or with `archived` those that are.

    With `pinned`, only those that the user has pinned; with `tag`, only those that have the tag; with `project_id`, only those of the
    project.
    """
    only = ConversationFilter(archived, pinned, tag and without_nul(tag, name="tag"), project_id)
    if project_id:
        projects.require(transaction, project_id, user_id=principal.user_id)
    key = page.after(CONVERSATION_KEY)
    after = conversations.ConversationCursor(*key) if key else None
    rows = conversations.page(transaction, user_id=principal.user_id, limit=page.limit, max_bytes=PAGE_BYTES, after=after, only=only)
    return page.listing(rows, to_item=ConversationOut.model_validate, key=lambda row: [row.updated_at, row.id])


@conversations_router.get("/conversations/{id}")
def get(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> OpenConversationOut:
    """Return a conversation, with its running or waiting turn."""
    conversation = conversations.get(transaction, id, user_id=principal.user_id)
    return OpenConversationOut.of(conversation, turns.open_turn(transaction, id, user_id=principal.user_id))


@conversations_router.patch("/conversations/{id}")
def change(id: UUID, body: ConversationChanges, principal: CurrentPrincipal, transaction: Transaction) -> ConversationOut:
    """Change the given fields of a conversation."""
    changes = body.model_dump(exclude_unset=True)
    if "assistant_id" in changes:
        changes["assistant_version"] = None
    if body.assistant_id:
        assistants.get(transaction, body.assistant_id)
    return ConversationOut.model_validate(conversations.change(transaction, id, user_id=principal.user_id, changes=changes))


@conversations_router.delete("/conversations/{id}", status_code=204)
def remove(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Delete a conversation and everything in it."""
    conversations.remove(transaction, id, user_id=principal.user_id)


@conversations_router.post(
    "/conversations/{id}/fork", status_code=201, response_model=ConversationOut, responses=error_responses(IdempotencyKeyReused)
)
def fork(
    id: UUID, body: ForkIn, principal: CurrentPrincipal, transaction: Transaction, idempotency: IdempotencyHeader
) -> BaseModel | dict[str, Any]:
    """Copy a conversation's active messages, up to and including number `upto_seq`, into a new conversation.

    To edit a message, fork before it and send the new text.
    """
    user_id = principal.user_id
    request = idempotency.request(f"POST /conversations/{id}/fork", body, render=ConversationOut.model_validate)
    return request.run_once(
        transaction, user_id, lambda: conversations.fork(transaction, id, user_id=user_id, upto_seq=body.upto_seq)
    ).response


@conversations_router.get("/conversations/{id}/messages")
def list_messages(
    id: UUID,
    principal: CurrentPrincipal,
    transaction: Transaction,
    page: Page,
    order: Literal["asc", "desc"] = "asc",
    variants: bool = False,
) -> Listing[HistoryMessageOut]:
    """List a conversation's messages, oldest first by default.

    With `variants`, the list includes answers that a regeneration replaced; `is_active` marks the current answer. A page holds
    at most 1 MiB, so with long messages it may have fewer items than `limit`. Continue with `next_cursor`.
    """
    key = page.after(MESSAGE_KEY)
    rows = messages.page_within(
        transaction,
        id,
        user_id=principal.user_id,
        limit=page.limit,
        max_bytes=PAGE_BYTES,
        order=order,
        after=messages.MessageCursor(*key) if key else None,
        variants=variants,
    )
    ids = [row.id for row in rows.rows]
    figures = turns.answer_figures(transaction, ids, user_id=principal.user_id)
    ratings = feedback.of_messages(transaction, ids, user_id=principal.user_id)
    return page.listing(
        rows, to_item=lambda row: _shown_message(row, figures.get(row.id), ratings.get(row.id)), key=lambda row: [row.seq, row.variant]
    )


def _shown_message(
    message: messages.StoredMessage, figures: turns.AnswerFigures | None, rating: feedback.Feedback | None
) -> HistoryMessageOut:
    return HistoryMessageOut.of_history(
        message,
        usage=UsageOut.model_validate(figures) if figures else None,
        total_ms=figures.total_ms if figures else None,
        feedback=FeedbackOut.model_validate(rating) if rating else None,
    )


summaries_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations"))])


@summaries_router.get("/conversations/{id}/summary")
def get_summary(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> SummaryOut:
    """Return the conversation's summary. The response is 404 until a summary has been written."""
    conversations.get(transaction, id, user_id=principal.user_id)
    return SummaryOut.model_validate(summaries.get(transaction, id, user_id=principal.user_id))


@summaries_router.post("/conversations/{id}/summarize", status_code=202)
def summarize(id: UUID, services: ConversationServicesDep, principal: CurrentPrincipal) -> SummaryRequested:
    """Request an update of the conversation's summary and of the facts extracted from it. The update runs in the background."""
    memory.request_summary(services.engine, services.memory_queue, principal, id)
    return SummaryRequested()


usage_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations"))])


@usage_router.get("/usage")
def show_usage(
    services: ConversationServicesDep, principal: CurrentPrincipal, transaction: Transaction, page: Page, period: DateRangeQuery
) -> UsagePage:
    """Sum the user's tokens and cost by day and model, newest day first, and return the current month's budget."""
    key = page.after(USAGE_KEY)
    after = usage.UsageCursor(*key) if key else None
    rows = usage.daily_usage(transaction, user_id=principal.user_id, start=period.start, end=period.end, limit=page.limit + 1, after=after)
    budget = budgets.current_budget(transaction, user_id=principal.user_id, default_usd=services.default_budget_usd)
    listing = page.listing(rows, to_item=DailyUsageOut.model_validate, key=lambda row: [row.day, row.model])
    return UsagePage(**dict(listing), budget=BudgetOut.model_validate(budget))


# Search comes first, because `/conversations/{id}` would match its path.
router = join_routers(
    stop_router,
    search_router,
    bulk_router,
    projects_router,
    conversations_router,
    ratings_router,
    summaries_router,
    memories_router,
    usage_router,
    public_router,
    sharing_router,
    assistants_router,
    prompts_router,
    schedules_router,
)
