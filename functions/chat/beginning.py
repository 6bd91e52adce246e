"""The first of a turn's two transactions: the question is stored before the model is asked."""

from uuid import UUID

from sqlalchemy import Connection

from functions.chat.context import assemble
from functions.chat.desk import Desk
from functions.chat.question import Question, title_of
from functions.chat.running import Turn
from parley.auth.principal import Principal
from parley.db import conversations, messages, turns, users
from parley.db.scope import principal_scope
from parley.errors import InvalidInput
from parley.ids import new_id
from parley.llm.models import Catalogue
from parley.llm.tokens import estimate_tokens
from parley.observability import logger

WINDOW_MESSAGES = 200


def begin(desk: Desk, principal: Principal, question: Question) -> Turn:
    """Store the question and the turn, and gather what the model will be given.

    Raises NotFound, InvalidInput, NoModel, Unauthorized and Unavailable; nothing is stored then.
    """
    with principal_scope(desk.engine, principal) as connection:
        conversation, earlier = _open_conversation(connection, principal.user_id, question)
        catalogue = desk.catalogue()
        model_id = _choose_model(desk, catalogue, connection, question, conversation)
        model = catalogue.models[model_id]
        request = assemble(conversation, earlier, question, model)
        model.check(request, id=model_id)
        asked_id = _store_question(connection, conversation, question)
        turn = Turn(principal.user_id, conversation.id, asked_id, model_id, model, desk.provider_for(model), request)
        turns.start(connection, turn.id, user_id=turn.user_id, conversation_id=conversation.id, user_message_id=asked_id, model=model_id)
        return turn


def _open_conversation(
    connection: Connection, user_id: UUID, question: Question
) -> tuple[conversations.Conversation, list[messages.Message]]:
    """Return the conversation and its newest messages; a new one has none."""
    if question.conversation_id is None:
        return conversations.add(connection, new_id(), user_id=user_id, title=title_of(question.text)), []
    conversation = conversations.get(connection, question.conversation_id, user_id=user_id)
    return conversation, messages.newest(connection, conversation.id, user_id=user_id, limit=WINDOW_MESSAGES)


def _choose_model(
    desk: Desk, catalogue: Catalogue, connection: Connection, question: Question, conversation: conversations.Conversation
) -> str:
    """The request's word comes first, then the conversation's, then the user's.

    A stored wish that can no longer be met is passed over: only the request's own model is the caller's mistake.
    """
    if question.model:
        return catalogue.choose(question.model, environment=desk.environment)
    wished = conversation.model or users.get(connection, conversation.user_id).default_model
    try:
        return catalogue.choose(wished, environment=desk.environment)
    except InvalidInput as exc:
        logger.info("a stored choice of model is passed over", reason=str(exc))
        return catalogue.choose(environment=desk.environment)


def _store_question(connection: Connection, conversation: conversations.Conversation, question: Question) -> UUID:
    stored = messages.add(
        connection,
        new_id(),
        user_id=conversation.user_id,
        conversation_id=conversation.id,
        role="user",
        parts=[{"type": "text", "text": question.text}],
        tokens=estimate_tokens(question.text),
    )
    return stored.id
