"""Documents and their searchable chunks.

A chunk's `shelf` is its owner's id, or zeros for a shared document. Search excludes all but the user's own and
shared chunks before it ranks anything. See docs/adr/0012-document-ingestion.md.
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
    note text,
    is_shared boolean NOT NULL DEFAULT false,
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
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
    description text,
    page integer,
    start integer NOT NULL,
    tokens integer NOT NULL,
    is_shared boolean NOT NULL DEFAULT false,
    shelf uuid NOT NULL GENERATED ALWAYS AS (CASE WHEN is_shared THEN '00000000-0000-0000-0000-000000000000'::uuid ELSE user_id END) STORED,
    embedding halfvec,
    embedding_model text,
    words tsvector GENERATED ALWAYS AS (parley_words(coalesce(description || ' ', '') || heading || ' ' || text)) STORED,
    PRIMARY KEY (user_id, document_id, number),
    FOREIGN KEY (user_id, document_id) REFERENCES documents (user_id, id) ON DELETE CASCADE,
    CONSTRAINT chunks_embedding_check CHECK ((embedding IS NULL) = (embedding_model IS NULL))
);
-- As for passages (0006): vectors are stored in the row, where an exact scan reads them.
ALTER TABLE chunks ALTER COLUMN embedding SET STORAGE MAIN, ALTER COLUMN words SET STORAGE MAIN;
CREATE UNIQUE INDEX chunks_id ON chunks (user_id, id);
CREATE INDEX chunks_shelf ON chunks (shelf, document_id);
CREATE INDEX chunks_cited ON chunks (shelf, id);
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
GRANT SELECT (user_id, document_id, embedding_model) ON chunks TO parley_background;
CREATE POLICY background_finds_models ON chunks FOR SELECT TO parley_background USING (true);

GRANT SELECT ON chunks, documents TO parley_search;
CREATE POLICY search_reads ON chunks FOR SELECT TO parley_search USING (true);
CREATE POLICY search_reads ON documents FOR SELECT TO parley_search USING (true);
"""

# Like the search of passages (0006), over the user's own chunks and the shared ones. Documents that are not ready are excluded.
SEARCH = r"""
CREATE FUNCTION parley_search_chunks(query text, vector halfvec, model text, pool integer, most integer, only_in uuid[])
RETURNS TABLE (id uuid, document_id uuid, title text, number integer, heading text, body text, page integer, start integer,
               score double precision, similarity double precision, text_rank bigint)
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
SET search_path = public, pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
    WITH shelves AS MATERIALIZED (
        SELECT id FROM (VALUES (nullif(current_setting('parley.user_id', true), '')::uuid), ('00000000-0000-0000-0000-000000000000')) s (id)
         WHERE nullif(current_setting('parley.user_id', true), '') IS NOT NULL
    ),
    whole AS MATERIALIZED (
        SELECT array_agg(d.id) AS ids FROM documents d
         WHERE d.status = 'ready' AND (only_in IS NULL OR d.id = ANY (only_in))
           AND (d.is_shared OR d.user_id = nullif(current_setting('parley.user_id', true), '')::uuid)
    ),
    mine AS MATERIALIZED (
        SELECT t.id, CASE WHEN t.embedding_model = model THEN -(t.embedding <#> vector) END AS similarity
          FROM chunks t WHERE t.shelf IN (SELECT id FROM shelves) AND t.document_id = ANY ((SELECT ids FROM whole)::uuid[])
    ),
    near AS (
        SELECT id, similarity, row_number() OVER (ORDER BY similarity DESC, id) AS place
          FROM (SELECT id, similarity FROM mine WHERE similarity IS NOT NULL ORDER BY similarity DESC, id LIMIT pool) nearest
    ),
    asked AS (
        SELECT word, quote_literal(word)::tsquery AS sought
          FROM unnest(tsvector_to_array(parley_words(left(query, 4000)))) AS word ORDER BY length(word) DESC LIMIT 32
    ),
    -- `IS TRUE` as in the search of passages: the index keys already contain the shelf.
    hits AS (
        SELECT h.id, h.words, h.rank, count(*) OVER (PARTITION BY a.word) AS texts, avg(h.words) OVER () AS usual_words
          FROM asked a CROSS JOIN shelves s CROSS JOIN LATERAL (
               SELECT t.id, length(t.words) AS words, ts_rank('{1,1,1,1}', t.words, a.sought) AS rank
                 FROM chunks t
                WHERE (t.shelf = s.id) IS TRUE AND parley_keys(t.shelf, t.words) @> ARRAY[right(s.id::text, 8) || a.word]
                  AND t.document_id = ANY ((SELECT ids FROM whole)::uuid[])
                LIMIT 4000) h
    ),
    alike AS (
        SELECT id, row_number() OVER (ORDER BY weight DESC, id) AS place
          FROM (SELECT id, sum(ln(1 + (total - texts + 0.5) / (texts + 0.5)) * times * 2.2
                               / (times + 1.2 * (0.25 + 0.75 * words / usual_words))) AS weight
                  FROM (SELECT id, words, texts::float8, usual_words::float8, (SELECT count(*) FROM mine)::float8 AS total,
                               1 / (1.6449341 - least(rank * 1.6449341, 1.64)) - 0.5 AS times
                          FROM hits) counted
                 GROUP BY id ORDER BY weight DESC, id LIMIT pool) best
    ),
    fused AS (
        SELECT id, coalesce(1.0 / (20 + n.place), 0) + coalesce(1.0 / (20 + a.place), 0) AS score, n.similarity, a.place AS text_rank
          FROM near n FULL JOIN alike a USING (id)
    )
    SELECT t.id, t.document_id, d.title, t.number, t.heading, t.text, t.page, t.start, f.score, f.similarity, f.text_rank
      FROM fused f
      JOIN chunks t ON t.id = f.id AND t.shelf IN (SELECT id FROM shelves)
      JOIN documents d ON d.user_id = t.user_id AND d.id = t.document_id
     ORDER BY f.score DESC, t.id LIMIT most
$$;
ALTER FUNCTION parley_search_chunks OWNER TO parley_search;
REVOKE ALL ON FUNCTION parley_search_chunks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION parley_search_chunks TO parley_app;
"""


def upgrade() -> None:
    """Create the tables, policies and the search function."""
    op.execute(TABLES)
    op.execute(RIGHTS)
    op.execute("GRANT CREATE ON SCHEMA public TO parley_search")
    op.execute(SEARCH)
    op.execute("REVOKE CREATE ON SCHEMA public FROM parley_search")
