"""Long-term memory: summaries, facts with their sources, and passages of past conversations.

Foreign keys delete a conversation's summaries and passages with it; `conversations.remove` deletes the facts extracted only
from that conversation.
"""

from typing import Any

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, Integer, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import BIT, TSVECTOR

from parley.db.tables.columns import metadata, owner, required_timestamp, timestamp

_OF_CONVERSATION = (["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"])


def _embedding() -> tuple[Column[Any], ...]:
    """Return the columns of a vector: the vector, the name of its model, and its sketch, a binary signature for preselection.

    A trigger of the database writes the sketch.
    """
    sketch = Column("sketch", BIT(varying=True))
    return Column("embedding", HALFVEC), Column("embedding_model", Text), sketch


def _words() -> Column[object]:
    """Return the column with the search words of the text, which a trigger of the database writes."""
    return Column("words", TSVECTOR)


summaries = Table(
    "summaries",
    metadata,
    owner(),
    Column("conversation_id", Uuid, primary_key=True),
    Column("upto_seq", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("tokens", Integer, nullable=False, server_default="0"),
    timestamp("created_at"),
    ForeignKeyConstraint(*_OF_CONVERSATION, ondelete="CASCADE"),
)

_SOURCES = CheckConstraint("source IN ('user', 'extracted')", name="memories_source_check")
memories = Table(
    "memories",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("text", Text, nullable=False),
    Column("source", Text, _SOURCES, nullable=False),
    *_embedding(),
    _words(),
    timestamp("created_at"),
    Column("superseded_by", Uuid),
    timestamp("ended_at", nullable=True),
    ForeignKeyConstraint(["user_id", "superseded_by"], ["memories.user_id", "memories.id"], ondelete="SET NULL (superseded_by)"),
    CheckConstraint("(embedding IS NULL) = (embedding_model IS NULL)", name="memories_embedding_check"),
)
_holds = memories.c.ended_at.is_(None)
_is_superseded = memories.c.superseded_by.is_not(None)
Index("memories_superseded", memories.c.user_id, memories.c.superseded_by, postgresql_where=_is_superseded)
_place = ("user_id", "embedding_model")
Index("memories_sketch", *(memories.c[name] for name in _place), postgresql_include=["id", "sketch"], postgresql_where=_holds)
Index("memories_words", func.parley_keys(memories.c.user_id, memories.c.words), postgresql_using="gin")

memory_sources = Table(
    "memory_sources",
    metadata,
    owner(),
    Column("memory_id", Uuid, primary_key=True),
    Column("message_id", Uuid, primary_key=True),
    Column("conversation_id", Uuid, nullable=False),
    ForeignKeyConstraint(["user_id", "memory_id"], ["memories.user_id", "memories.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["user_id", "message_id"], ["messages.user_id", "messages.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(*_OF_CONVERSATION, ondelete="CASCADE"),
    Index("memory_sources_conversation", "user_id", "conversation_id"),
    Index("memory_sources_message", "user_id", "message_id"),
)

passages = Table(
    "passages",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("conversation_id", Uuid, nullable=False),
    Column("first_seq", Integer, nullable=False),
    Column("last_seq", Integer, nullable=False),
    Column("text", Text, nullable=False),
    required_timestamp("said_at"),
    *_embedding(),
    _words(),
    ForeignKeyConstraint(*_OF_CONVERSATION, ondelete="CASCADE"),
    CheckConstraint("(embedding IS NULL) = (embedding_model IS NULL)", name="passages_embedding_check"),
    Index("passages_model", "embedding_model", "user_id"),
    Index("passages_place", "user_id", "conversation_id", "first_seq"),
    Index("passages_sketch", *_place, postgresql_include=["id", "conversation_id", "last_seq", "sketch"]),
)
Index("passages_words", func.parley_keys(passages.c.user_id, passages.c.words), postgresql_using="gin")
