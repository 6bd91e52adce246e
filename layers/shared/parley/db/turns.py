"""Turns: one question and how its answer went."""

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, func, insert, update

from parley.db.tables import turns

type TurnStatus = Literal["running", "completed", "interrupted", "failed"]


def start(connection: Connection, turn_id: UUID, *, user_id: UUID, conversation_id: UUID, user_message_id: UUID, model: str) -> None:
    """Store a running turn."""
    values = {"id": turn_id, "user_id": user_id, "conversation_id": conversation_id, "user_message_id": user_message_id, "model": model}
    connection.execute(insert(turns).values(values))


def finish(connection: Connection, turn_id: UUID, *, user_id: UUID, status: TurnStatus, **fields: Any) -> None:
    """Record how a turn ended; `fields` are message_id, error_code, input_tokens, output_tokens and cost_usd."""
    which = (turns.c.user_id == user_id, turns.c.id == turn_id)
    connection.execute(update(turns).where(*which).values(status=status, ended_at=func.now(), **fields))
