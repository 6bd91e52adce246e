"""The first of a turn's two transactions: the question is stored before the model is asked. It takes five statements."""

import time
from uuid import UUID

from sqlalchemy import Connection

from functions.chat import gathering
from functions.chat.asked import Asked, asked_in
from functions.chat.choosing import candidates_for, prepared
from functions.chat.context import Context
from functions.chat.desk import Desk
from functions.chat.errors import ConversationBusy, InProgress
from functions.chat.offering import chosen
from functions.chat.question import Question, title_of
from functions.chat.running import Turn
from functions.chat.toolbox import Toolbox, no_tools
from parley import limits
from parley.auth.principal import Principal
from parley.db import turn_beginnings
from parley.db.scope import principal_scope
from parley.db.turn_beginnings import Beginning, Found, Once, Opening, Outrun
from parley.deadline import Deadline
from parley.http.idempotency import KeyReused
from parley.ids import new_id
from parley.interruption import interrupt_if_silent
from parley.limits import Payer
from parley.llm.models import Catalogue
from parley.llm.tokens import estimate_tokens
from parley.waiting import end_waiting

_MOST_ATTEMPTS = 20
_PAUSE_S = 0.25
# Who waits for another turn's end still needs time for an answer.
_ANSWER_S = 20.0


class _MetSilent(Exception):
    """A turn stands in the way whose heart has stopped."""

    def __init__(self, turn_id: UUID) -> None:
        self.turn_id = turn_id


class _MetWaiting(Exception):
    """A turn stands in the way that waits for an approval."""

    def __init__(self, turn_id: UUID) -> None:
        self.turn_id = turn_id


def begin(desk: Desk, principal: Principal, question: Question, *, deadline: Deadline, once: Once | None = None) -> Turn | Found:
    """Count the request, reserve its price, store question and turn, and gather what the model will be given.

    Where the same key was used before, returns the turn that it began, which has ended. Raises NotFound, KeyReused,
    InProgress, ConversationBusy, NothingToRegenerate, ModelNotFound, ModelCannot, ContextTooLong, NoModel, RateLimited, BudgetExhausted,
    Unauthorized and Unavailable; nothing is stored or counted then.
    """
    catalogue, attempts = desk.catalogue(), 0
    while True:
        try:
            return _begin_once(desk, catalogue, principal, question, once)
        except _MetSilent as met:
            interrupt_if_silent(desk.engine, met.turn_id, user_id=principal.user_id)
        except _MetWaiting as met:
            end_waiting(desk.engine, met.turn_id, user_id=principal.user_id, reason="denied")
        except Outrun as exc:
            attempts += 1
            if attempts == _MOST_ATTEMPTS:
                raise ConversationBusy(str(exc)) from exc
        except ConversationBusy:
            if not question.wait or deadline.left_s < _ANSWER_S:
                raise
            time.sleep(_PAUSE_S)


def _begin_once(desk: Desk, catalogue: Catalogue, principal: Principal, question: Question, once: Once | None) -> Turn | Found:
    user_id = principal.user_id
    toolbox_in = desk.toolbox_for(principal) if question.tools else no_tools(principal)
    with principal_scope(desk.engine, principal) as connection:
        opening = turn_beginnings.opening(
            connection, user_id=user_id, conversation_id=question.conversation_id, once=once, documents=question.named_documents
        )
        if once and opening.earlier:
            if not opening.is_key_old:
                return _earlier(opening.earlier, once)
            turn_beginnings.forget_key(connection, once, user_id=user_id)
        _check_alone(opening, question)
        asked = asked_in(connection, opening.conversation, question, user_id=user_id)
        turn = _prepare(desk, catalogue, connection, principal, asked, opening, toolbox_in(connection))
        if opening.open and _denies(opening, asked.question):
            # Only now: a message that is refused denies nothing.
            raise _MetWaiting(opening.open.id)
        turn_beginnings.start(connection, _beginning(turn, asked.question, opening, once))
        # Whoever was refused, or outrun, has asked no vendor for anything; the commit still takes its time.
        turn.recollection = gathering.begin(desk, turn)
        return turn


def _earlier(found: Found, once: Once) -> Found:
    """Return the turn that a repeated request asks for, if it has ended."""
    if found.fingerprint != once.fingerprint:
        raise KeyReused
    if found.is_silent:
        raise _MetSilent(found.id)
    if found.status == "running":
        raise InProgress(found.id)
    return found


def _check_alone(opening: Opening, question: Question) -> None:
    """A conversation has one open turn: a dead one is ended first."""
    if opening.open is None or _denies(opening, question):
        return
    if opening.open.is_silent:
        raise _MetSilent(opening.open.id)
    raise ConversationBusy(f"turn {opening.open.id} is {opening.open.status}")


def _denies(opening: Opening, question: Question) -> bool:
    """Whether the question is a new message to a turn that waits, which denies what that waits for."""
    return opening.open is not None and opening.open.status == "waiting" and not question.is_anew


def _prepare(
    desk: Desk, catalogue: Catalogue, connection: Connection, principal: Principal, asked: Asked, opening: Opening, toolbox: Toolbox
) -> Turn:
    """Choose who answers, gather what they are given, count the request and reserve its price."""
    conversation, question = opening.conversation, asked.question
    payer = Payer(principal.user_id, principal.api_key_id)
    wished = (conversation and conversation.model) or opening.default_model
    candidates = candidates_for(desk, catalogue, question, wished, user_id=payer.user_id)
    remembers = opening.memory_enabled and not (conversation.is_incognito if conversation else question.is_incognito)
    offered = chosen(toolbox, question, remembers=remembers)
    context = Context(conversation, asked.earlier, question, offered, asked.summary, remembers=remembers, is_cut=asked.is_cut)
    candidates, request = prepared(candidates, context)
    amount_usd = limits.worst_usd([one.model for one in candidates], request) + gathering.worst_usd(desk, context)
    claim = limits.claim(turn_id := new_id(), candidates[0].id, candidates[0].model, request)
    reservation = limits.admit(connection, payer, desk.allowance, amount_usd=amount_usd, claim=claim)
    conversation_id = conversation.id if conversation else new_id()
    turn = Turn(payer, conversation_id, candidates, context, request, [reservation], asked.message_id, toolbox, turn_id)
    turn.start()
    return turn


def _beginning(turn: Turn, question: Question, opening: Opening, once: Once | None) -> Beginning:
    return Beginning(
        turn.id,
        turn.user_id,
        turn.conversation_id,
        opening.conversation.last_seq if opening.conversation else None,
        title_of(question.text),
        turn.user_message_id,
        None if question.is_anew else [*question.images, {"type": "text", "text": question.text}],
        estimate_tokens(question.text),
        turn.model_id,
        once,
        turn.journal.take(),
        question.is_incognito,
    )
