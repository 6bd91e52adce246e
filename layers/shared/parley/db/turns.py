"""Turns: one question and how its answer went."""

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from parley.db.tables import turns
from parley.errors import NotFound

type TurnStatus = Literal["running", "completed", "interrupted", "failed"]


def start(connection: Connection, turn_id: UUID, *, user_id: UUID, conversation_id: UUID, user_message_id: UUID, model: str) -> None:
    """Store a running turn."""
    values = {"id": turn_id, "user_id": user_id, "conversation_id": conversation_id, "user_message_id": user_message_id, "model": model}
    connection.execute(insert(turns).values(values))


def finish(connection: Connection, turn_id: UUID, *, user_id: UUID, status: TurnStatus, **fields: Any) -> bool:
    """Record how a running turn ended; `fields` are message_id, error_code, input_tokens, output_tokens and cost_usd.

    Returns False if it had ended before. Raises NotFound if it is gone, with its conversation.
    """
    which = (turns.c.user_id == user_id, turns.c.id == turn_id)
    ended = connection.execute(
        update(turns).where(*which, turns.c.status == "running").values(status=status, ended_at=func.now(), **fields)
    )
    if ended.rowcount == 0 and connection.execute(select(turns.c.id).where(*which)).one_or_none() is None:
        raise NotFound("turn", turn_id)
    return ended.rowcount == 1
