"""Two-stage search of passages, facts and chunks: preselect by binary signatures of the vectors, then score exactly.

See docs/adr/0016-two-stage-search.md.
"""

from alembic import op

from parley.db.migrations.operations import backfill, create_index, drop_index

revision, down_revision = "0011", "0010"

# A sketch is the binary signature of a unit vector, with three bits for each number: whether it is above 0, above the upper
# quartile and above the lower quartile of normally distributed numbers. The Hamming distance of two sketches approximates the
# distance of the vectors. A covering index stores a user's sketches next to each other, wherever the rows are in the table. An
# index entry is limited to 2,704 bytes.
SKETCH = """
CREATE OR REPLACE FUNCTION parley_sketch(embedding halfvec) RETURNS bit varying
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = public, pg_catalog, pg_temp AS $$
    SELECT CASE WHEN vector_dims(embedding) > 4096 THEN binary_quantize(embedding)
                ELSE binary_quantize(embedding) || binary_quantize(embedding - edge) || binary_quantize(embedding + edge) END
      FROM (SELECT array_fill(0.67 / sqrt(vector_dims(embedding)), ARRAY[vector_dims(embedding)])::halfvec AS edge) normal
$$;
"""
# A trigger writes the column: adding a generated column would rewrite the table while every request waits.
TRIGGER = """
CREATE OR REPLACE FUNCTION parley_set_sketch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sketch := public.parley_sketch(NEW.embedding);
    RETURN NEW;
END
$$;
"""
COLUMN = """
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS sketch bit varying;
ALTER TABLE {table} ALTER COLUMN sketch SET STORAGE PLAIN;
CREATE OR REPLACE TRIGGER set_sketch BEFORE INSERT OR UPDATE OF embedding, sketch ON {table}
    FOR EACH ROW EXECUTE FUNCTION parley_set_sketch();
"""

# 1. A sample of the user's texts estimates how common each query word is, how long texts are, and how similar a typical text is.
# 2. Preselection: the texts with the nearest sketches among all of the user's texts, and the cosines of their vectors.
# 3. Rare words are looked up in the word index one by one; common words only together, because each occurs in too many texts.
# 4. Only the best candidates of both searches are scored: words by BM25, vectors by the cosine. Each score is normalised to 0 to 1 and the
#    two are added, which ranks better than reciprocal rank fusion (Bruch et al., ACM TOIS 2023).
# A word's frequency in a text is derived from `ts_rank`, the sum of 1/i² for i up to that frequency, divided by π²/6; the
# remainder of the sum beyond n is close to 1/(n + ½). Without a vector of the query's model the cosine counts as 0.
# `IS TRUE` keeps the planner from using an index for the owner: the keys of the word index already contain the owner, and the
# planner would list all of the owner's rows for each word.
# `OFFSET 0` keeps a look-up by key from being planned as a join, however many rows the planner expects.
SEARCH = r"""
CREATE FUNCTION parley_search_{table}({parameters})
RETURNS TABLE ({returned}, score double precision, similarity double precision, weight double precision)
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
SET search_path = public, pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
    WITH me AS MATERIALIZED (
        SELECT nullif(current_setting('parley.user_id', true), '')::uuid AS id
    ),
    {owners},
    size AS MATERIALIZED (
        {size}
    ),
    question AS MATERIALIZED (
        SELECT parley_sketch(vector) AS sketch
    ),
    sampled AS MATERIALIZED (
        SELECT t.words, t.similarity, CASE WHEN t.similarity IS NOT NULL THEN t.sketch <~> (SELECT sketch FROM question) END AS apart
          FROM ({sample}) p CROSS JOIN LATERAL (
               SELECT t.words, t.sketch, {cosine} AS similarity FROM {table} t WHERE t.{owner} = p.owner AND t.id = p.id OFFSET 0) t
    ),
    usual AS MATERIALIZED (
        SELECT count(*)::float8 AS texts, avg(length(words))::float8 AS words, min(similarity) AS low,
               -- The 6th percentile of sampled distances, or more of a small set: texts beyond it are not near and need no sorting.
               coalesce(percentile_disc(least(1, greatest(0.06, 800 / (SELECT texts + 1 FROM size))))
                        WITHIN GROUP (ORDER BY apart), 1e9) AS apart
          FROM sampled
    ),
    close AS MATERIALIZED (
        SELECT r.owner, r.id FROM ({near_rows}) r
         ORDER BY r.sketch <~> (SELECT sketch FROM question) LIMIT least(greatest(400, (SELECT texts / 100 FROM size)), 2000)
    ),
    near AS MATERIALIZED (
        SELECT c.owner, c.id, t.similarity
          FROM close c CROSS JOIN LATERAL (
               SELECT {cosine} AS similarity FROM {table} t WHERE t.{owner} = c.owner AND t.id = c.id OFFSET 0) t
    ),
    asked AS MATERIALIZED (
        SELECT word, quote_literal(word)::tsquery AS sought
          FROM unnest(tsvector_to_array(parley_words(left(query, 4000)))) AS word ORDER BY length(word) DESC LIMIT 32
    ),
    known AS MATERIALIZED (
        SELECT word, sought, guess, row_number() OVER rarest AS place,
               sum(guess) OVER rarest > 1200 AND row_number() OVER rarest > 2 AS is_common
          FROM (SELECT a.word, a.sought, size.texts / greatest(usual.texts, 1)
                                         * (SELECT count(*) FROM sampled s WHERE s.words @@ a.sought) AS guess
                  FROM asked a CROSS JOIN size CROSS JOIN usual OFFSET 0) a
        WINDOW rarest AS (ORDER BY guess, length(word) DESC, word ROWS UNBOUNDED PRECEDING)
    ),
    sets AS MATERIALIZED (
        SELECT word, ARRAY[word] AS words FROM known WHERE NOT is_common
         UNION ALL
        SELECT word, words
          FROM (SELECT word, array_agg(word) OVER (ORDER BY place) AS words FROM known WHERE is_common) common
         WHERE cardinality(words) BETWEEN 2 AND 3
    ),
    hits AS MATERIALIZED (
        SELECT s.word, cardinality(s.words) AS together, o.owner, h.id
          FROM sets s CROSS JOIN owners o
         CROSS JOIN LATERAL (SELECT array_agg(right(o.owner::text, 8) || word) AS keys FROM unnest(s.words) AS word) k
         CROSS JOIN LATERAL (
               SELECT t.id FROM {table} t
                WHERE (t.{owner} = o.owner) IS TRUE AND parley_keys(t.{owner}, t.words) @> k.keys AND {condition}
                LIMIT CASE WHEN cardinality(s.words) = 1 THEN 1000 ELSE 300 END) h
    ),
    weights AS MATERIALIZED (
        SELECT word, sought, ln(1 + (greatest((SELECT texts FROM size) - texts, 0) + 0.5) / (texts + 0.5)) AS weight
          FROM (SELECT k.word, k.sought, CASE WHEN h.texts < 1000 THEN h.texts ELSE greatest(k.guess, h.texts) END AS texts
                  FROM known k LEFT JOIN (SELECT word, count(*) AS texts FROM hits WHERE together = 1 GROUP BY word) h USING (word)) counted
         WHERE texts > 0
    ),
    candidates AS MATERIALIZED (
        SELECT owner, id FROM (SELECT owner, id FROM near ORDER BY similarity DESC LIMIT greatest(pool, most)) nearest
         UNION
        SELECT owner, id
          FROM (SELECT h.owner, h.id FROM hits h JOIN weights w USING (word)
                 GROUP BY h.owner, h.id ORDER BY sum(w.weight) DESC LIMIT greatest(pool, most)) telling
    ),
    weighed AS MATERIALIZED (
        SELECT c.owner, c.id, t.since, t.similarity,
               (SELECT sum(a.weight * 2.2 * a.times
                           / (a.times + 1.2 * (0.25 + 0.75 * coalesce(length(t.words) / (SELECT words FROM usual), 1))))
                  FROM (SELECT w.weight, 1 / (1.6449341 - least(ts_rank('{{1,1,1,1}}', t.words, w.sought) * 1.6449341, 1.64)) - 0.5 AS times
                          FROM weights w WHERE t.words @@ w.sought) a) AS weight
          FROM candidates c CROSS JOIN LATERAL (
               SELECT {time} AS since, t.words, {cosine} AS similarity FROM {table} t WHERE t.{owner} = c.owner AND t.id = c.id OFFSET 0) t
    ),
    spread AS MATERIALIZED (
        SELECT least(min(w.similarity), (SELECT low FROM usual)) AS low, max(w.similarity) AS high, max(w.weight) AS weight FROM weighed w
    ),
    best AS (
        SELECT w.owner, w.id, w.similarity, w.weight,
               (coalesce(w.weight / s.weight, 0)
                + CASE WHEN s.high > s.low THEN coalesce((w.similarity - s.low) / (s.high - s.low), 0) ELSE 0 END) * {age} AS score
          FROM weighed w CROSS JOIN spread s
         WHERE w.similarity IS NOT NULL OR w.weight IS NOT NULL
         ORDER BY score DESC, w.id LIMIT most
    )
    SELECT {columns}, b.score, b.similarity, b.weight
      FROM best b CROSS JOIN LATERAL (SELECT * FROM {table} t WHERE t.{owner} = b.owner AND t.id = b.id OFFSET 0) t {with_it}
     ORDER BY b.score DESC, t.id
$$;
REVOKE ALL ON FUNCTION parley_search_{table} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION parley_search_{table} TO parley_app;
"""
COSINE = "CASE WHEN t.embedding_model = model AND vector_dims(t.embedding) = vector_dims(vector) THEN -(t.embedding <#> vector) END"
AND_NEAR = """ AND t.embedding_model = model
           AND CASE WHEN length(t.sketch) = (SELECT length(sketch) FROM question)
                    THEN t.sketch <~> (SELECT sketch FROM question) <= (SELECT apart FROM usual) END"""
OF_ONE = {
    "owner": "user_id",
    "owners": "owners AS MATERIALIZED (SELECT id AS owner FROM me WHERE id IS NOT NULL)",
    "parameters": "query text, vector halfvec, model text, pool integer, most integer, "
    "half_life_days float8, but_conversation uuid, but_from_seq integer",
    # A single scan counts the texts and keeps a random eighth of their ids. The sample is drawn from these, unless they are too few.
    "size": """SELECT count(*)::float8 AS texts, array_agg(t.id) FILTER (WHERE mod(uuid_hash(t.id), 8) = 0) AS some
          FROM {table} t WHERE t.user_id = (SELECT id FROM me) AND {counted}""",
    "sample": """
               SELECT me.id AS owner, s.id
                 FROM me CROSS JOIN size
                CROSS JOIN LATERAL unnest(size.some) WITH ORDINALITY s (id, place)
                WHERE size.texts >= 2000 AND mod(s.place, cardinality(size.some) / 250) = 0
                UNION ALL
               SELECT me.id AS owner, t.id
                 FROM me CROSS JOIN size JOIN {table} t ON t.user_id = me.id AND {counted}
                WHERE size.texts < 2000 AND mod(uuid_hash(t.id), greatest(1, size.texts::integer / 250)) = 0""",
    "age": "CASE WHEN half_life_days IS NULL THEN 1 "
    "ELSE 1 + 0.25 * power(0.5, greatest(extract(epoch FROM now() - w.since)::float8, 0) / 86400 / half_life_days) END",
    "with_it": "",
}
PASSAGES = OF_ONE | {
    "table": "passages",
    "returned": "id uuid, conversation_id uuid, first_seq integer, last_seq integer, said_at timestamptz, body text",
    "columns": "t.id, t.conversation_id, t.first_seq, t.last_seq, t.said_at, t.text",
    "time": "t.said_at",
    # An index-only scan must be enough: excluding the prompt's own passages here would read the table.
    "counted": "true",
    "condition": "(but_conversation IS NULL OR t.conversation_id <> but_conversation OR t.last_seq < but_from_seq)",
}
MEMORIES = OF_ONE | {
    "table": "memories",
    "returned": "id uuid, created_at timestamptz, body text",
    "columns": "t.id, t.created_at, t.text",
    "time": "t.created_at",
    "counted": "t.ended_at IS NULL",
    "condition": "t.ended_at IS NULL",
}
ROWS_OF_ONE = "SELECT t.user_id AS owner, t.id, t.sketch FROM {table} t WHERE t.user_id = (SELECT id FROM me) AND {condition}{and_near}"
# The user's own chunks and the shared ones. Documents that are not ready are excluded.
CHUNKS = {
    "table": "chunks",
    "owner": "shelf",
    "parameters": "query text, vector halfvec, model text, pool integer, most integer, only_in uuid[]",
    "returned": "id uuid, document_id uuid, title text, number integer, heading text, body text, page integer, start integer",
    "columns": "t.id, t.document_id, d.title, t.number, t.heading, t.text, t.page, t.start",
    "owners": """owners AS MATERIALIZED (
        SELECT s.owner FROM me CROSS JOIN LATERAL (VALUES (me.id), ('00000000-0000-0000-0000-000000000000')) s (owner)
         WHERE me.id IS NOT NULL
    ),
    whole AS MATERIALIZED (
        SELECT d.user_id, d.id, d.title, d.chunks,
               CASE WHEN d.is_shared THEN '00000000-0000-0000-0000-000000000000'::uuid ELSE d.user_id END AS shelf
          FROM documents d, me
         WHERE d.status = 'ready' AND (only_in IS NULL OR d.id = ANY (only_in)) AND (d.is_shared AND me.id IS NOT NULL OR d.user_id = me.id)
    )""",
    "size": "SELECT coalesce(sum(chunks), 0)::float8 AS texts FROM whole",
    # Sampled evenly from all documents, by chunk number.
    "sample": """SELECT t.shelf AS owner, t.id FROM whole d
                 CROSS JOIN LATERAL (SELECT greatest(1, (SELECT texts FROM size)::integer / 250) AS step) s
                 CROSS JOIN LATERAL generate_series(abs(mod(uuid_hash(d.id), s.step)), d.chunks - 1, s.step) n
                 CROSS JOIN LATERAL (SELECT t.shelf, t.id FROM chunks t
                                      WHERE t.user_id = d.user_id AND t.document_id = d.id AND t.number = n OFFSET 0) t""",
    "condition": "(t.document_id IN (SELECT id FROM whole)) IS TRUE",
    "time": "NULL::timestamptz",
    "age": "1",
    "with_it": "JOIN whole d ON d.user_id = t.user_id AND d.id = t.document_id",
}
ROWS_OF_CHUNKS = """SELECT t.* FROM whole d CROSS JOIN LATERAL (
            SELECT t.shelf AS owner, t.id, t.sketch FROM chunks t WHERE t.shelf = d.shelf AND t.document_id = d.id{and_near} OFFSET 0) t"""


def written(searched: dict[str, str], rows: str) -> str:
    """Return the statements that create a search function."""
    filled = {
        name: part.replace("{counted}", searched.get("counted", "")).replace("{table}", searched["table"])
        for name, part in searched.items()
    }
    return SEARCH.format(**filled, near_rows=rows.format(**searched, and_near=AND_NEAR), cosine=COSINE)


def upgrade() -> None:
    """Add the sketches and their indexes, and replace the search functions."""
    op.execute(SKETCH)
    op.execute(TRIGGER)
    for table in ("passages", "memories", "chunks"):
        op.execute(COLUMN.format(table=table))
    for table in ("passages", "memories", "chunks"):
        backfill(table, "embedding = embedding", where="sketch IS NULL AND embedding IS NOT NULL")
    create_index("passages_sketch", "passages (user_id, embedding_model) INCLUDE (id, conversation_id, last_seq, sketch)")
    create_index("memories_sketch", "memories (user_id, embedding_model) INCLUDE (id, sketch) WHERE ended_at IS NULL")
    create_index("chunks_sketch", "chunks (shelf, document_id, embedding_model) INCLUDE (id, sketch)")
    drop_index("chunks_shelf")
    op.execute("GRANT CREATE ON SCHEMA public TO parley_search")
    # The functions belong to `parley_search`, so that role must drop and create them.
    op.execute("SET LOCAL ROLE parley_search")
    op.execute("DROP FUNCTION parley_search_passages, parley_search_memories, parley_search_chunks")
    for searched, rows in ((PASSAGES, ROWS_OF_ONE), (MEMORIES, ROWS_OF_ONE), (CHUNKS, ROWS_OF_CHUNKS)):
        op.execute(written(searched, rows))
    op.execute("SET LOCAL ROLE NONE")
    op.execute("REVOKE CREATE ON SCHEMA public FROM parley_search")
