"""Approve or deny a pending tool call; the last decision resumes the turn."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from functions.chat.errors import AlreadyDecided, NotWaiting
from functions.chat.services import ChatServices
from functions.chat.turn.begin import choose_models, select_tools, still_available
from functions.chat.turn.prompt import PromptContext, prepare_request
from functions.chat.turn.question import load_question
from functions.chat.turn.state import EventBuffer, Turn
from functions.chat.turn.tools import TurnToolbox
from parley.auth.principal import Principal
from parley.db import conversations
from parley.db.transactions import principal_scope
from parley.db.turn import approvals, turn_checkpoint
from parley.db.turn.approvals import Approval
from parley.db.turn.message_parts import AnswerParts
from parley.db.turn.turn_checkpoint import LockedTurn
from parley.errors import NotFound
from parley.llm.catalogue import Catalogue
from parley.llm.messages import Source
from parley.metering.limits import BillingSubject
from parley.turn_recovery import end_waiting_turn


@dataclass(frozen=True, slots=True)
class Decision:
    """What a user says to a call."""

    turn_id: UUID
    call_id: str
    is_approved: bool


@dataclass(frozen=True, slots=True)
class AlreadyResumed:
    """The turn goes on elsewhere, or has ended: this was said before. Its log has the rest behind `after`."""

    conversation_id: UUID
    after: int


class _ApprovalExpired(Exception):
    """The word comes too late."""


def decide(services: ChatServices, principal: Principal, decision: Decision) -> Turn | AlreadyResumed | None:
    """Note the word; return the turn to go on with if it was the last that it waited for, None while others are missing.

    Of two at once, one takes the turn up. A turn that has waited for more than a day is ended instead. Raises NotFound for turn
    and call, AlreadyDecided, NotWaiting, Unauthorized and Unavailable, and what `prepared` raises where the turn cannot go on:
    nothing is noted then.
    """
    try:
        return _decide(services, services.catalogue(), principal, decision)
    except _ApprovalExpired as exc:
        end_waiting_turn(services.engine, decision.turn_id, user_id=principal.user_id, reason="approval_expired")
        raise NotWaiting(f"turn {decision.turn_id} waited too long") from exc


def _decide(services: ChatServices, catalogue: Catalogue, principal: Principal, decision: Decision) -> Turn | AlreadyResumed | None:
    user_id, turn_id = principal.user_id, decision.turn_id
    toolbox_in = services.toolbox_for(principal)
    with principal_scope(services.engine, principal) as connection:
        locked_turn = turn_checkpoint.lock_turn(connection, turn_id, user_id=user_id)
        if locked_turn.is_expired:
            raise _ApprovalExpired
        stored_approvals = approvals.list_for_turn(connection, turn_id, user_id=user_id)
        if said_before := _earlier_decision(stored_approvals, decision):
            return None if locked_turn.status == "waiting" else AlreadyResumed(locked_turn.conversation_id, said_before.asked_by)
        if locked_turn.status != "waiting":
            raise NotWaiting(f"turn {turn_id} is {locked_turn.status}")
        approvals.decide(connection, turn_id, decision.call_id, user_id=user_id, is_approved=decision.is_approved)
        approvals_by_call = {one.call_id: one.is_approved for one in stored_approvals} | {decision.call_id: decision.is_approved}
        if None in approvals_by_call.values():
            return None
        turn = _restore_turn(services, catalogue, connection, principal, turn_id, locked_turn, toolbox_in(connection))
        turn.decisions = {call_id: bool(is_approved) for call_id, is_approved in approvals_by_call.items()}
        turn_checkpoint.resume(connection, turn_id, user_id=user_id)
        return turn


def _earlier_decision(stored_approvals: Sequence[Approval], decision: Decision) -> Approval | None:
    """Return the call if the same was said of it before. Raises NotFound and AlreadyDecided."""
    for one in stored_approvals:
        if one.call_id == decision.call_id:
            if one.is_approved not in (None, decision.is_approved):
                raise AlreadyDecided(f"call {one.call_id!r} of turn {decision.turn_id}")
            return None if one.is_approved is None else one
    raise NotFound("call", decision.call_id)


def _restore_turn(
    services: ChatServices,
    catalogue: Catalogue,
    connection: Connection,
    principal: Principal,
    turn_id: UUID,
    locked_turn: LockedTurn,
    toolbox: TurnToolbox,
) -> Turn:
    """Make the turn again from what was kept. What it offers, and what stands before its question, is read anew;
    what was found for it is not.
    """
    checkpoint = locked_turn.checkpoint
    conversation = conversations.get(connection, locked_turn.conversation_id, user_id=principal.user_id)
    question_with_history = load_question(
        connection, conversation, locked_turn.user_message_id, checkpoint.options, user_id=principal.user_id
    )
    context = PromptContext(
        conversation,
        question_with_history.history,
        question_with_history.question,
        select_tools(toolbox, question_with_history.question, remembers=checkpoint.remembers, require_all=False),
        question_with_history.summary,
        remembers=checkpoint.remembers or bool(checkpoint.facts or checkpoint.passages),
        facts=checkpoint.facts,
        passages=checkpoint.passages,
        sources=[Source(**one) for one in checkpoint.sources],
        is_history_truncated=question_with_history.is_history_truncated,
    )
    candidates = still_available(services, catalogue, checkpoint.candidates) or choose_models(
        services, catalogue, question_with_history.question, None, user_id=principal.user_id
    )
    candidates, request = prepare_request(candidates, context, checkpoint.parts)
    return Turn(
        BillingSubject(principal.user_id, principal.api_key_id),
        conversation.id,
        candidates,
        context,
        request,
        [],
        question_with_history.message_id,
        toolbox,
        id=turn_id,
        started_s=time.perf_counter() - checkpoint.total_ms / 1000,
        first_token_ms=checkpoint.first_token_ms,
        parts=AnswerParts(checkpoint.parts),
        rounds=checkpoint.rounds,
        event_buffer=EventBuffer(last=locked_turn.last_event),
        resumed_from=checkpoint,
    )
