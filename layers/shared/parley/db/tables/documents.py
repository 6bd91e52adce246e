"""Documents and their searchable chunks. A chunk's `shelf` is its owner's id, or zeros if the document is shared."""

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import BIT, REAL, TSVECTOR

from parley.db.tables.columns import counter, metadata, owner, timestamp

_STATUSES = CheckConstraint("status IN ('queued', 'processing', 'ready', 'failed')", name="documents_status_check")
documents = Table(
    "documents",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("title", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary),
    Column("status", Text, _STATUSES, nullable=False, server_default="queued"),
    Column("progress", REAL, nullable=False, server_default="0"),
    counter("chunks"),
    Column("error_code", Text),
    Column("error", Text),
    Column("note", Text),
    Column("is_shared", Boolean, nullable=False, server_default="false"),
    timestamp("leased_until", nullable=True),
    counter("attempts"),
    counter("failures"),
    Column("has_worker", Boolean, nullable=False, server_default="false"),
    Column("is_waiting", Boolean, nullable=False, server_default="false"),
    timestamp("created_at"),
    timestamp("ready_at", nullable=True),
)
_has_content = documents.c.sha256.is_not(None) & (documents.c.status != text("'failed'"))
Index("documents_content", documents.c.user_id, documents.c.sha256, unique=True, postgresql_where=_has_content)
Index("documents_shared", documents.c.id, postgresql_where=documents.c.is_shared)
_is_unfinished = text("status IN ('queued', 'processing')")
Index("documents_unfinished", documents.c.created_at, postgresql_where=_is_unfinished)
Index("documents_with_worker", documents.c.user_id, postgresql_where=documents.c.has_worker)
Index("documents_waiting", documents.c.user_id, documents.c.status, documents.c.id, postgresql_where=documents.c.is_waiting)

_SHELF = "CASE WHEN is_shared THEN '00000000-0000-0000-0000-000000000000'::uuid ELSE user_id END"
chunks = Table(
    "chunks",
    metadata,
    owner(),
    Column("document_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", Uuid, nullable=False),
    Column("heading", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("description", Text),
    Column("page", Integer),
    Column("start", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("is_shared", Boolean, nullable=False, server_default="false"),
    Column("shelf", Uuid, Computed(_SHELF, persisted=True), nullable=False),
    Column("embedding", HALFVEC),
    Column("embedding_model", Text),
    Column("sketch", BIT(varying=True)),
    Column("words", TSVECTOR),
    ForeignKeyConstraint(["user_id", "document_id"], ["documents.user_id", "documents.id"], ondelete="CASCADE"),
    CheckConstraint("(embedding IS NULL) = (embedding_model IS NULL)", name="chunks_embedding_check"),
    Index("chunks_id", "user_id", "id", unique=True),
    Index("chunks_sketch", "shelf", "document_id", "embedding_model", postgresql_include=["id", "sketch"]),
    Index("chunks_cited", "shelf", "id"),
    Index("chunks_model", "embedding_model"),
)
Index("chunks_words", func.parley_keys(chunks.c.shelf, chunks.c.words), postgresql_using="gin")
