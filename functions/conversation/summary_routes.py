"""The routes of a conversation's summary."""

from uuid import UUID

from fastapi import APIRouter, Depends, Request

from functions.conversation import summarizing
from functions.conversation.summary_schemas import SummaryAsked, SummaryOut
from parley.db import conversations, summaries
from parley.http.dependencies import CurrentPrincipal, Transaction, requires

router = APIRouter(dependencies=[Depends(requires("conversations"))])


@router.get("/conversations/{id}/summary")
def get_summary(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> SummaryOut:
    """Return what was said so far, in short; 404 until it has been written."""
    conversations.get(transaction, id, user_id=principal.user_id)
    return SummaryOut.model_validate(summaries.get(transaction, id, user_id=principal.user_id))


@router.post("/conversations/{id}/summarize", status_code=202)
def summarize(id: UUID, request: Request, principal: CurrentPrincipal) -> SummaryAsked:
    """Have the conversation read now: its summary, and what is worth remembering. It is done a moment later."""
    services = request.app.state.services
    summarizing.ask(services.engine, services.memory_queue, principal, id)
    return SummaryAsked()
