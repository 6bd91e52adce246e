"""Approve or deny a pending tool call; the last decision resumes the turn."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from functions.chat.errors import AlreadyDecided, NotWaiting
from functions.chat.services import ChatServices
from functions.chat.turn.begin import choose_models, still_available
from functions.chat.turn.prompt import PromptContext, prepare_request, select_tools
from functions.chat.turn.question import load_question, with_assistant
from functions.chat.turn.state import EventBuffer, Turn
from functions.chat.turn.tools import TurnToolbox
from parley.auth.principal import Principal
from parley.db import conversations
from parley.db.engine import Connection
from parley.db.metering import quotas
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
    """A user's approval or denial of a tool call."""

    turn_id: UUID
    call_id: str
    is_approved: bool


@dataclass(frozen=True, slots=True)
class AlreadyResumed:
    """The decision repeats an earlier one, and the turn has already resumed. Events above number `after` are in the turn's log."""

    conversation_id: UUID
    after: int


class _ApprovalExpired(Exception):
    """The turn has waited for more than a day."""


def decide(services: ChatServices, principal: Principal, decision: Decision) -> Turn | AlreadyResumed | None:
    """Store the decision. Return the turn to resume if it was the last decision, or None while other calls wait.

    Of two concurrent last decisions, only one gets the turn. A turn that has waited for more than a day is ended instead. Raises
    NotFound for the turn or the call, AssistantNotFound, AlreadyDecided, NotWaiting, TooManyStreams, Forbidden,
    Unauthorized and Unavailable, and the errors of `prepare_request` if the turn cannot be resumed; the decision is not stored then.
    """
    if decision.is_approved:
        principal.require_approval_right()
    try:
        return _decide(services, services.catalogue(), principal, decision)
    except _ApprovalExpired as exc:
        end_waiting_turn(services.engine, decision.turn_id, user_id=principal.user_id, reason="approval_expired")
        raise NotWaiting(f"turn {decision.turn_id} waited too long") from exc


def _decide(services: ChatServices, catalogue: Catalogue, principal: Principal, decision: Decision) -> Turn | AlreadyResumed | None:
    user_id, turn_id = principal.user_id, decision.turn_id
    toolbox_in = services.allowed_toolbox(principal, is_wanted=True)
    with principal_scope(services.engine, principal) as connection:
        # New turns take this lock as well, so the number of running turns cannot change until this transaction ends.
        quotas.lock_rate(connection, user_id=user_id)
        locked_turn = turn_checkpoint.lock_turn(connection, turn_id, user_id=user_id)
        if locked_turn.is_expired:
            raise _ApprovalExpired
        stored_approvals = approvals.list_for_turn(connection, turn_id, user_id=user_id)
        if earlier := _earlier_decision(stored_approvals, decision):
            return None if locked_turn.status == "waiting" else AlreadyResumed(locked_turn.conversation_id, earlier.asked_by)
        if locked_turn.status != "waiting":
            raise NotWaiting(f"turn {turn_id} is {locked_turn.status}")
        approvals.decide(connection, turn_id, decision.call_id, user_id=user_id, is_approved=decision.is_approved)
        decisions = {approval.call_id: approval.is_approved for approval in stored_approvals} | {decision.call_id: decision.is_approved}
        if None in decisions.values():
            return None
        turn = _restore_turn(services, catalogue, connection, principal, turn_id, locked_turn, toolbox_in(connection))
        turn.decisions = {call_id: bool(is_approved) for call_id, is_approved in decisions.items()}
        turn_checkpoint.resume(connection, turn_id, user_id=user_id, max_running=services.stream_limits.answers)
        return turn


def _earlier_decision(stored_approvals: Sequence[Approval], decision: Decision) -> Approval | None:
    """Return the call's approval if the same decision was made before. Raises NotFound and AlreadyDecided."""
    for approval in stored_approvals:
        if approval.call_id == decision.call_id:
            if approval.is_approved not in (None, decision.is_approved):
                raise AlreadyDecided(f"call {approval.call_id!r} of turn {decision.turn_id}")
            return None if approval.is_approved is None else approval
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
    """Restore a turn from its checkpoint. Tools and history are read again; retrieved sources and memories come from the checkpoint."""
    checkpoint, user_id = locked_turn.checkpoint, principal.user_id
    facts, passages = (checkpoint.facts, checkpoint.passages) if principal.may_remember else ((), ())
    remembers = checkpoint.remembers and principal.may_remember
    conversation = conversations.get(connection, locked_turn.conversation_id, user_id=user_id)
    question_with_history = load_question(connection, conversation, locked_turn.user_message_id, checkpoint.options, user_id=user_id)
    question = with_assistant(connection, question_with_history.question, conversation, principal)
    context = PromptContext(
        conversation=conversation,
        history=question_with_history.history,
        question=question,
        offered=select_tools(toolbox, question, remembers=remembers, require_all=False),
        summary=question_with_history.summary,
        remembers=remembers or bool(facts or passages),
        facts=facts,
        passages=passages,
        sources=[Source(**source) for source in checkpoint.sources],
        is_history_truncated=question_with_history.is_history_truncated,
    )
    candidates = still_available(catalogue, services.environment, checkpoint.candidates) or choose_models(
        catalogue, services.environment, question, None, user_id=user_id
    )
    candidates, request = prepare_request(candidates, context, checkpoint.parts)
    return Turn(
        billing_subject=BillingSubject(user_id, principal.api_key_id),
        conversation_id=conversation.id,
        candidates=candidates,
        context=context,
        request=request,
        reservations=[],
        user_message_id=question_with_history.message_id,
        toolbox=toolbox,
        principal=principal,
        id=turn_id,
        started_s=time.perf_counter() - checkpoint.total_ms / 1000,
        first_token_ms=checkpoint.first_token_ms,
        parts=AnswerParts(checkpoint.parts),
        rounds=checkpoint.rounds,
        event_buffer=EventBuffer(last=locked_turn.last_event),
        resumed_from=checkpoint,
    )
