"""Long-term memory: summaries, facts and passages, and the search over them.

Search runs in functions that belong to `parley_search`, a role without login. `@@`, `@>` and the vector operators are not
leakproof, so under row level security no index could serve them. Each function filters by `parley.user_id` itself. See
docs/adr/0010-search-in-postgresql.md.
"""

from alembic import op

revision, down_revision = "0006", "0005"

# `parley_words` returns a text's search words: without accents and case, with `camelCase` and `snake_case` both split and whole,
# with each letter of scripts without spaces as a word, and without English endings and stop words. Words of other languages
# change little.
ANALYSIS = r"""
CREATE FUNCTION parley_words(body text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    WITH plain AS (SELECT normalize(regexp_replace(normalize(left(body, 200000), NFKD), '[\u0300-\u036f]', '', 'g'), NFKC) AS t)
    SELECT to_tsvector('pg_catalog.english'::regconfig, regexp_replace(regexp_replace(regexp_replace(regexp_replace(t,
               '([[:lower:][:digit:]])([[:upper:]])', '\1 \2', 'g'),
               '([[:upper:]])([[:upper:]][[:lower:]])', '\1 \2', 'g'),
               '([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])', ' \1 ', 'g'),
               '[^[:alnum:]]+', ' ', 'g'))
        || to_tsvector('pg_catalog.simple'::regconfig, coalesce((
               SELECT string_agg(replace(found[1], '_', ''), ' ')
                 FROM regexp_matches(t, '(\w*(?:[[:alnum:]]_+[[:alnum:]]|[[:lower:]][[:upper:]])\w*)', 'g') AS found), ''))
      FROM plain
$$;

-- The keys of the word index: each word prefixed with a part of its owner's id, so that users' entries are separate.
CREATE FUNCTION parley_keys(owner uuid, words tsvector) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(right(owner::text, 8) || word) FROM unnest(tsvector_to_array(words)) AS word
$$;
"""

TABLES = """
ALTER TABLE conversations
    ADD COLUMN is_incognito boolean NOT NULL DEFAULT false,
    ADD COLUMN mined_upto_seq integer NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN retention_days integer CONSTRAINT users_retention_check CHECK (retention_days >= 0);

CREATE TABLE summaries (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    conversation_id uuid NOT NULL,
    upto_seq integer NOT NULL,
    text text NOT NULL,
    model text NOT NULL,
    tokens integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, conversation_id, upto_seq),
    FOREIGN KEY (user_id, conversation_id) REFERENCES conversations (user_id, id) ON DELETE CASCADE
);

CREATE TABLE memories (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    text text NOT NULL,
    source text NOT NULL CONSTRAINT memories_source_check CHECK (source IN ('user', 'extracted')),
    embedding halfvec,
    embedding_model text,
    words tsvector GENERATED ALWAYS AS (parley_words(text)) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    superseded_by uuid,
    ended_at timestamptz,
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, superseded_by) REFERENCES memories (user_id, id) ON DELETE SET NULL (superseded_by),
    CONSTRAINT memories_embedding_check CHECK ((embedding IS NULL) = (embedding_model IS NULL))
);
ALTER TABLE memories ALTER COLUMN embedding SET STORAGE MAIN, ALTER COLUMN words SET STORAGE MAIN;
CREATE INDEX memories_superseded ON memories (user_id, superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX memories_words ON memories USING gin (parley_keys(user_id, words)) WITH (fastupdate = off);

CREATE TABLE memory_sources (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    memory_id uuid NOT NULL,
    message_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    PRIMARY KEY (user_id, memory_id, message_id),
    FOREIGN KEY (user_id, memory_id) REFERENCES memories (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, message_id) REFERENCES messages (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, conversation_id) REFERENCES conversations (user_id, id) ON DELETE CASCADE
);
CREATE INDEX memory_sources_conversation ON memory_sources (user_id, conversation_id);
CREATE INDEX memory_sources_message ON memory_sources (user_id, message_id);

CREATE TABLE passages (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    first_seq integer NOT NULL,
    last_seq integer NOT NULL,
    text text NOT NULL,
    said_at timestamptz NOT NULL,
    embedding halfvec,
    embedding_model text,
    words tsvector GENERATED ALWAYS AS (parley_words(text)) STORED,
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, conversation_id) REFERENCES conversations (user_id, id) ON DELETE CASCADE,
    CONSTRAINT passages_embedding_check CHECK ((embedding IS NULL) = (embedding_model IS NULL))
);
-- Stored in the row if it fits: an exact scan that fetches each vector from elsewhere takes several times as long.
ALTER TABLE passages ALTER COLUMN embedding SET STORAGE MAIN, ALTER COLUMN words SET STORAGE MAIN;
CREATE INDEX passages_place ON passages (user_id, conversation_id, first_seq);
-- Without a list of pending entries, which every user's search would have to read.
CREATE INDEX passages_words ON passages USING gin (parley_keys(user_id, words)) WITH (fastupdate = off);
"""

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

# The app role's rights to its user's own rows.
RIGHTS = {
    "summaries": "SELECT, INSERT, DELETE",
    "memories": "SELECT, INSERT, UPDATE, DELETE",
    "memory_sources": "SELECT, INSERT, DELETE",
    "passages": "SELECT, INSERT, UPDATE, DELETE",
}

# Ids and times only: the background role finds expired conversations.
BACKGROUND = """
GRANT UPDATE (retention_days) ON users TO parley_app;
GRANT SELECT (retention_days) ON users TO parley_background;
GRANT SELECT (user_id, id, updated_at) ON conversations TO parley_background;
CREATE POLICY background_finds_old_ones ON conversations FOR SELECT TO parley_background USING (true);
"""

# To create functions owned by `parley_search`, the owner must be able to become that role, and that role must be able to create
# objects.
SEARCHER = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'parley_search') THEN
        CREATE ROLE parley_search NOLOGIN;
    END IF;
    IF NOT pg_has_role('parley_search', 'SET') THEN
        EXECUTE format('GRANT parley_search TO %I WITH INHERIT FALSE, SET TRUE', current_user);
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    -- Another database of this server is being migrated at the same time.
    EXECUTE format('GRANT parley_search TO %I WITH INHERIT FALSE, SET TRUE', current_user);
END $$;
GRANT SELECT ON passages, memories TO parley_search;
CREATE POLICY search_reads ON passages FOR SELECT TO parley_search USING (true);
CREATE POLICY search_reads ON memories FOR SELECT TO parley_search USING (true);
"""

# Words are scored by BM25 and vectors by the cosine. Each score is normalised to 0 to 1 over all of the user's texts, and the two
# are added, which ranks better than reciprocal rank fusion (Bruch et al., ACM TOIS 2023; docs/bench.md). A word's rarity is
# measured among the user's own texts. Its frequency in a text is derived from `ts_rank`, the sum of 1/i² for i up to that
# frequency, divided by π²/6; the remainder of the sum beyond n is close to 1/(n + ½). Without a vector of the query's model the
# cosine counts as 0. If `half_life_days` is null, age has no influence.
SEARCH = r"""
CREATE FUNCTION parley_search_{table}(
    query text, vector halfvec, model text, pool integer, most integer, half_life_days float8, but_conversation uuid, but_from_seq integer)
RETURNS TABLE ({returned}, score double precision, similarity double precision, weight double precision)
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
SET search_path = public, pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
    WITH me AS MATERIALIZED (
        SELECT nullif(current_setting('parley.user_id', true), '')::uuid AS id
    ),
    mine AS MATERIALIZED (
        SELECT t.id, {time} AS since, CASE WHEN t.embedding_model = model AND vector_dims(t.embedding) = vector_dims(vector)
                                       THEN -(t.embedding <#> vector) END AS similarity
          FROM {table} t WHERE t.user_id = (SELECT id FROM me) AND {condition}
    ),
    spread AS MATERIALIZED (
        SELECT min(similarity) AS low, max(similarity) AS high, count(*)::float8 AS total FROM mine
    ),
    -- A text without a common word that is not among the nearest cannot be among the best.
    near AS MATERIALIZED (
        SELECT min(similarity) AS low
          FROM (SELECT similarity FROM mine WHERE similarity IS NOT NULL ORDER BY similarity DESC LIMIT greatest(pool, most)) nearest
    ),
    asked AS (
        SELECT right((SELECT id FROM me)::text, 8) || word AS key, quote_literal(word)::tsquery AS sought
          FROM unnest(tsvector_to_array(parley_words(left(query, 4000)))) AS word ORDER BY length(word) DESC LIMIT 32
    ),
    -- `IS TRUE` keeps the planner from listing all of the owner's rows for each word: the index keys already contain the owner.
    counted AS MATERIALIZED (
        SELECT a.key, a.sought, c.texts
          FROM asked a CROSS JOIN LATERAL (
               SELECT count(*) AS texts FROM (
                      SELECT FROM {table} t
                       WHERE (t.user_id = (SELECT id FROM me)) IS TRUE AND parley_keys(t.user_id, t.words) @> ARRAY[a.key] AND {condition}
                       LIMIT 1000) few) c
         WHERE c.texts > 0
    ),
    telling AS MATERIALIZED (
        SELECT key, sought, ln(1 + ((SELECT total FROM spread) - texts + 0.5) / (texts + 0.5)) AS weight
          FROM counted
        -- A word above the cut-off is too common to tell texts apart, unless every word is.
         WHERE texts < 1000 OR texts = (SELECT min(texts) FROM counted)
    ),
    hits AS MATERIALIZED (
        SELECT a.weight, h.id, h.words, h.rank
          FROM telling a CROSS JOIN LATERAL (
               SELECT t.id, length(t.words) AS words, ts_rank('{{1,1,1,1}}', t.words, a.sought) AS rank
                 FROM {table} t
                WHERE (t.user_id = (SELECT id FROM me)) IS TRUE AND parley_keys(t.user_id, t.words) @> ARRAY[a.key] AND {condition}
                LIMIT 1000) h
    ),
    usual AS MATERIALIZED (
        SELECT avg(words)::float8 AS words FROM hits
    ),
    alike AS MATERIALIZED (
        SELECT h.id, sum(h.weight * 2.2 * h.times / (h.times + 1.2 * (0.25 + 0.75 * h.words / (SELECT words FROM usual)))) AS weight
          FROM (SELECT weight, id, words, 1 / (1.6449341 - least(rank * 1.6449341, 1.64)) - 0.5 AS times FROM hits) h
         GROUP BY h.id
    ),
    fused AS (
        SELECT m.id, m.since, m.similarity, a.weight,
               coalesce(a.weight / (SELECT max(weight) FROM alike), 0)
               + CASE WHEN s.high > s.low THEN coalesce((m.similarity - s.low) / (s.high - s.low), 0) ELSE 0 END AS score
          FROM mine m LEFT JOIN alike a USING (id) CROSS JOIN spread s
         WHERE m.similarity >= (SELECT low FROM near) OR a.weight IS NOT NULL
         ORDER BY score DESC, m.id LIMIT greatest(pool, most)
    ),
    best AS (
        SELECT f.id, f.similarity, f.weight, f.score * CASE WHEN half_life_days IS NULL THEN 1
                   ELSE 1 + 0.25 * power(0.5, greatest(extract(epoch FROM now() - f.since)::float8, 0) / 86400 / half_life_days)
                   END AS score
          FROM fused f ORDER BY score DESC, f.id LIMIT most
    )
    SELECT {columns}, b.score, b.similarity, b.weight
      FROM best b JOIN {table} t ON t.user_id = (SELECT id FROM me) AND t.id = b.id
     ORDER BY b.score DESC, t.id
$$;
-- Before the functions are handed over: afterwards the owner may not.
REVOKE ALL ON FUNCTION parley_search_{table} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION parley_search_{table} TO parley_app;
ALTER FUNCTION parley_search_{table} OWNER TO parley_search;
"""
PASSAGES = {
    "table": "passages",
    "returned": "id uuid, conversation_id uuid, first_seq integer, last_seq integer, said_at timestamptz, body text",
    "columns": "t.id, t.conversation_id, t.first_seq, t.last_seq, t.said_at, t.text",
    "time": "t.said_at",
    "condition": "(but_conversation IS NULL OR t.conversation_id <> but_conversation OR t.last_seq < but_from_seq)",
}
MEMORIES = {
    "table": "memories",
    "returned": "id uuid, created_at timestamptz, body text",
    "columns": "t.id, t.created_at, t.text",
    "time": "t.created_at",
    "condition": "t.ended_at IS NULL",
}


def upgrade() -> None:
    """Create the tables, policies and search functions."""
    op.execute(ANALYSIS)
    op.execute(TABLES)
    for table, rights in RIGHTS.items():
        op.execute(
            f"""
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
            CREATE POLICY owner_migrates ON {table} TO parley_owner USING (true) WITH CHECK (true);
            CREATE POLICY app_own_rows ON {table} TO parley_app USING (user_id = {ME}) WITH CHECK (user_id = {ME});
            GRANT {rights} ON {table} TO parley_app;
            """
        )
    op.execute(BACKGROUND)
    op.execute(SEARCHER)
    op.execute("GRANT CREATE ON SCHEMA public TO parley_search")
    for searched in (PASSAGES, MEMORIES):
        op.execute(SEARCH.format(**searched))
    op.execute("REVOKE CREATE ON SCHEMA public FROM parley_search")
