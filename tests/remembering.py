"""What of a user's past is there before a test looks for it, as the summarize function stores it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from parley.db import conversations, memories, messages, passages
from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.ids import new_id
from parley.memory.passages import Passage

DAY = datetime(2026, 11, 2, 9, tzinfo=UTC)


def said(engine: Engine, person: Any, *texts: str, vectors: list[Vector] | None = None, day: datetime = DAY, **fields: Any) -> UUID:
    """Store a conversation of the user's in which this was said, each text a passage; return its id."""
    pieces = [Passage(number, number, f"{day:%Y-%m-%d}\nUser: {text}", day) for number, text in enumerate(texts, 1)]
    with user_scope(engine, person.id) as connection:
        made = conversations.add(connection, new_id(), user_id=person.id, title=texts[0][:20], **fields)
        for text in texts:
            parts = [{"type": "text", "text": text}]
            messages.add(connection, new_id(), user_id=person.id, conversation_id=made.id, role="user", parts=parts)
        place = {"first_seq": 1, "upto_seq": len(pieces)}
        assert passages.replace_from(connection, made.id, user_id=person.id, pieces=pieces, vectors=vectors, **place)
    return made.id


def known(engine: Engine, person: Any, text: str, *, vector: Vector | None = None, **fields: Any) -> UUID:
    """Store a fact; return its id."""
    memory_id = new_id()
    with user_scope(engine, person.id) as connection:
        memories.add(connection, memory_id, user_id=person.id, text=text, **{"source": "user"} | fields, vector=vector)
    return memory_id


def first_message(engine: Engine, person: Any, conversation_id: UUID) -> UUID:
    """Return the id of a conversation's first message."""
    with user_scope(engine, person.id) as connection:
        return messages.newest(connection, conversation_id, user_id=person.id, limit=100)[0].id
