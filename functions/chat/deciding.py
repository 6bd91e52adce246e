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
from parley.db import approvals, conversations, turn_pauses
from parley.db.answer_parts import AnswerParts
from parley.db.approvals import Approval
from parley.db.scope import principal_scope
from parley.db.turn_pauses import Standing
from parley.errors import NotFound
from parley.limits import Payer
from parley.llm.models import Catalogue
from parley.llm.types import Source
from parley.waiting import end_waiting


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


def decide(desk: Desk, principal: Principal, decision: Decision) -> Turn | GoneOn | None:
    """Note the word; return the turn to go on with if it was the last that it waited for, None while others are missing.

    Of two at once, one takes the turn up. A turn that has waited for more than a day is ended instead. Raises NotFound for turn
    and call, AlreadyDecided, NotWaiting, Unauthorized and Unavailable, and what `prepared` raises where the turn cannot go on:
    nothing is noted then.
    """
    try:
        return _decide(desk, desk.catalogue(), principal, decision)
    except _Expired as exc:
        end_waiting(desk.engine, decision.turn_id, user_id=principal.user_id, reason="approval_expired")
        raise NotWaiting(f"turn {decision.turn_id} waited too long") from exc


def _decide(desk: Desk, catalogue: Catalogue, principal: Principal, decision: Decision) -> Turn | GoneOn | None:
    user_id, turn_id = principal.user_id, decision.turn_id
    toolbox_in = desk.toolbox_for(principal)
    with principal_scope(desk.engine, principal) as connection:
        standing = turn_pauses.locked(connection, turn_id, user_id=user_id)
        if standing.is_expired:
            raise _Expired
        asked = approvals.of_turn(connection, turn_id, user_id=user_id)
        if said_before := _earlier(asked, decision):
            return None if standing.status == "waiting" else GoneOn(standing.conversation_id, said_before.asked_by)
        if standing.status != "waiting":
            raise NotWaiting(f"turn {turn_id} is {standing.status}")
        approvals.decide(connection, turn_id, decision.call_id, user_id=user_id, is_approved=decision.is_approved)
        words = {one.call_id: one.is_approved for one in asked} | {decision.call_id: decision.is_approved}
        if None in words.values():
            return None
        turn = _taken_up(desk, catalogue, connection, principal, turn_id, standing, toolbox_in(connection))
        turn.decisions = {call_id: bool(word) for call_id, word in words.items()}
        turn_pauses.go_on(connection, turn_id, user_id=user_id)
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
    desk: Desk, catalogue: Catalogue, connection: Connection, principal: Principal, turn_id: UUID, standing: Standing, toolbox: Toolbox
) -> Turn:
    """Make the turn again from what was kept. What it offers, and what stands before its question, is read anew;
    what was found for it is not.
    """
    held = standing.held
    conversation = conversations.get(connection, standing.conversation_id, user_id=principal.user_id)
    asked = asked_before(connection, conversation, standing.user_message_id, held.options, user_id=principal.user_id)
    context = Context(
        conversation,
        asked.earlier,
        asked.question,
        chosen(toolbox, asked.question, remembers=held.remembers, all_there=False),
        asked.summary,
        remembers=held.remembers or bool(held.facts or held.passages),
        facts=held.facts,
        passages=held.passages,
        sources=[Source(**one) for one in held.sources],
        is_cut=asked.is_cut,
    )
    candidates = still_there(desk, catalogue, held.candidates) or candidates_for(
        desk, catalogue, asked.question, None, user_id=principal.user_id
    )
    candidates, request = prepared(candidates, context, held.parts)
    return Turn(
        Payer(principal.user_id, principal.api_key_id),
        conversation.id,
        candidates,
        context,
        request,
        [],
        asked.message_id,
        toolbox,
        id=turn_id,
        started_s=time.perf_counter() - held.total_ms / 1000,
        first_token_ms=held.first_token_ms,
        parts=AnswerParts(held.parts),
        rounds=held.rounds,
        journal=Journal(last=standing.last_event),
        before=held,
    )
