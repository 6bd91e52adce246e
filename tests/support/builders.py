"""Store conversations, memories and documents for a test, as the functions store them."""

import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from parley.db import chunks, conversations, documents, memories, messages, passages
from parley.db.chunks import NewChunk
from parley.db.transactions import user_scope
from parley.db.turn.message_parts import AnswerParts
from parley.db.vectors import Vector
from parley.ids import new_id
from parley.memory.passages import Passage
from tests.support.api_gateway import Answer, Function, Person

FORM_BOUNDARY = "parley-test"
CONVERSATION_DAY = datetime(2026, 11, 2, 9, tzinfo=UTC)


def upload_document(
    documents: Function,
    owner: Person,
    content: bytes | str | None = None,
    *,
    filename: str = "notes.txt",
    title: str | None = None,
    idempotency_key: str | None = None,
) -> Answer:
    """Upload a file with a browser's multipart form. Without `content`, the file has random text."""
    content = content if content is not None else f"A note of {owner.email}, {secrets.token_hex(4)}."
    raw = content.encode() if isinstance(content, str) else content
    head = f'--{FORM_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: text/plain\r\n\r\n'
    if title is not None:
        head = f'--{FORM_BOUNDARY}\r\nContent-Disposition: form-data; name="title"\r\n\r\n{title}\r\n{head}'
    headers = {"Content-Type": f"multipart/form-data; boundary={FORM_BOUNDARY}"}
    headers |= {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    body = head.encode() + raw + f"\r\n--{FORM_BOUNDARY}--\r\n".encode()
    return documents.post("/documents", body, as_=owner, headers=headers)


def add_conversation(
    engine: Engine,
    person: Any,
    *texts: str,
    vectors: list[Vector] | None = None,
    day: datetime = CONVERSATION_DAY,
    tokens: int = 0,
    **fields: Any,
) -> UUID:
    """Store a conversation with one user message, of so many tokens, and one passage per text, and return its id."""
    new_passages = [Passage(number, number, f"{day:%Y-%m-%d}\nUser: {text}", day) for number, text in enumerate(texts, 1)]
    with user_scope(engine, person.id) as connection:
        conversation = conversations.add(connection, new_id(), user_id=person.id, title=texts[0][:20], **fields)
        for text in texts:
            parts = [{"type": "text", "text": text}]
            at = {"user_id": person.id, "conversation_id": conversation.id}
            messages.add(connection, new_id(), **at, role="user", parts=parts, tokens=tokens)
        last = len(new_passages)
        assert passages.add_missing(connection, conversation.id, new_passages, user_id=person.id, upto_seq=last, vectors=vectors)
    return conversation.id


def add_steered_turn(engine: Engine, person: Any, question: str, said: str) -> UUID:
    """Store a conversation of one turn, in whose answer the user said something, and return its id."""
    answer = AnswerParts()
    answer.add_text("I look it up.")
    answer.add_tool_call("call", "price", {})
    answer.add_tool_result("call", ok=True, content="42")
    answer.add_user_message(new_id().hex, said)
    answer.add_text("Done.")
    with user_scope(engine, person.id) as connection:
        conversation = conversations.add(connection, new_id(), user_id=person.id, title="Prices")
        at = {"user_id": person.id, "conversation_id": conversation.id}
        messages.add(connection, new_id(), **at, role="user", parts=[{"type": "text", "text": question}])
        messages.add(connection, new_id(), **at, role="assistant", parts=answer.stored())
    return conversation.id


def add_memory(engine: Engine, person: Any, text: str, *, vector: Vector | None = None, **fields: Any) -> UUID:
    """Store a fact and return its id."""
    memory_id = new_id()
    with user_scope(engine, person.id) as connection:
        memories.add(connection, memory_id, user_id=person.id, text=text, **{"source": "user"} | fields, vector=vector)
    return memory_id


def first_message_id(engine: Engine, person: Any, conversation_id: UUID) -> UUID:
    """Return the id of a conversation's first message."""
    with user_scope(engine, person.id) as connection:
        return messages.newest(connection, conversation_id, user_id=person.id, limit=100)[0].id


def add_document(engine: Engine, person: Any, *texts: str, title: str = "handbook", shared: bool = False, vectors: Any = None) -> UUID:
    """Store a ready document with one chunk and one page per text, and return its id."""
    document_id, owner = new_id(), {"user_id": person.id}
    fields = {"title": title, "filename": f"{title}.pdf", "content_type": "application/pdf", "bytes": 1, "sha256": secrets.token_bytes(32)}
    new_chunks = [NewChunk(number, title, text, number + 1, 0, 10) for number, text in enumerate(texts)]
    with user_scope(engine, person.id) as connection:
        documents.add(connection, document_id, **owner, **fields)
        chunks.add(connection, document_id, new_chunks, **owner, is_shared=False)
        if vectors:
            chunks.put_vectors(
                connection, document_id, {number: Vector("lexical", values) for number, values in enumerate(vectors)}, **owner
            )
        documents.mark_ready(connection, document_id, **owner, held_until=None, chunks=len(new_chunks), note=None)
        if shared:
            documents.change(connection, document_id, **owner, changes={"is_shared": True})
    return document_id
