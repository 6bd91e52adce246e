"""Projects, and the documents that their conversations search."""

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, Table, Text, Uuid

from parley.db.tables.columns import metadata, owner, timestamp

projects = Table(
    "projects",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("instructions", Text),
    Column(
        "memory_scope",
        Text,
        CheckConstraint("memory_scope IN ('all', 'project')", name="projects_memory_scope_check"),
        nullable=False,
        server_default="all",
    ),
    timestamp("created_at"),
)

project_documents = Table(
    "project_documents",
    metadata,
    owner(),
    Column("project_id", Uuid, primary_key=True),
    Column("document_id", Uuid, primary_key=True),
    ForeignKeyConstraint(["user_id", "project_id"], ["projects.user_id", "projects.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["user_id", "document_id"], ["documents.user_id", "documents.id"], ondelete="CASCADE"),
    Index("project_documents_document", "user_id", "document_id"),
)
