"""A search compares fewer vectors exactly. Two processes read the signatures of a large library.

The first stage of a search of more than 40,000 texts keeps up to 2,000. Most of them are much further from the question than the
hundred that can count, and their rows are no longer read. The signatures of 50,000 or more chunks are read in parallel by
`parley_nearest_chunks`: it has the planner's settings for itself, because with them each search would start a worker. See
docs/adr/0016-two-stage-search.md. The functions keep their signatures, so the previous release can call them.
"""

from alembic import op

from parley.db.migrations.operations import change_function

revision, down_revision = "0065", "0064"

# The plan is made for the owner at hand: for the mean of all owners, which is small, one process would be enough. Parallel reading costs
# nothing in it, because `large` limits the calls.
# The function sees whatever its caller, `parley_search_chunks`, sees, which is every row: the caller must pass readable documents only.
# Distances are whole numbers and often equal, and two processes deliver them in any order: ids decide which of them are kept.
NEAREST = """
CREATE FUNCTION parley_nearest_chunks(of_shelf uuid, of_documents uuid[], of_model text, question bit varying, reach float8, most bigint)
RETURNS TABLE (owner uuid, id uuid, apart float8)
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = public, pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
SET parallel_setup_cost = 0 SET parallel_tuple_cost = 0 SET min_parallel_index_scan_size = 0 SET max_parallel_workers_per_gather = 1
AS $$
    SELECT t.shelf, t.id, t.sketch <~> question AS apart
      FROM chunks t
     WHERE t.shelf = of_shelf AND t.document_id = ANY (of_documents) AND t.embedding_model = of_model
       AND CASE WHEN length(t.sketch) = length(question) THEN t.sketch <~> question <= reach END
     ORDER BY apart, t.id LIMIT most
$$;
REVOKE ALL ON FUNCTION parley_nearest_chunks FROM PUBLIC;
"""

APART = "t.sketch <~> (SELECT sketch FROM question) AS apart"
SORTED = (" ORDER BY r.sketch <~> (SELECT sketch FROM question) LIMIT", " ORDER BY r.apart, r.id LIMIT")
# A distance of n independent bits varies by sqrt(n) / 2 (standard deviation). Beyond the nearest 400, texts that are two deviations behind
# the nearest hundred are not compared: of 200,000 chunks, 400 instead of 2,000. Among vectors by chance, all 2,000 remain. The bits of
# the lexical model's vectors depend on each other.
NEAR = (
    "          FROM close c CROSS JOIN LATERAL (",
    """          FROM (SELECT owner, id FROM close
                 WHERE model = ''lexical'' OR apart <= (
                       SELECT greatest(max(f.apart), max(f.apart) FILTER (WHERE f.place <= greatest(pool, most))
                                                     + (SELECT sqrt(length(sketch)) FROM question))
                         FROM (SELECT apart, row_number() OVER (ORDER BY apart) AS place FROM close
                                ORDER BY apart LIMIT greatest(pool, most, 400)) f)) c CROSS JOIN LATERAL (""",
)
CHUNKS = (
    (
        "    close AS MATERIALIZED (\n        SELECT r.owner, r.id FROM (",
        """    large AS MATERIALIZED (
        SELECT shelf, array_agg(id ORDER BY id) AS documents FROM whole WHERE model IS NOT NULL GROUP BY shelf HAVING sum(chunks) >= 50000
    ),
    close AS MATERIALIZED (
        SELECT r.owner, r.id, r.apart FROM (""",
    ),
    ("SELECT t.shelf AS owner, t.id, t.sketch FROM", f"SELECT t.shelf AS owner, t.id, {APART} FROM"),
    (
        " OFFSET 0) t) r\n",
        """ OFFSET 0) t
            WHERE d.shelf NOT IN (SELECT shelf FROM large)
            UNION ALL
            SELECT n.* FROM large l CROSS JOIN LATERAL parley_nearest_chunks(l.shelf, l.documents, model, (SELECT sketch FROM question),
                (SELECT apart FROM usual), least(greatest(400, (SELECT texts / 100 FROM size)), 2000)::bigint) n) r
""",
    ),
    SORTED,
    NEAR,
)
OF_ONE = (
    ("        SELECT r.owner, r.id FROM (", "        SELECT r.owner, r.id, r.apart FROM ("),
    ("SELECT t.user_id AS owner, t.id, t.sketch FROM", f"SELECT t.user_id AS owner, t.id, {APART} FROM"),
    SORTED,
    NEAR,
)
CHANGES = {"passages": OF_ONE, "memories": OF_ONE, "chunks": CHUNKS}


def upgrade() -> None:
    """Create the function that reads signatures in parallel, and replace the search functions."""
    op.execute("GRANT CREATE ON SCHEMA public TO parley_search")
    # The functions belong to `parley_search`, so that role must create and replace them.
    op.execute("SET LOCAL ROLE parley_search")
    op.execute(NEAREST)
    for searched, changes in CHANGES.items():
        change_function(f"parley_search_{searched}", changes)
    op.execute("SET LOCAL ROLE NONE")
    op.execute("REVOKE CREATE ON SCHEMA public FROM parley_search")
