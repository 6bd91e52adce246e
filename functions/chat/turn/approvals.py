"""Pause a turn for the user's approvals and answers, and store their decisions; the last decision resumes the turn."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from functions.chat.errors import AlreadyDecided, NotWaiting
from functions.chat.services import ChatServices
from functions.chat.turn.events import NumberedEvent, TurnWaiting
from functions.chat.turn.project import project_of
from functions.chat.turn.prompt import PromptContext, prepare_request, select_tools
from functions.chat.turn.question import load_question, with_assistant
from functions.chat.turn.state import ApprovalsPending, EventBuffer, Turn
from functions.chat.turn.tools import TurnToolbox
from parley.auth.principal import Principal
from parley.db import conversations
from parley.db.engine import Connection, Engine
from parley.db.metering import quotas
from parley.db.transactions import principal_scope, user_scope
from parley.db.turn import approvals, turn_checkpoint
from parley.db.turn.approvals import Approval
from parley.db.turn.message_parts import AnswerParts
from parley.db.turn.turn_begin import CertainCommit
from parley.db.turn.turn_checkpoint import LockedTurn
from parley.db.webhooks import deliveries
from parley.deadline import Deadline, retry_while_unavailable
from parley.errors import NotFound
from parley.llm.candidates import preferred_candidates, still_available
from parley.llm.catalogue import Catalogue
from parley.llm.messages import Source
from parley.metering import limits
from parley.metering.limits import BillingSubject
from parley.turn_recovery import end_waiting_turn

if TYPE_CHECKING:
    from parley.tools.forms import Answer


@dataclass(frozen=True, slots=True)
class Decision:
    """A user's approval or denial of a tool call, or their answers to a question. A question without answers is declined.

    `call_id` is the id of the call or of the question.
    """

    turn_id: UUID
    call_id: str
    is_approved: bool
    answers: "Mapping[str, Answer | None] | None" = None


@dataclass(frozen=True, slots=True)
class AlreadyResumed:
    """The decision repeats an earlier one, and the turn has already resumed. Events above number `after` are in the turn's log."""

    conversation_id: UUID
    after: int


class _PauseRefused(Exception):
    """The turn was stopped or has ended. Raised to roll back the settlement."""


class _ApprovalExpired(Exception):
    """The turn has waited for more than a day."""


def pause_turn(engine: Engine, turn: Turn, pending: ApprovalsPending, *, deadline: Deadline) -> NumberedEvent | None:
    """Store a checkpoint and return `turn.waiting`, or None if the turn was stopped or has ended. Raises NotFound and Unavailable."""
    last = turn.event_buffer.add(TurnWaiting([*(call.call_id for call in pending.calls), *(question.id for question in pending.questions)]))
    try:
        retry_while_unavailable(partial(_store_checkpoint, engine, turn, pending, last), deadline)
    except _PauseRefused:
        turn.event_buffer.discard_last()
        return None
    return last


def _store_checkpoint(engine: Engine, turn: Turn, pending: ApprovalsPending, last: NumberedEvent) -> None:
    requests = [Approval(call.call_id, call.name, call.arguments) for call in pending.calls]
    requests += [question.to_approval() for question in pending.questions]
    with user_scope(engine, turn.user_id) as connection:
        limits.settle(connection, turn.billing_subject, turn.billed_calls, reservations=turn.reservations, turn_id=turn.id)
        checkpoint, entries = turn.checkpoint(upto=last.number), turn.event_buffer.pending()
        paused = turn_checkpoint.pause(connection, turn.id, checkpoint, requests, user_id=turn.user_id, entries=entries)
        # If `last_event` has reached this number, an earlier attempt paused the turn, and the turn has continued since.
        if not paused.is_done and paused.last_event < last.number:
            raise _PauseRefused
        if paused.is_done:
            turn.deliveries = _note_pause(connection, turn, requests, number=last.number)


def _note_pause(connection: Connection, turn: Turn, requests: Sequence[Approval], *, number: int) -> list[UUID]:
    """Note that the turn waits for these approvals since its event `number`, and return the deliveries to send after the commit."""
    ids = {"turn_id": str(turn.id), "conversation_id": str(turn.conversation_id)}
    data = ids | {"calls": [{"call_id": request.call_id, "tool": request.name} for request in requests]}
    key = f"{turn.id} {number}"
    return deliveries.note(connection, "turn.waiting_for_approval", user_id=turn.user_id, key=key, data=data)


def decide(services: ChatServices, principal: Principal, decision: Decision, deadline: Deadline) -> Turn | AlreadyResumed | None:
    """Store the decision. Return the turn to resume if it was the last decision, or None while other calls wait.

    Of two concurrent last decisions, only one gets the turn. A turn that has waited for more than a day is ended instead. Raises
    NotFound for the turn or the call, AssistantNotFound, InvalidInput for answers that do not fit, AlreadyDecided, NotWaiting,
    TooManyStreams, Forbidden, Unauthorized and Unavailable, and the errors of `prepare_request` if the turn cannot be resumed; the
    decision is not stored then.
    """
    if decision.is_approved and decision.answers is None:
        principal.require_approval_right()
    try:
        return _decide(services, services.catalogue(), principal, decision, deadline)
    except _ApprovalExpired as exc:
        end_waiting_turn(services.engine, decision.turn_id, user_id=principal.user_id, reason="approval_expired")
        raise NotWaiting(f"turn {decision.turn_id} waited too long") from exc


def _decide(
    services: ChatServices, catalogue: Catalogue, principal: Principal, decision: Decision, deadline: Deadline
) -> Turn | AlreadyResumed | None:
    user_id, turn_id = principal.user_id, decision.turn_id
    toolbox_in = services.allowed_toolbox(principal, is_wanted=True)
    with CertainCommit(services.engine, user_id, deadline) as commit, principal_scope(services.engine, principal) as connection:
        # New turns take this lock as well, so the number of running turns cannot change until this transaction ends.
        quotas.lock_rate(connection, user_id=user_id)
        locked_turn = turn_checkpoint.lock_turn(connection, turn_id, user_id=user_id)
        if locked_turn.is_expired:
            raise _ApprovalExpired
        stored_approvals = approvals.list_for_turn(connection, turn_id, user_id=user_id)
        decided = _decided(stored_approvals, decision)
        if decision.is_approved and decided.question and "request" in decided.question:
            # The server acts on the answers, so that an API key needs the same right as for an approval.
            principal.require_approval_right()
        if earlier := _earlier_decision(stored_approvals, decided):
            return None if locked_turn.status == "waiting" else AlreadyResumed(locked_turn.conversation_id, earlier.asked_by)
        if locked_turn.status != "waiting":
            raise NotWaiting(f"turn {turn_id} is {locked_turn.status}")
        is_approved, answers = decision.is_approved, decided.answers
        decided_at = approvals.decide(connection, turn_id, decision.call_id, user_id=user_id, is_approved=is_approved, answers=answers)
        all_approvals = [decided if each.call_id == decided.call_id else each for each in stored_approvals]
        if any(each.is_approved is None for each in all_approvals):
            return None
        turn = _restore_turn(services, catalogue, connection, principal, turn_id, locked_turn, toolbox_in(connection))
        turn.decisions = {each.call_id: bool(each.is_approved) for each in all_approvals if each.question is None}
        turn.answers = {each.question["call_id"]: each for each in all_approvals if each.question}
        turn_checkpoint.resume(connection, turn_id, user_id=user_id, max_running=services.stream_limits.answers)
        commit.check = partial(_was_decided, principal=principal, decision=decision, decided_at=decided_at)
    return turn


def _was_decided(connection: Connection, *, principal: Principal, decision: Decision, decided_at: datetime) -> bool:
    """Whether the decision of this request was stored. If another request stored the same one, it has another time."""
    stored_approvals = approvals.list_for_turn(connection, decision.turn_id, user_id=principal.user_id)
    return any((approval.call_id, approval.decided_at) == (decision.call_id, decided_at) for approval in stored_approvals)


def _decided(stored_approvals: Sequence[Approval], decision: Decision) -> Approval:
    """Return the approval or question as this decision leaves it. Raises NotFound, and InvalidInput for answers that do not fit."""
    for approval in stored_approvals:
        if approval.call_id == decision.call_id:
            answers = None
            if approval.question is not None or decision.answers is not None:
                from functions.chat.turn.user_questions import checked_answers  # few turns ask their user

                answers = checked_answers(approval, decision.answers, is_approved=decision.is_approved)
            return replace(approval, is_approved=decision.is_approved, answers=answers)
    raise NotFound("call", decision.call_id)


def _earlier_decision(stored_approvals: Sequence[Approval], decided: Approval) -> Approval | None:
    """Return the stored approval if the same decision was made before. Raises AlreadyDecided."""
    for approval in stored_approvals:
        if approval.call_id == decided.call_id and approval.is_approved is not None:
            if (approval.is_approved, approval.answers) != (decided.is_approved, decided.answers):
                raise AlreadyDecided(f"call {approval.call_id!r}")
            return approval
    return None


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
    project = project_of(connection, conversation, principal)
    context = PromptContext(
        conversation=conversation,
        project=project,
        history=question_with_history.history,
        question=question,
        offered=select_tools(toolbox, question, remembers=remembers and not (project and project.limits_memory), require_all=False),
        summary=question_with_history.summary,
        remembers=remembers,
        facts=facts,
        passages=passages,
        sources=[Source(**source) for source in checkpoint.sources],
        is_history_truncated=question_with_history.is_history_truncated,
    )
    candidates = still_available(catalogue, services.environment, checkpoint.candidates) or preferred_candidates(
        catalogue, services.environment, name=question.model, preferred=None, subject=user_id
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
