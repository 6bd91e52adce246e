"""Documents, and the chunks by which they are found.

A chunk stands on a shelf: its owner's, or the one that all users of the deployment share. Search reads one's own shelf
and the shared one, before it ranks anything. See docs/adr/0012-documents.md.
"""

from alembic import op

revision, down_revision = "0008", "0007"

TABLES = """
CREATE TABLE documents (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    title text NOT NULL,
    filename text NOT NULL,
    content_type text NOT NULL,
    bytes bigint NOT NULL,
    sha256 bytea,
    status text NOT NULL DEFAULT 'queued' CONSTRAINT documents_status_check CHECK (status IN ('queued', 'processing', 'ready', 'failed')),
    progress real NOT NULL DEFAULT 0,
    chunks integer NOT NULL DEFAULT 0,
    error_code text,
    error text,
    is_shared boolean NOT NULL DEFAULT false,
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    ready_at timestamptz,
    PRIMARY KEY (user_id, id)
);
CREATE UNIQUE INDEX documents_content ON documents (user_id, sha256) WHERE sha256 IS NOT NULL AND status <> 'failed';
CREATE INDEX documents_shared ON documents (id) WHERE is_shared;
CREATE INDEX documents_unfinished ON documents (created_at) WHERE status IN ('queued', 'processing');

CREATE TABLE chunks (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    document_id uuid NOT NULL,
    number integer NOT NULL,
    id uuid NOT NULL,
    heading text NOT NULL,
    text text NOT NULL,
    page integer,
    start integer NOT NULL,
    tokens integer NOT NULL,
    is_shared boolean NOT NULL DEFAULT false,
    shelf uuid NOT NULL GENERATED ALWAYS AS (CASE WHEN is_shared THEN '00000000-0000-0000-0000-000000000000'::uuid ELSE user_id END) STORED,
    embedding halfvec,
    embedding_model text,
    words tsvector GENERATED ALWAYS AS (parley_words(heading || ' ' || text)) STORED,
    PRIMARY KEY (user_id, document_id, number),
    FOREIGN KEY (user_id, document_id) REFERENCES documents (user_id, id) ON DELETE CASCADE,
    CONSTRAINT chunks_embedding_check CHECK ((embedding IS NULL) = (embedding_model IS NULL))
);
-- As for passages (0006): what an exact scan reads stands in the row.
ALTER TABLE chunks ALTER COLUMN embedding SET STORAGE MAIN, ALTER COLUMN words SET STORAGE MAIN;
CREATE UNIQUE INDEX chunks_id ON chunks (user_id, id);
CREATE INDEX chunks_shelf ON chunks (shelf, document_id);
CREATE INDEX chunks_words ON chunks USING gin (parley_keys(shelf, words)) WITH (fastupdate = off);
CREATE INDEX chunks_model ON chunks (embedding_model);
"""

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

RIGHTS = f"""
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE documents FORCE ROW LEVEL SECURITY;
ALTER TABLE chunks ENABLE ROW LEVEL SECURITY;
ALTER TABLE chunks FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON documents TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_migrates ON chunks TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON documents TO parley_app USING (user_id = {ME}) WITH CHECK (user_id = {ME});
CREATE POLICY app_own_rows ON chunks TO parley_app USING (user_id = {ME}) WITH CHECK (user_id = {ME});
CREATE POLICY app_shared_rows ON documents FOR SELECT TO parley_app USING (is_shared AND {ME} IS NOT NULL);
CREATE POLICY app_shared_rows ON chunks FOR SELECT TO parley_app USING (is_shared AND {ME} IS NOT NULL);
GRANT SELECT, INSERT, UPDATE, DELETE ON documents, chunks TO parley_app;

GRANT SELECT (user_id, id, status, leased_until, created_at) ON documents TO parley_background;
CREATE POLICY background_finds_unfinished ON documents FOR SELECT TO parley_background USING (true);
GRANT SELECT (user_id, embedding_model) ON chunks TO parley_background;
CREATE POLICY background_finds_models ON chunks FOR SELECT TO parley_background USING (true);

GRANT SELECT ON chunks, documents TO parley_search;
CREATE POLICY search_reads ON chunks FOR SELECT TO parley_search USING (true);
CREATE POLICY search_reads ON documents FOR SELECT TO parley_search USING (true);
"""


def upgrade() -> None:
    """Make it all."""
    op.execute(TABLES)
    op.execute(RIGHTS)
