"""Forks: a new conversation that begins as another one did."""

from uuid import UUID

from sqlalchemy import ARRAY, Connection, Uuid, bindparam, text

from parley.db import conversations
from parley.db.conversations import Conversation
from parley.errors import InvalidInput, NotFound
from parley.ids import new_id

MARK = " (fork)"
LONGEST_TITLE = 200


def fork(connection: Connection, conversation_id: UUID, *, user_id: UUID, upto_seq: int) -> Conversation:
    """Copy a conversation with its active messages up to `upto_seq`, and return the copy. Its messages have ids of their own.

    What has been read of the source, for facts and passages, is not read again in the copy: recall would find all of it twice.

    Raises NotFound, and InvalidInput if it has no such message.
    """
    source = conversations.get(connection, conversation_id, user_id=user_id)
    if not 1 <= upto_seq <= source.last_seq:
        raise InvalidInput(f"the conversation's messages are numbered from 1 to {source.last_seq}", loc=("body", "upto_seq"))
    values = {
        "user_id": user_id,
        "source_id": conversation_id,
        "id": new_id(),
        "title": _marked(source.title),
        "upto_seq": upto_seq,
        "ids": [new_id() for _ in range(upto_seq)],
    }
    row = connection.execute(_FORK, values).one_or_none()
    if row is None:
        raise NotFound("conversation", conversation_id)
    return Conversation(**row._mapping)


def _marked(title: str | None) -> str | None:
    """Mark a title as a fork's, once."""
    return title and title.removesuffix(MARK)[: LONGEST_TITLE - len(MARK)] + MARK


# Active messages are numbered without gaps from 1, so each finds its new id by its number.
_FORK = text(
    """
    WITH made AS (
            INSERT INTO conversations (user_id, id, title, model, system_prompt, last_seq, is_incognito, mined_upto_seq)
            SELECT c.user_id, CAST(:id AS uuid), CAST(:title AS text), c.model, c.system_prompt, CAST(:upto_seq AS integer), c.is_incognito,
                   least(c.mined_upto_seq, CAST(:upto_seq AS integer))
              FROM conversations c WHERE c.user_id = CAST(:user_id AS uuid) AND c.id = CAST(:source_id AS uuid)
            RETURNING user_id, id, title, model, system_prompt, last_seq, created_at, updated_at, is_incognito
         ),
         copied AS (
            INSERT INTO messages (user_id, id, conversation_id, seq, role, parts, model, tokens, status, created_at)
            SELECT m.user_id, (CAST(:ids AS uuid[]))[m.seq], made.id, m.seq, m.role, m.parts, m.model, m.tokens, m.status, m.created_at
              FROM made JOIN messages m ON m.user_id = made.user_id
             WHERE m.user_id = CAST(:user_id AS uuid) AND m.conversation_id = CAST(:source_id AS uuid) AND m.is_active
               AND m.seq <= CAST(:upto_seq AS integer)
         )
    SELECT * FROM made
    """
).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
