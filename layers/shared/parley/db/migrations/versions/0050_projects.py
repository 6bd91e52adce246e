"""Projects: folders of conversations with instructions and documents of their own.

The foreign key of conversations has no `ON DELETE SET NULL`, which distributed tables cannot have for a key with the owner's id:
the function that deletes a project takes its conversations out first.
"""

from alembic import op

revision, down_revision = "0050", "0049"

TABLES = """
CREATE TABLE projects (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    instructions text,
    memory_scope text NOT NULL DEFAULT 'all' CONSTRAINT projects_memory_scope_check CHECK (memory_scope IN ('all', 'project')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);
CREATE TABLE project_documents (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project_id uuid NOT NULL,
    document_id uuid NOT NULL,
    PRIMARY KEY (user_id, project_id, document_id),
    FOREIGN KEY (user_id, project_id) REFERENCES projects (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, document_id) REFERENCES documents (user_id, id) ON DELETE CASCADE
);
CREATE INDEX project_documents_document ON project_documents (user_id, document_id);
ALTER TABLE conversations ADD COLUMN project_id uuid;
ALTER TABLE conversations ADD CONSTRAINT conversations_project_fkey
    FOREIGN KEY (user_id, project_id) REFERENCES projects (user_id, id) NOT VALID;
"""
POLICIES = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON {table} TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON {table} TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO parley_app;
"""


def upgrade() -> None:
    """Create the tables with their policies, and the conversations' column."""
    op.execute(TABLES)
    for table in ("projects", "project_documents"):
        op.execute(POLICIES.format(table=table))
