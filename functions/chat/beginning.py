"""The first of a turn's two transactions: the question is stored before the model is asked. It takes five statements."""

from uuid import UUID

from sqlalchemy import Connection

from functions.chat.choosing import candidates_for, prepared
from functions.chat.desk import Desk
from functions.chat.question import Question, title_of
from functions.chat.running import Turn
from parley import limits
from parley.auth.principal import Principal
from parley.db import conversations, messages, turns, users
from parley.db.scope import principal_scope
from parley.ids import new_id
from parley.limits import Payer
from parley.llm.tokens import estimate_tokens

WINDOW_MESSAGES = 200


def begin(desk: Desk, principal: Principal, question: Question) -> Turn:
    """Count the request, reserve its price, store question and turn, and gather what the model will be given.

    Raises NotFound, ModelNotFound, ModelCannot, ContextTooLong, NoModel, RateLimited, BudgetExhausted, Unauthorized and
    Unavailable; nothing is stored or counted then.
    """
    payer = Payer(principal.user_id, principal.api_key_id)
    with principal_scope(desk.engine, principal) as connection:
        conversation, wished, earlier = _open_conversation(connection, principal.user_id, question)
        candidates = candidates_for(desk, question, wished, user_id=principal.user_id)
        candidates, request = prepared(candidates, conversation, earlier, question)
        amount_usd = limits.worst_usd([one.model for one in candidates], request)
        reservation = limits.admit(connection, payer, desk.allowance, amount_usd=amount_usd)
        turn = Turn(payer, conversation.id, candidates, request, [reservation])
        _store(connection, turn, question.text)
        return turn


def _open_conversation(
    connection: Connection, user_id: UUID, question: Question
) -> tuple[conversations.Conversation, str | None, list[messages.Message]]:
    """Return the conversation, the model that it or its user wishes for, and its newest messages; a new one has none."""
    if question.conversation_id is None:
        default = None if question.model else users.get(connection, user_id).default_model
        return conversations.add(connection, new_id(), user_id=user_id, title=title_of(question.text)), default, []
    conversation, default = conversations.get_with_default_model(connection, question.conversation_id, user_id=user_id)
    earlier = messages.newest(connection, conversation.id, user_id=user_id, limit=WINDOW_MESSAGES)
    return conversation, conversation.model or default, earlier


def _store(connection: Connection, turn: Turn, text: str) -> None:
    turns.start(
        connection,
        turn.id,
        user_id=turn.user_id,
        conversation_id=turn.conversation_id,
        model=turn.candidates[0].id,
        question_id=turn.user_message_id,
        parts=[{"type": "text", "text": text}],
        tokens=estimate_tokens(text),
    )
