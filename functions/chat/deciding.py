"""The user's word about a call that waits, and how the last of them lets the turn go on."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from functions.chat.asked import asked_before
from functions.chat.choosing import candidates_for, prepared, still_there
from functions.chat.context import Context
from functions.chat.desk import Desk
from functions.chat.errors import AlreadyDecided, NotWaiting
from functions.chat.journal import Journal
from functions.chat.offering import chosen
from functions.chat.running import Turn
from functions.chat.toolbox import Toolbox
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
class GoneOn:
    """The turn goes on elsewhere, or has ended: this was said before. Its log has the rest behind `after`."""

    conversation_id: UUID
    after: int


class _Expired(Exception):
    """The word comes too late."""


def decide(services: Desk, principal: Principal, decision: Decision) -> Turn | GoneOn | None:
    """Note the word; return the turn to go on with if it was the last that it waited for, None while others are missing.

    Of two at once, one takes the turn up. A turn that has waited for more than a day is ended instead. Raises NotFound for turn
    and call, AlreadyDecided, NotWaiting, Unauthorized and Unavailable, and what `prepared` raises where the turn cannot go on:
    nothing is noted then.
    """
    try:
        return _decide(services, services.catalogue(), principal, decision)
    except _Expired as exc:
        end_waiting_turn(services.engine, decision.turn_id, user_id=principal.user_id, reason="approval_expired")
        raise NotWaiting(f"turn {decision.turn_id} waited too long") from exc


def _decide(services: Desk, catalogue: Catalogue, principal: Principal, decision: Decision) -> Turn | GoneOn | None:
    user_id, turn_id = principal.user_id, decision.turn_id
    toolbox_in = services.toolbox_for(principal)
    with principal_scope(services.engine, principal) as connection:
        standing = turn_checkpoint.lock_turn(connection, turn_id, user_id=user_id)
        if standing.is_expired:
            raise _Expired
        asked = approvals.list_for_turn(connection, turn_id, user_id=user_id)
        if said_before := _earlier(asked, decision):
            return None if standing.status == "waiting" else GoneOn(standing.conversation_id, said_before.asked_by)
        if standing.status != "waiting":
            raise NotWaiting(f"turn {turn_id} is {standing.status}")
        approvals.decide(connection, turn_id, decision.call_id, user_id=user_id, is_approved=decision.is_approved)
        words = {one.call_id: one.is_approved for one in asked} | {decision.call_id: decision.is_approved}
        if None in words.values():
            return None
        turn = _taken_up(services, catalogue, connection, principal, turn_id, standing, toolbox_in(connection))
        turn.decisions = {call_id: bool(word) for call_id, word in words.items()}
        turn_checkpoint.resume(connection, turn_id, user_id=user_id)
        return turn


def _earlier(asked: Sequence[Approval], decision: Decision) -> Approval | None:
    """Return the call if the same was said of it before. Raises NotFound and AlreadyDecided."""
    for one in asked:
        if one.call_id == decision.call_id:
            if one.is_approved not in (None, decision.is_approved):
                raise AlreadyDecided(f"call {one.call_id!r} of turn {decision.turn_id}")
            return None if one.is_approved is None else one
    raise NotFound("call", decision.call_id)


def _taken_up(
    services: Desk,
    catalogue: Catalogue,
    connection: Connection,
    principal: Principal,
    turn_id: UUID,
    standing: LockedTurn,
    toolbox: Toolbox,
) -> Turn:
    """Make the turn again from what was kept. What it offers, and what stands before its question, is read anew;
    what was found for it is not.
    """
    checkpoint = standing.checkpoint
    conversation = conversations.get(connection, standing.conversation_id, user_id=principal.user_id)
    asked = asked_before(connection, conversation, standing.user_message_id, checkpoint.options, user_id=principal.user_id)
    context = Context(
        conversation,
        asked.earlier,
        asked.question,
        chosen(toolbox, asked.question, remembers=checkpoint.remembers, all_there=False),
        asked.summary,
        remembers=checkpoint.remembers or bool(checkpoint.facts or checkpoint.passages),
        facts=checkpoint.facts,
        passages=checkpoint.passages,
        sources=[Source(**one) for one in checkpoint.sources],
        is_cut=asked.is_cut,
    )
    candidates = still_there(services, catalogue, checkpoint.candidates) or candidates_for(
        services, catalogue, asked.question, None, user_id=principal.user_id
    )
    candidates, request = prepared(candidates, context, checkpoint.parts)
    return Turn(
        BillingSubject(principal.user_id, principal.api_key_id),
        conversation.id,
        candidates,
        context,
        request,
        [],
        asked.message_id,
        toolbox,
        id=turn_id,
        started_s=time.perf_counter() - checkpoint.total_ms / 1000,
        first_token_ms=checkpoint.first_token_ms,
        parts=AnswerParts(checkpoint.parts),
        rounds=checkpoint.rounds,
        journal=Journal(last=standing.last_event),
        before=checkpoint,
    )
