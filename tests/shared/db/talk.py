"""A conversation with messages, passages and facts, written by the database modules."""

from datetime import UTC, datetime

from sqlalchemy import text

from parley.db import conversations, memories, messages, passages
from parley.db.memories import MemoryOrigin
from parley.ids import new_id
from parley.memory.passages import Passage


class Talk:
    """A conversation of a user, in a transaction that no policy restricts."""

    def __init__(self, connection, user_id, conversation_id):
        self.connection, self.user, self.id = connection, {"user_id": user_id}, conversation_id
        conversations.add(connection, conversation_id, **self.user)

    def say(self, said, role="user", message_id=None):
        parts = [{"type": "text", "text": said}]
        return messages.add(self.connection, message_id or new_id(), **self.user, conversation_id=self.id, role=role, parts=parts).id

    def store_passage(self, first_seq, last_seq, said):
        passage = Passage(first_seq, last_seq, said, datetime.now(UTC))
        passages.add_imported(self.connection, self.id, [passage], **self.user)

    def add_fact(self, fact, *message_ids, **fields):
        origins = [MemoryOrigin(self.id, message_id) for message_id in message_ids]
        memories.add(self.connection, id := new_id(), **self.user, text=fact, source="extracted", origins=origins, **fields)
        return id

    def forget(self, fact_id):
        memories.forget(self.connection, fact_id, **self.user)

    def forgotten(self, *message_ids):
        return memories.forgotten_among(self.connection, message_ids, **self.user)

    def passages(self):
        found = text("SELECT text FROM passages WHERE user_id = :user_id AND conversation_id = :id ORDER BY first_seq")
        return list(self.connection.scalars(found, self.user | {"id": self.id}))
